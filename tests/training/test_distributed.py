"""Law 5 over processes, law 4 with several of them and with another number than before, and what goes wrong."""

from __future__ import annotations

import ast
import functools
import random
import signal
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_model
from torch import Tensor, nn

from seq2seq.data.batching import Batching
from seq2seq.training import reduction, shared
from seq2seq.training.distributed import ALONE, Processes
from seq2seq.training.optim import Plateau
from seq2seq.types import Batch
from tests.training.several import die, run
from tests.training.small import Lines, Quiet, Slope, corpus, differing, final, metrics, toy, trainer, translation

UPDATES = 8


def fit(
    processes: Processes, folder: Path, at: dict[int, Callable[[Processes], None]] | None = None, **changes: Any
) -> None:
    """A translator, from the folder's last checkpoint where it has one. Four batches of 5, 5, 5 and 3 rows an epoch."""
    dropout, learns_from = changes.pop("dropout", 0.0), changes.pop("learns_from", 1)
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(99)
    model, task = translation(dropout=dropout, scheduled=dropout > 0)
    model.encoder.requires_grad_(learns_from == 1)
    model.unfreeze = lambda update: model.encoder.requires_grad_(update >= learns_from)  # type: ignore[method-assign]
    settings = {
        "max_updates": UPDATES,
        "accumulate": 3,
        "validate_every": 4,
        "checkpoint_every": 3,
        "patience": 9,
        "average": 0.9,
        "keep_last": 9,
        "batching": Batching(sentences=5),
        **changes,
    }
    cache = folder.parent / "cache"
    calls = {update: functools.partial(call, processes) for update, call in (at or {}).items()}
    # What the others log is kept from the disk by their folder.
    log = Quiet(folder if processes.first else folder.parent / f"log {processes.rank}", at=calls)
    trainer(**settings).fit(
        model=model,
        task=task,
        train=processes.in_turn(lambda: corpus("train", 18, cache)),
        valid=processes.in_turn(lambda: corpus("valid", 11, cache)),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.5),
        schedule=Plateau(warmup=2, metric="loss", mode="max", factor=0.5, patience=1, floor=0.01),
        run=folder,
        log=log,
        write=lambda folder: save_model(model, str(folder / "weights.safetensors")),
        seed=5,
        processes=processes,
    )


def assert_close(folder: Path, other: Path) -> None:
    """Equal to rounding: weights, averages, the optimizer's momenta, and every figure of training and validation."""
    (_, one), (_, two) = final(folder), final(other)
    for part in (("model",), ("average", "weights")):
        left, right = functools.reduce(lambda nest, key: nest[key], part, one), functools.reduce(dict.get, part, two)
        for name, weight in left.items():
            torch.testing.assert_close(right[name], weight, rtol=1e-5, atol=1e-5, msg=name)
    assert one["progress"] == two["progress"]
    for split in ("train", "valid"):
        names = ("update", "loss", "nll", "accuracy", "norm", "bleu")
        pairs = zip(metrics(folder, split), metrics(other, split), strict=True)
        for left, right in pairs:
            assert [left.get(name, 0.0) for name in names] == pytest.approx(
                [right.get(name, 0.0) for name in names], rel=1e-4
            )


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    fit(ALONE, folder)
    return folder


@pytest.mark.parametrize("size", [2, 3])
def test_several_processes_equal_one(alone: Path, tmp_path: Path, size: int) -> None:
    """Of an epoch's last batch of 3 rows, dealt to 3, and of all batches of 5 the shares are uneven."""
    assert run(fit, tmp_path / "run", said=tmp_path / "said", size=size) == [0] * size
    assert_close(tmp_path / "run", alone)
    assert len(final(tmp_path / "run")[1]["random"]) == size


def test_a_process_without_a_row_takes_part(tmp_path: Path) -> None:
    settings = {"accumulate": 1, "batching": Batching(sentences=1), "max_updates": 5}
    fit(ALONE, tmp_path / "alone", **settings)
    assert run(functools.partial(fit, **settings), tmp_path / "two", said=tmp_path / "said") == [0, 0]
    assert_close(tmp_path / "two", tmp_path / "alone")


def without_common_memory(processes: Processes, folder: Path) -> None:
    shared.FOLDER = folder / "is not there"
    fit(processes, folder)


def small_buckets(processes: Processes, folder: Path) -> None:
    reduction.BUCKET = 256
    without_common_memory(processes, folder)


def test_buckets_of_any_size(alone: Path, tmp_path: Path) -> None:
    """Nearly every parameter travels alone then, and the gradients come in an order that is not that of the buckets."""
    assert run(small_buckets, tmp_path / "run", said=tmp_path / "said") == [0, 0]
    assert_close(tmp_path / "run", alone)


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_resumed_with_another_number(alone: Path, tmp_path: Path, before: int, after: int) -> None:
    stopped = {5: functools.partial(die, rank=0, number=signal.SIGINT)}
    for size, at in ((before, stopped), (after, None)):
        if size > 1:
            assert run(fit, tmp_path / "run", at, said=tmp_path / "said", size=size) == [130 if at else 0] * size
        else:
            with pytest.raises(KeyboardInterrupt) if at else nullcontext():
                fit(ALONE, tmp_path / "run", at)
    assert_close(tmp_path / "run", alone)
    told = f"processes: {before} before, {after} now; the random numbers of dropout and the like begin anew"
    assert told in (tmp_path / "run" / "train.log").read_text(encoding="utf-8")


def test_two_processes_resume_bit_by_bit(tmp_path: Path) -> None:
    """With dropout and scheduled sampling, which every process draws by itself; interrupted in one of them alone."""
    work = functools.partial(fit, dropout=0.3)
    assert run(work, tmp_path / "whole", said=tmp_path / "said") == [0, 0]
    at = {update: functools.partial(die, rank=1, number=signal.SIGINT) for update in (2, 5)}
    for _ in at:
        assert run(work, tmp_path / "run", at, said=tmp_path / "said") == [130, 130]
    assert (tmp_path / "run" / "last").resolve().name == "0000005"
    assert run(work, tmp_path / "run", at, said=tmp_path / "said") == [0, 0]
    assert differing(final(tmp_path / "run"), final(tmp_path / "whole")) == []
    one, two = final(tmp_path / "whole")[1]["random"]
    assert not torch.equal(one["torch"], two["torch"])


def test_resumed_after_an_encoder_has_begun_to_learn(tmp_path: Path) -> None:
    """A new process finds that out at its first update; it must not draw other random numbers for that."""
    work = functools.partial(fit, dropout=0.3, learns_from=2)
    assert run(work, tmp_path / "whole", said=tmp_path / "said") == [0, 0]
    at = {4: functools.partial(die, rank=0, number=signal.SIGINT)}
    assert run(work, tmp_path / "run", at, said=tmp_path / "said") == [130, 130]
    assert run(work, tmp_path / "run", said=tmp_path / "said") == [0, 0]
    assert differing(final(tmp_path / "run"), final(tmp_path / "whole")) == []


@pytest.mark.parametrize(
    ("number", "timeout", "size"), [(signal.SIGKILL, 60.0, 2), (signal.SIGKILL, 60.0, 4), (signal.SIGSTOP, 2.0, 2)]
)
def test_a_process_that_is_lost_is_named_once(tmp_path: Path, number: int, timeout: float, size: int) -> None:
    at = {5: functools.partial(die, rank=1, number=number)}
    codes = run(fit, tmp_path / "run", at, said=tmp_path / "said", size=size, timeout=timeout)
    assert [code for rank, code in enumerate(codes) if rank != 1] == [1] * (size - 1)
    (line,) = (tmp_path / "said").read_text(encoding="utf-8").splitlines()
    assert line.startswith(f"lost process 1 of {size} (pid ")
    assert f"the last good checkpoint is {tmp_path / 'run/checkpoints/0000004'}" in line
    assert line.count("process ") == 1
    assert f"go on with resume={tmp_path / 'run'}" in line
    assert run(fit, tmp_path / "run", said=tmp_path / "said", size=2) == [0, 0]


# The toy: what one process meets, all do about it ---------------------------------------------------------------


def fit_slope(processes: Processes, folder: Path, hook: Any = None, rank: int = 1, **settings: Any) -> None:
    """The slope of 21 lines, in batches of 7; one of the processes has a hook on its way to the loss."""
    model = toy()
    trainer(max_updates=4, clip_norm=None, batching=Batching(sentences=7), **settings).fit(
        model=model,
        task=Slope(hook if processes.rank == rank else None),
        train=Lines(21),
        valid=Lines(5),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        schedule=Plateau(warmup=0, metric="loss", mode="min", factor=0.5, patience=9, floor=0.01),
        run=folder,
        log=Quiet(folder if processes.first else folder.parent / f"log {processes.rank}"),
        write=lambda folder: save_model(model, str(folder / "weights.safetensors")),
        seed=1,
        processes=processes,
    )


def too_large(total: Tensor, batch: Batch, update: int, *, limit: int = 2) -> Tensor:
    if len(batch.indices) > limit:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
    return total


def not_finite(total: Tensor, batch: Batch, update: int) -> Tensor:
    return total * torch.nan if update == 3 else total


def broken(total: Tensor, batch: Batch, update: int) -> Tensor:
    raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


def test_memory_that_runs_out_in_one_process(tmp_path: Path) -> None:
    fit_slope(ALONE, tmp_path / "alone")
    assert run(fit_slope, tmp_path / "two", too_large, said=tmp_path / "said") == [0, 0]
    expected, found = final(tmp_path / "alone")[0]["weight"], final(tmp_path / "two")[0]["weight"]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert "update 1: out of memory on 3 examples" in (tmp_path / "two" / "train.log").read_text(encoding="utf-8")


def test_an_example_too_large_for_one_process_stops_both_with_one_message(tmp_path: Path) -> None:
    none = functools.partial(too_large, limit=0)
    assert run(fit_slope, tmp_path / "run", none, said=tmp_path / "said") == [1, 1]
    (line,) = (tmp_path / "said").read_text(encoding="utf-8").splitlines()
    assert "update 1: out of memory on one example alone, lines.txt:" in line


def test_a_loss_that_is_not_finite_stops_both_with_one_message(tmp_path: Path) -> None:
    assert run(fit_slope, tmp_path / "run", not_finite, said=tmp_path / "said") == [1, 1]
    (line,) = (tmp_path / "said").read_text(encoding="utf-8").splitlines()
    assert line.startswith("the loss became nan at update 3, on lines.txt:")
    assert f"the last good checkpoint is {tmp_path / 'run/checkpoints/0000002'}" in line
    # Only the lines of the process whose loss it was, 3 or 4 of 7.
    named = (tmp_path / "run" / "not_finite.tsv").read_text(encoding="utf-8").splitlines()
    assert len(named) in (3, 4)


def test_an_error_of_one_process_ends_the_other_with_its_name(tmp_path: Path) -> None:
    assert run(fit_slope, tmp_path / "run", broken, said=tmp_path / "said") == [1, 1]
    (line,) = (tmp_path / "said").read_text(encoding="utf-8").splitlines()
    assert line.startswith("lost process 1 of 2 (pid ") and "there is no checkpoint yet" in line


# The parts --------------------------------------------------------------------------------------------------------


def test_a_batch_is_dealt_out_whole_and_evenly() -> None:
    batch = np.arange(7) * 3
    for number in range(4):
        shares = [Processes(rank=rank, size=3).deal(batch, number) for rank in range(3)]
        assert sorted(np.concatenate(shares).tolist()) == batch.tolist()
        assert sorted(map(len, shares)) == [2, 2, 3]
        assert len(shares[-number % 3]) == 3  # not always the same one
    assert ALONE.deal(batch, 5).tolist() == batch.tolist()


class Uneven(nn.Module):
    """The second weight has a gradient in the first process alone, the third in none."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.ParameterList([nn.Parameter(torch.ones(2)) for _ in range(3)])


def reduce_uneven(processes: Processes, folder: Path) -> None:
    model = Uneven()
    sums = reduction.Reduction(model.parameters(), processes=processes)
    tries = []
    for update in range(3):
        frozen = update == 1 or (update == 2 and not processes.first)  # as where a process has no row to notice it by
        model.weights[1].requires_grad_(not frozen)
        whole = False
        while not whole:
            model.zero_grad(set_to_none=True)
            with sums.overlapping():
                used = list(model.weights)[: 2 if processes.first else 1]
                sum((processes.rank + 1) * weight.sum() for weight in used).backward()
            whole = sums.whole(processes.gather(sums.finish()))
            tries.append([None if weight.grad is None else weight.grad.tolist() for weight in model.weights])
    (folder / f"{processes.rank}").write_text(repr(tries), encoding="utf-8")


def test_gradients_that_some_or_all_processes_lack(tmp_path: Path) -> None:
    """A weight without a gradient anywhere has none afterwards either: an optimizer treats zeros differently."""
    assert run(reduce_uneven, tmp_path, said=tmp_path / "said") == [0, 0]
    for rank in range(2):
        tries = ast.literal_eval((tmp_path / str(rank)).read_text(encoding="utf-8"))
        first, _, frozen, _, thawed = tries  # those that are left out were made again
        assert first == thawed == [[3.0, 3.0], [1.0, 1.0], None]
        assert frozen == [[3.0, 3.0], None, None]


@pytest.mark.parametrize("size", [2, 3])
def test_gradients_that_are_sent(alone: Path, tmp_path: Path, size: int) -> None:
    """As between machines, or where there is no room; two numbers have one sum, whichever way they are added."""
    assert run(without_common_memory, tmp_path / "sent", said=tmp_path / "said", size=size) == [0] * size
    assert_close(tmp_path / "sent", alone)
    if size == 2:
        assert run(fit, tmp_path / "shared", said=tmp_path / "said") == [0, 0]
        assert differing(final(tmp_path / "sent"), final(tmp_path / "shared")) == []


def add_rows(processes: Processes, folder: Path) -> None:
    found = []
    for numbers in (1, 7):  # fewer than processes, and not to be shared out evenly
        memory = shared.shared(numbers, torch.float32, processes=processes)
        assert memory is not None
        for turn in range(3):
            memory.own.copy_(torch.arange(numbers) + 10 * processes.rank + 100 * turn)
            memory.add()
            found.append(memory.own.tolist())
    (folder / f"{processes.rank}").write_text(repr(found), encoding="utf-8")


@pytest.mark.skipif(not shared.FOLDER.is_dir(), reason="there is no memory that looks like a file")
def test_rows_that_all_see_are_added_up(tmp_path: Path) -> None:
    before = set(shared.FOLDER.glob("seq2seq-*"))
    assert run(add_rows, tmp_path, said=tmp_path / "said", size=3) == [0, 0, 0]
    rows = [[3.0 * each + 30 + 300 * turn for each in range(numbers)] for numbers in (1, 7) for turn in range(3)]
    assert [(tmp_path / str(rank)).read_text(encoding="utf-8") for rank in range(3)] == [repr(rows)] * 3
    assert set(shared.FOLDER.glob("seq2seq-*")) <= before  # nothing is left lying there


def ask_for_too_much(processes: Processes, folder: Path) -> None:
    assert shared.shared(1 << 50, torch.float32, processes=processes) is None
    if not processes.first:  # does not see the first one's files, as on another machine
        shared.Path.exists = lambda path: False  # type: ignore[method-assign]
    assert shared.shared(8, torch.float32, processes=processes) is None


@pytest.mark.skipif(not shared.FOLDER.is_dir(), reason="there is no memory that looks like a file")
def test_where_there_is_no_room_or_another_machine_all_know_it(tmp_path: Path) -> None:
    before = set(shared.FOLDER.glob("seq2seq-*"))
    assert run(ask_for_too_much, tmp_path, said=tmp_path / "said") == [0, 0]
    assert set(shared.FOLDER.glob("seq2seq-*")) <= before
