"""Law 4: a run that is stopped at any update and resumed equals one that was not, bit for bit."""

from __future__ import annotations

import os
import random
import shutil
import signal
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_model

from seq2seq.data.batching import Batching
from seq2seq.errors import TrainingError
from seq2seq.training import checkpoint
from seq2seq.training.optim import Plateau
from tests.training.small import Lines, Quiet, Slope, corpus, differing, final, fit_toy, metrics, trainer, translation

UPDATES = 12


class Killed(BaseException):
    """The process is gone: nothing catches this."""


def kill() -> None:
    raise Killed


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def fit(run: Path, at: dict[int, Callable[[], None]] | None = None, **changes: Any) -> None:
    """All that is drawn at random is on: dropout, sampled pieces, scheduled sampling; and all that has a memory.

    Three epochs of five batches, in groups of two: updates 3, 6 and 9 have one batch.
    """
    torch.manual_seed(99)
    model, task = translation(dropout=0.3, scheduled=True)
    cache = run.parent / "cache"
    settings = {
        "max_updates": UPDATES,
        "accumulate": 2,
        "validate_every": 4,
        "checkpoint_every": 3,
        "patience": 9,
        "average": 0.9,
        "batching": Batching(sentences=4),
        **changes,
    }
    trainer(**settings).fit(
        model=model,
        task=task,
        train=corpus("train", 18, cache),
        valid=corpus("valid", 4, cache),
        optimizer=torch.optim.Adam(model.parameters(), lr=0.05),
        # A plateau for a figure that grows, so that the rate falls and the patience counts.
        schedule=Plateau(warmup=2, metric="loss", mode="max", factor=0.5, patience=1, floor=0.01),
        run=run,
        log=Quiet(run, at=at),
        write=lambda folder: save_model(model, str(folder / "weights.safetensors")),
        seed=5,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    run = tmp_path_factory.mktemp("whole") / "run"
    fit(run)
    return run


def assert_equal(run: Path, whole: Path) -> None:
    assert differing(final(run), final(whole)) == []
    assert metrics(run, "valid") == metrics(whole, "valid")


def test_the_undisturbed_run_exercises_what_must_be_restored(whole: Path) -> None:
    _, state = final(whole)
    assert state["progress"] == (UPDATES, 4, 0)
    assert state["schedule"]["current"] < 1
    assert state["best"]["metric"] == "loss"
    assert state["average"]["updates"] == UPDATES
    assert len(state["optimizer"]["state"]) > 10
    raw, averaged = state["model"]["decoder.readout.weight"], state["average"]["weights"]["decoder.readout.weight"]
    assert not torch.equal(raw, averaged)


@pytest.mark.parametrize("update", range(1, UPDATES))
def test_killed_at_any_update_and_resumed(whole: Path, tmp_path: Path, update: int) -> None:
    run = tmp_path / "run"
    with pytest.raises(Killed):
        fit(run, at={update: kill})
    fit(run)
    assert_equal(run, whole)


@pytest.mark.parametrize("update", [1, 4, 11, 12])
def test_interrupted_at_any_update_and_resumed(whole: Path, tmp_path: Path, update: int) -> None:
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        fit(run, at={update: interrupt})
    assert (run / "last").resolve().name == f"{update:07d}"
    fit(run)
    assert_equal(run, whole)


def test_interrupted_at_every_update(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    for update in range(1, UPDATES + 1):
        with pytest.raises(KeyboardInterrupt):
            fit(run, at={update: interrupt})
    fit(run)
    assert_equal(run, whole)


def test_more_checkpoints_change_nothing(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    fit(run, checkpoint_every=1, keep_last=20)
    assert_equal(run, whole)
    assert len(list((run / "checkpoints").iterdir())) == UPDATES


def test_patience_goes_on_where_it_was(tmp_path: Path) -> None:
    """The error never falls: the first validation is the best, and two more end the run at update 6."""
    settings: dict[str, Any] = {"lr": 0.0, "validate_every": 2, "checkpoint_every": 1, "patience": 2}
    run = tmp_path / "run"
    with pytest.raises(Killed):
        fit_toy(run, at={5: kill}, **settings)
    _, log, best = fit_toy(run, **settings)
    assert log.seen == [5, 6]
    assert best.name == "0000002"
    _, log, _ = fit_toy(run, **settings)
    assert log.seen == []


def test_python_and_numpy_generators_are_restored(tmp_path: Path) -> None:
    drawn: list[tuple[float, float]] = []

    def draw(total: torch.Tensor, *rest: Any) -> torch.Tensor:
        drawn.append((random.random(), float(np.random.random())))
        return total

    random.seed(1)
    np.random.seed(1)
    fit_toy(tmp_path / "whole", task=Slope(draw))
    expected = list(drawn)
    drawn.clear()
    random.seed(1)
    np.random.seed(1)
    with pytest.raises(Killed):
        fit_toy(tmp_path / "run", task=Slope(draw), at={4: kill})
    random.seed(2)
    np.random.seed(2)
    fit_toy(tmp_path / "run", task=Slope(draw))
    assert drawn[:4] == expected[:4]
    # Killed in the log's fourth update, before its checkpoint: the third is the first that is done again.
    assert drawn[4:] == expected[2:]


def test_what_is_sampled_has_a_seed_that_no_process_changes(tmp_path: Path) -> None:
    lines = Lines()
    fit_toy(tmp_path / "run", train=lines, max_updates=3, accumulate=2)
    drawn = [seed for seed in lines.seeds if seed is not None]
    counts = [drawn.count(zlib.crc32(f"1 {update}".encode())) for update in (1, 2, 3)]
    assert counts == [2, 2, 1], "and those of the update that did not come to pass may have been made ahead"


def test_changed_values_hold(tmp_path: Path) -> None:
    """What the optimizer's state says of the learning rate and its like is older than what the user says now."""
    run = tmp_path / "run"
    fit_toy(run, max_updates=4)
    fit_toy(run, max_updates=6, lr=0.025)
    rates = {line["update"]: line["lr"] for line in metrics(run, "train")}
    assert rates == {1: 0.1, 2: 0.1, 3: 0.1, 4: 0.1, 5: 0.025, 6: 0.025}


def test_another_figure_begins_anew(tmp_path: Path) -> None:
    run = tmp_path / "run"
    fit_toy(run, max_updates=4, validate_every=2)
    _, _, best = fit_toy(run, max_updates=6, validate_every=2, metric="error", mode="max", keep_last=9)
    _, state = final(run)
    errors = {line["update"]: line["error"] for line in metrics(run, "valid")}
    assert state["best"]["value"] == errors[6]
    assert state["best"]["metric"] == "error"
    assert errors[int(best.name)] == max(errors.values())  # of all that are kept, by the new figure


def test_an_average_switched_on_in_between_begins_at_the_weights(tmp_path: Path) -> None:
    run = tmp_path / "run"
    fit_toy(run, max_updates=4)
    before = final(run)[1]["model"]["weight"]
    fit_toy(run, max_updates=5, average=0.5)
    _, after = final(run)
    assert after["average"]["updates"] == 1
    expected = before + (after["model"]["weight"] - before) * (1 - 2 / 11)
    assert torch.allclose(after["average"]["weights"]["weight"], expected)


def test_an_end_that_has_passed_already(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        fit_toy(run, at={3: interrupt})
    _, log, best = fit_toy(run, max_updates=2)
    assert log.seen == []
    assert best.name == "0000003"
    assert "loss" in checkpoint.read_figures(best)


def test_fewer_batches_in_an_epoch_than_before(tmp_path: Path) -> None:
    """The cursor then lies past the epoch's end: the next epoch follows."""
    run = tmp_path / "run"
    fit_toy(run, max_updates=4)
    fit_toy(run, max_updates=6, batching=Batching(sentences=10))
    assert final(run)[1]["progress"] == (6, 2, 0)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    run = tmp_path / "run"
    fit_toy(run, max_updates=4)
    target = (run / "last" / "training.pt").resolve()
    target.write_bytes(target.read_bytes()[:500])
    with pytest.raises(TrainingError) as caught:
        fit_toy(run)
    assert str(target) in str(caught.value)
    assert "\n" not in str(caught.value)
    shutil.rmtree(target.parent)
    _, log, _ = fit_toy(run)
    assert log.seen[0] == 3
