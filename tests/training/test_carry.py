"""States that go over from batch to batch: values as in one pass, and laws 4 and 5 as without them."""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_model
from torch import Tensor, nn

from seq2seq.data.batching import Batching, Streams
from seq2seq.nn.recurrent import Recurrent
from seq2seq.training.carry import Carry
from seq2seq.training.distributed import ALONE, Processes
from seq2seq.training.gradients import Gradients
from seq2seq.training.optim import Constant
from seq2seq.training.validation import validate
from seq2seq.types import Batch, Example, Loss, Padded, map_state
from tests.training.several import die, run
from tests.training.small import Quiet, differing, final, metrics, trainer

UPDATES = 9


class Wave:
    """A long row of numbers in windows of three; what is wanted is the number that came two steps before."""

    carries = True

    def __init__(self, size: int = 60) -> None:
        self.numbers = torch.randn(size, 1, generator=torch.Generator().manual_seed(3))

    def __len__(self) -> int:
        return len(self.numbers) // 3

    @property
    def draws(self) -> int:
        return len(self)

    def draw(self, positions: np.ndarray, *, seed: int, epoch: int) -> np.ndarray:
        return positions

    def lengths(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.full_like(indices, 3), np.full_like(indices, 3)

    def example(self, index: int) -> Example:
        return Example("", "", self.where(index))

    def where(self, index: int) -> str:
        return f"wave.txt:{index + 1}"

    def batch(self, indices: Sequence[int] | np.ndarray, seed: int | None = None) -> Batch:
        rows = [int(index) for index in indices]
        before = torch.cat([torch.zeros(2, 1), self.numbers])
        src, tgt = (torch.stack([side[3 * row : 3 * row + 3] for row in rows]) for side in (self.numbers, before))
        lengths = torch.full((len(rows),), 3)
        return Batch(Padded(src, lengths), Padded(tgt, lengths), rows, [row - 1 if row else None for row in rows])


class Reader(nn.Module):
    """A recurrent network that goes on from a state."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.recurrent = Recurrent(
            cell="lstm",
            input_dim=1,
            hidden_dim=5,
            num_layers=2,
            bidirectional=False,
            residual=False,
            dropout=dropout,
            variational_dropout=0.0,
        )
        self.output = nn.Linear(5, 1)

    def forward(self, src: Padded, state: Any = None) -> tuple[Tensor, Any]:
        begun = None if state is None else self.recurrent.begin(state)
        outputs, state = self.recurrent.unroll(src, begun)
        return self.output(outputs), state


class Echo:
    """The task of saying again what was heard, with a hook that each batch passes on its way to the loss."""

    def __init__(self, hook: Callable[[Tensor, Batch], Tensor] | None = None) -> None:
        self.hook = hook

    def loss(self, model: nn.Module, batch: Batch, update: int = 0) -> Loss:
        outputs, state = model(batch.src, batch.state)
        total = (outputs - batch.tgt.values).square().sum()
        if self.hook is not None and model.training:
            total = self.hook(total, batch)
        return Loss(total, 3 * len(batch.indices), state=map_state(Tensor.detach, state))

    def predict(self, model: nn.Module, batch: Batch) -> list[list[float]]:
        return [[float(row[-1])] for row in model(batch.src, batch.state)[0]]

    def score(self, predictions: list[Any], examples: list[Example]) -> dict[str, float]:
        return {"mean": float(np.mean([best[0] for best in predictions]))}


def reader(dropout: float = 0.0) -> Reader:
    torch.manual_seed(7)
    return Reader(dropout)


def gradients(model: nn.Module, task: Echo | None = None, said: list[str] | None = None) -> Gradients:
    return Gradients(
        model=model,
        task=task or Echo(),
        data=Wave(),
        clip_norm=None,
        precision="fp32",
        seed=1,
        processes=ALONE,
        say=(said if said is not None else []).append,
    )


def whole(model: Reader, wave: Wave) -> Tensor:
    """The loss of one pass over all that there is."""
    src, tgt = (torch.cat(list(side.values)).unsqueeze(0) for side in wave.batch(range(len(wave)))[:2])
    return (model(Padded(src, torch.tensor([src.shape[1]])))[0] - tgt).square().sum()


def fit(
    processes: Processes, folder: Path, at: dict[int, Callable[[Processes], None]] | None = None, **changes: Any
) -> None:
    """Twenty windows in three streams, so that an epoch has seven batches, the last of them with two rows."""
    torch.manual_seed(99)
    model = reader(changes.pop("dropout", 0.0))
    settings = {"max_updates": UPDATES, "checkpoint_every": 2, "batching": Streams(streams=3), **changes}
    log = Quiet(
        folder if processes.first else folder.parent / f"log {processes.rank}",
        at={update: functools.partial(call, processes) for update, call in (at or {}).items()},
    )
    trainer(**settings).fit(
        model=model,
        task=Echo(),
        train=Wave(),
        valid=Wave(36),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.5),
        schedule=Constant(warmup=0),
        run=folder,
        log=log,
        write=lambda folder: save_model(model, str(folder / "weights.safetensors")),
        seed=5,
        processes=processes,
    )


def interrupt(processes: Processes) -> None:
    signal.raise_signal(signal.SIGINT)


def assert_close(folder: Path, other: Path) -> None:
    one, two = final(folder)[1], final(other)[1]
    assert one["carry"].keys() == two["carry"].keys()
    states = [{str(index): state for index, state in nest["carry"].items()} for nest in (one, two)]
    torch.testing.assert_close(*states, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(dict(one["model"]), dict(two["model"]), rtol=1e-4, atol=1e-5)
    for split in ("train", "valid"):
        for left, right in zip(metrics(folder, split), metrics(other, split), strict=True):
            assert left["loss"] == pytest.approx(right["loss"], rel=1e-4)


def test_states_are_put_to_the_rows_that_go_on_from_them() -> None:
    carry = Carry()
    rows = torch.arange(6.0).reshape(3, 2)
    carry.keep([4, 5, 6], ((rows, rows * 10),))
    carry.settle([carry.fresh])
    carry.keep([8], ((rows[:1] + 100, rows[:1]),))
    src = Padded(torch.zeros(4, 1), torch.ones(4))
    (first, second) = carry.onto(Batch(src, None, [6, 0, 7, 9], [5, None, 6, 8])).state[0]
    assert first.tolist() == [[2, 3], [0, 0], [4, 5], [100, 101]]
    assert second.tolist() == [[20, 30], [0, 0], [40, 50], [0, 1]]
    assert carry.onto(Batch(src, None, [1], [30])).state is None
    assert carry.onto(Batch(src, None, [1])).state is None
    carry.begin()
    assert carry.onto(Batch(src, None, [9], [8])).state is None, "a try that did not hold has left nothing"


@pytest.mark.parametrize("parts", [1, 3])
def test_windows_add_up_to_one_pass_in_value(parts: int) -> None:
    """Also where the batches of an update go on from each other."""
    model, wave = reader(), Wave()
    batches = list(Streams(streams=1).epoch(wave, seed=1, epoch=0))
    filler = gradients(model)
    found = [filler.fill(batches[first : first + parts], 1)[0] for first in range(0, len(batches), parts)]
    total = sum(sums.figures["loss"] for sums in found)
    assert total == pytest.approx(float(whole(model, wave).detach()), rel=1e-5)
    seen = validate(model, Echo(), wave, Streams(streams=1))
    assert seen.figures["loss"] == pytest.approx(total / 60, rel=1e-5)
    apart = validate(model, Echo(), wave, Batching(sentences=8))
    assert apart.figures["loss"] != pytest.approx(total / 60, rel=1e-3)
    assert [best[0] for best in apart.predictions] != pytest.approx([best[0] for best in seen.predictions], rel=1e-3)


def test_nothing_is_learned_through_a_carried_state() -> None:
    model, wave = reader(), Wave()
    filler = gradients(model)
    for index in range(2):
        sums, _ = filler.fill([np.array([index])], 1)
    found = {name: parameter.grad * sums.count for name, parameter in model.named_parameters()}
    first, second = wave.batch([0]), wave.batch([1])
    model.zero_grad()
    with torch.no_grad():
        _, state = model(first.src)
    (model(second.src, state)[0] - second.tgt.values).square().sum().backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, msg=name)


def test_a_try_that_memory_ran_out_on_leaves_no_state() -> None:
    """The first try has kept the states of the first batch when memory runs out on the second."""
    batches = list(Streams(streams=4).epoch(Wave(), seed=1, epoch=0))
    expected, found, said = gradients(reader()), None, list[str]()

    def hook(total: Tensor, batch: Batch) -> Tensor:
        if len(batch.indices) > 2 and batch.indices[0] % 5 == 3:
            raise RuntimeError("CUDA out of memory")
        return total

    found = gradients(reader(), Echo(hook), said)
    for first in (0, 2):
        one, _ = expected.fill(batches[first : first + 2], 1)
        two, _ = found.fill(batches[first : first + 2], 1)
        assert one.figures == pytest.approx(two.figures, rel=1e-5)
        for left, right in zip(expected.model.parameters(), found.model.parameters()):
            torch.testing.assert_close(left.grad, right.grad, rtol=1e-4, atol=1e-6)
        assert expected.carry.states.keys() == found.carry.states.keys()
    assert len(said) == 1 and "out of memory on 4 examples" in said[0]


def test_states_do_not_pile_up() -> None:
    filler = gradients(reader())
    for batch in Streams(streams=4).epoch(Wave(), seed=1, epoch=0):
        filler.fill([batch], 1)
        assert sorted(filler.carry.states) == batch.tolist()
        (hidden, *_), *_ = filler.carry.states[int(batch[0])]
        assert hidden.untyped_storage().nbytes() == hidden.nbytes, "a row is not a view of all"


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("update", range(1, UPDATES))
def test_stopped_at_any_update_and_resumed(tmp_path: Path, update: int, accumulate: int) -> None:
    """Law 4, over the end of an epoch: streams then go on from the ends of others."""
    settings = {"accumulate": accumulate, "dropout": 0.3, "checkpoint_every": 3}
    fit(ALONE, tmp_path / "whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        fit(ALONE, tmp_path / "run", {update: interrupt}, **settings)
    fit(ALONE, tmp_path / "run", **settings)
    assert differing(final(tmp_path / "run"), final(tmp_path / "whole")) == []
    assert metrics(tmp_path / "run", "valid") == metrics(tmp_path / "whole", "valid")
    assert final(tmp_path / "run")[1]["carry"]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_processes_equal_one(tmp_path: Path, accumulate: int) -> None:
    """Law 5; one of them is stopped on the way, and goes on alone, and then both again."""
    work = functools.partial(fit, accumulate=accumulate)
    work(ALONE, tmp_path / "alone")
    stopped = {3: functools.partial(die, rank=1, number=signal.SIGINT)}
    assert run(work, tmp_path / "two", stopped, said=tmp_path / "said") == [130, 130]
    with pytest.raises(KeyboardInterrupt):
        work(ALONE, tmp_path / "two", {6: interrupt})
    assert run(work, tmp_path / "two", said=tmp_path / "said") == [0, 0]
    assert_close(tmp_path / "two", tmp_path / "alone")


def test_a_checkpoint_from_before_there_were_states(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(ALONE, tmp_path / "run", {3: interrupt})
    path = tmp_path / "run" / "last" / "training.pt"
    state = torch.load(path, weights_only=True)
    del state["carry"]
    torch.save(state, path)
    fit(ALONE, tmp_path / "run")
    assert final(tmp_path / "run")[1]["progress"][0] == UPDATES
