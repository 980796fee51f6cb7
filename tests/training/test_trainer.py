"""The loop: when it ends, validates and saves, and what it does when something goes wrong."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seq2seq.data.batching import Batching
from seq2seq.errors import ConfigError, TrainingError
from seq2seq.training.checkpoint import read_figures
from seq2seq.training.optim import StepDecay
from seq2seq.types import Batch
from tests.training.small import Lines, Slope, final, fit_toy, metrics, toy


def updates(run: Path) -> list[int]:
    """The checkpoints of a run that kept them all."""
    return sorted(int(path.name) for path in (run / "checkpoints").iterdir())


everything = functools.partial(fit_toy, keep_last=99)


# When things happen ---------------------------------------------------------------------------------------------


def test_checkpoints_and_validations_at_their_updates(tmp_path: Path) -> None:
    everything(tmp_path, max_updates=13, validate_every=5, checkpoint_every=3)
    assert updates(tmp_path) == [3, 5, 6, 9, 10, 12, 13]
    assert [line["update"] for line in metrics(tmp_path, "valid")] == [5, 10, 13]
    validated = [path.name for path in (tmp_path / "checkpoints").iterdir() if read_figures(path)]
    assert sorted(validated) == ["0000005", "0000010", "0000013"]


def test_validated_once_where_the_end_is_also_its_turn(tmp_path: Path) -> None:
    everything(tmp_path, max_updates=10, validate_every=5)
    assert [line["update"] for line in metrics(tmp_path, "valid")] == [5, 10]


def test_an_epochs_last_group_is_an_update_like_any_other(tmp_path: Path) -> None:
    """Five batches an epoch in groups of two: 2, 2, 1. Validated at 3 and 6, though both end an epoch."""
    settings = {"max_updates": None, "max_epochs": 2, "accumulate": 2, "validate_every": 3, "checkpoint_every": 1}
    _, log, _ = everything(tmp_path, **settings)
    assert log.seen == [1, 2, 3, 4, 5, 6]
    assert [line["update"] for line in metrics(tmp_path, "valid")] == [3, 6]
    assert updates(tmp_path) == [1, 2, 3, 4, 5, 6]
    places = [torch.load(tmp_path / "checkpoints" / f"{u:07d}" / "training.pt")["progress"] for u in range(1, 7)]
    assert places == [(1, 0, 2), (2, 0, 4), (3, 1, 0), (4, 1, 2), (5, 1, 4), (6, 2, 0)]


def test_every_example_once_an_epoch_however_batches_are_grouped(tmp_path: Path) -> None:
    seen: list[int] = []

    def look(total: Tensor, batch: Batch, update: int) -> Tensor:
        seen.extend(batch.indices)
        return total

    everything(tmp_path, max_updates=None, max_epochs=2, accumulate=3, task=Slope(look))
    assert sorted(seen[:20]) == sorted(seen[20:]) == list(range(20))
    assert seen[:20] != seen[20:]


def test_interrupted_where_an_epoch_ends(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        everything(tmp_path, accumulate=2, at={3: lambda: os.kill(os.getpid(), signal.SIGINT)}, checkpoint_every=99)
    assert updates(tmp_path) == [3]
    assert final(tmp_path)[1]["progress"] == (3, 1, 0)


def test_interrupted_at_a_validation_it_is_made_and_saved(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        everything(tmp_path, at={5: lambda: os.kill(os.getpid(), signal.SIGTERM)}, checkpoint_every=99)
    assert [line["update"] for line in metrics(tmp_path, "valid")] == [5]
    assert updates(tmp_path) == [5]


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    def twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        everything(tmp_path, at={3: twice}, checkpoint_every=2)
    assert updates(tmp_path) == [2]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_stops_when_patience_ends(tmp_path: Path) -> None:
    """With no learning rate nothing improves after the first validation."""
    _, log, best = everything(tmp_path, max_updates=None, lr=0.0, validate_every=2, patience=3)
    assert log.seen[-1] == 8
    assert best.name == "0000002"


def test_the_best_is_returned_and_linked(tmp_path: Path) -> None:
    """Learns until update 6, and then by a far too high rate unlearns."""
    schedule = StepDecay(warmup=0, start=7, every=99, factor=100.0)
    _, _, best = fit_toy(tmp_path, schedule=schedule, validate_every=2, keep_last=1, lr=0.02, clip_norm=None)
    losses = {line["update"]: line["loss"] for line in metrics(tmp_path, "valid")}
    assert min(losses, key=lambda update: losses[update]) == 6
    assert best.name == (tmp_path / "best").resolve().name == "0000006"
    assert (tmp_path / "last").resolve().name == "0000010"
    assert updates(tmp_path) == [6, 10]


def test_an_unknown_figure_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'lost'.*did you mean 'loss'"):
        fit_toy(tmp_path, metric="lost")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_updates": None}, "nothing would end the training"),
        ({"precision": "bf32"}, "precision='bf32': did you mean"),
        ({"accumulate": 0}, "accumulate.*at least 1"),
        ({"validate_every": 0}, "validate_every.*at least 1"),
        ({"mode": "least"}, "mode='least'"),
    ],
)
def test_mistakes(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fit_toy(tmp_path, **changes)


# What an update does --------------------------------------------------------------------------------------------


def test_an_update_by_hand(tmp_path: Path) -> None:
    """The loss of a slope w is the mean of (w - 3)² x², so its gradient at 0 is -6 times the mean of x²."""
    lines = Lines(3)  # x = -1, 0, 1
    model, _, _ = fit_toy(tmp_path, train=lines, max_updates=1, lr=0.1, clip_norm=None)
    assert model.weight.item() == pytest.approx(0.1 * 6 * 2 / 3)
    (line,) = metrics(tmp_path, "train")
    assert line["norm"] == pytest.approx(4.0)
    assert line["loss"] == pytest.approx(9 * 2 / 3)
    assert line["lr"] == 0.1


def test_the_gradient_is_clipped_by_its_norm(tmp_path: Path) -> None:
    model, _, _ = fit_toy(tmp_path, train=Lines(3), max_updates=1, lr=0.1, clip_norm=0.5)
    assert model.weight.item() == pytest.approx(0.1 * 0.5, rel=1e-4)
    assert metrics(tmp_path, "train")[0]["norm"] == pytest.approx(4.0)  # before it was clipped


def test_the_schedule_drives_the_rate(tmp_path: Path) -> None:
    fit_toy(tmp_path, max_updates=4, schedule=StepDecay(warmup=2, start=3, every=1, factor=0.1), lr=1e-3)
    assert [line["lr"] for line in metrics(tmp_path, "train")] == pytest.approx([5e-4, 1e-3, 1e-4, 1e-5])


def test_the_average_is_validated_and_saved_while_the_raw_weights_are_trained(tmp_path: Path) -> None:
    plain, _, _ = fit_toy(tmp_path / "plain", max_updates=6)
    model, _, best = fit_toy(tmp_path / "averaged", max_updates=6, average=0.9)
    assert torch.equal(model.weight, plain.weight)
    weights, state = final(tmp_path / "averaged")
    assert torch.equal(state["model"]["weight"], plain.weight)
    assert torch.equal(weights["weight"], state["average"]["weights"]["weight"])
    averaged = weights["weight"].item()
    assert averaged != plain.weight.item()
    squares = torch.linspace(-1, 1, 5).square().mean().item()
    assert read_figures(best)["loss"] == pytest.approx((averaged - 3) ** 2 * squares)


# What goes wrong ------------------------------------------------------------------------------------------------


def too_large(limit: int, message: str = "CUDA out of memory. Tried to allocate 2.00 GiB") -> Slope:
    """Raises on batches of more than ``limit`` examples."""

    def hook(total: Tensor, batch: Batch, update: int) -> Tensor:
        if len(batch.indices) > limit:
            raise MemoryError if not message else RuntimeError(message)
        return total

    return Slope(hook)


class Fails(torch.autograd.Function):
    """Raises in the middle of backward, once the gradients behind it have been written."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")


class Two(nn.Module):
    """Two slopes that are added; the second is computed first in backward, and the first can fail."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit, self.first, self.second = limit, toy(), toy()

    def forward(self, values: Tensor) -> Tensor:
        first = self.first(values)
        if self.training and len(values) > self.limit:
            first = Fails.apply(first)
        return first + self.second(values)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("message", ["CUDA out of memory. Tried to allocate", "can't allocate memory", ""])
def test_a_batch_that_is_too_large_is_split(tmp_path: Path, message: str, accumulate: int) -> None:
    settings = {"max_updates": 4, "clip_norm": None, "accumulate": accumulate, "batching": Batching(sentences=7)}
    expected, _, _ = fit_toy(tmp_path / "whole", train=Lines(21), **settings)
    model, log, _ = fit_toy(tmp_path / "split", train=Lines(21), task=too_large(3, message), **settings)
    assert model.weight.item() == pytest.approx(expected.weight.item(), rel=1e-5)
    said = log.said.getvalue()
    assert "update 1: out of memory on 7 examples (lines.txt:" in said
    assert "update 1: out of memory on 4 examples" in said
    assert metrics(tmp_path / "split", "train")[0]["norm"] == pytest.approx(
        metrics(tmp_path / "whole", "train")[0]["norm"], rel=1e-5
    )


def test_memory_that_runs_out_in_the_middle_of_backward(tmp_path: Path) -> None:
    settings = {"max_updates": 4, "clip_norm": None, "accumulate": 2}
    expected, _, _ = fit_toy(tmp_path / "whole", model=Two(99), **settings)
    model, log, _ = fit_toy(tmp_path / "split", model=Two(2), **settings)
    assert "out of memory on 4 examples" in log.said.getvalue()
    for name in ("first", "second"):
        assert getattr(model, name).weight.item() == pytest.approx(getattr(expected, name).weight.item(), rel=1e-5)


def test_one_example_that_is_too_large(tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as caught:
        fit_toy(tmp_path, task=too_large(0))
    text = str(caught.value)
    assert "update 1: out of memory on one example alone, lines.txt:" in text
    assert "data.filters.max_length" in text
    assert "\n" not in text


def test_a_validation_batch_that_is_too_large_is_split(tmp_path: Path) -> None:
    class Heavy(Slope):
        def predict(self, model: nn.Module, batch: Batch) -> list[list[float]]:
            if len(batch.indices) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super().predict(model, batch)

    fit_toy(tmp_path / "whole")
    _, log, _ = fit_toy(tmp_path / "split", task=Heavy())
    assert "validation: out of memory on 4 examples" in log.said.getvalue()
    for one, other in zip(metrics(tmp_path / "split", "valid"), metrics(tmp_path / "whole", "valid")):
        assert [one[key] for key in ("loss", "error")] == pytest.approx([other[key] for key in ("loss", "error")])


def test_other_errors_are_not_taken_for_it(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        fit_toy(tmp_path, task=too_large(0, "mat1 and mat2 shapes cannot be multiplied"))


def not_finite(at: int, change: Callable[[Tensor], Tensor]) -> Slope:
    return Slope(lambda total, batch, update: change(total) if update == at else total)


def test_a_loss_that_is_not_finite_stops_and_names_the_lines(tmp_path: Path) -> None:
    lines, task = Lines(600), not_finite(6, lambda total: total * torch.nan)
    with pytest.raises(TrainingError) as caught:
        fit_toy(tmp_path, train=lines, task=task, checkpoint_every=2, batching=Batching(sentences=300))
    text = str(caught.value)
    assert text.startswith("the loss became nan at update 6, on lines.txt:")
    assert f"297 more, all in {tmp_path / 'not_finite.tsv'}" in text
    assert f"the last good checkpoint is {tmp_path / 'checkpoints' / '0000005'}" in text
    assert "\n" not in text
    assert len(text.replace(str(tmp_path), "")) < 250
    named = [line.split("\t") for line in (tmp_path / "not_finite.tsv").read_text(encoding="utf-8").splitlines()]
    assert len(named) == 300
    assert all(line == list(lines.example(int(line[0].partition(":")[2]) - 1))[2:] + line[1:] for line in named)
    assert all(float(tgt) == pytest.approx(3 * float(src), abs=1e-5) for _, src, tgt in named)
    assert final(tmp_path)[1]["progress"][0] == 5
    _, log, _ = fit_toy(tmp_path, train=lines, batching=Batching(sentences=300))
    assert log.seen[0] == 6


def test_of_a_group_only_the_batch_whose_loss_it_was_is_named(tmp_path: Path) -> None:
    def bad(total: Tensor, batch: Batch, update: int) -> Tensor:
        return total / 0 if 7 in batch.indices else total

    with pytest.raises(TrainingError, match=r"the loss became inf at update 1, on .*; there is no checkpoint yet"):
        fit_toy(tmp_path, train=Lines(8), task=Slope(bad), accumulate=2)
    named = (tmp_path / "not_finite.tsv").read_text(encoding="utf-8")
    assert len(named.splitlines()) == 4
    assert "lines.txt:8\t" in named


def test_a_gradient_that_is_not_finite_leaves_the_weights_alone(tmp_path: Path) -> None:
    """The root of 0 is 0, but its slope is infinite."""
    task, model = not_finite(3, lambda total: total + (total * 0).sqrt()), toy()
    with pytest.raises(TrainingError, match=r"the gradient became (nan|inf) at update 3, on lines.txt:"):
        fit_toy(tmp_path, task=task, model=model)
    assert torch.isfinite(model.weight).all()


def test_weights_that_grow_past_all_bounds_are_never_saved(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"the norm of the weights became inf at update 1, .* no checkpoint yet"):
        fit_toy(tmp_path, lr=3e38, clip_norm=None, checkpoint_every=1, batching=Batching(sentences=20))
    assert not (tmp_path / "checkpoints").exists()


def test_a_validation_before_the_first_update_is_one_like_any_other(tmp_path: Path) -> None:
    fit_toy(tmp_path / "run", max_updates=4, validate_every=4, validate_first=True, keep_last=9)
    assert [line["update"] for line in metrics(tmp_path / "run", "valid")] == [0, 4]
    assert (tmp_path / "run" / "checkpoints" / "0000000").is_dir()
    first, last = metrics(tmp_path / "run", "valid")
    assert first["loss"] > last["loss"]
    fit_toy(tmp_path / "run", max_updates=6, validate_every=6, validate_first=True, keep_last=9)
    assert [line["update"] for line in metrics(tmp_path / "run", "valid")] == [0, 4, 6], "only where a run begins"
