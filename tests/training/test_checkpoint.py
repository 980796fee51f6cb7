"""Checkpoints: whole or not there, the wanted ones kept, links that lead somewhere."""

from __future__ import annotations

import errno
import json
import math
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from seq2seq.errors import ConfigError, TrainingError
from seq2seq.training import checkpoint
from seq2seq.training.checkpoint import Checkpoints, read_figures, read_training


def checkpoints(run: Path, **changes: object) -> Checkpoints:
    settings = {"keep_last": 2, "keep_best": 1, "metric": "bleu", "mode": "max", **changes}
    return Checkpoints(run / "checkpoints", **settings)  # type: ignore[arg-type]


def save(kept: Checkpoints, update: int, **figures: float) -> Path:
    def write(folder: Path) -> None:
        (folder / "model").write_text(str(update), encoding="utf-8")

    return kept.save(update, write=write, training={"update": update}, figures=figures)


def names(kept: Checkpoints) -> list[int]:
    return [int(path.name) for path in kept.all()]


def test_what_is_saved_can_be_read(tmp_path: Path) -> None:
    path = save(checkpoints(tmp_path), 7, bleu=1.5)
    assert path == tmp_path / "checkpoints" / "0000007"
    assert (path / "model").read_text(encoding="utf-8") == "7"
    assert read_training(path) == {"update": 7}
    assert read_figures(path) == {"bleu": 1.5}


def test_the_last_and_the_best_are_kept_and_linked(tmp_path: Path) -> None:
    kept = checkpoints(tmp_path, keep_last=2, keep_best=2)
    history = []
    for update, bleu in enumerate((5.0, 9.0, 7.0, 8.0, 1.0, 2.0), start=1):
        save(kept, update, bleu=bleu)
        links = [int((tmp_path / name).resolve().name) for name in ("last", "best")]
        history.append((names(kept), links))
    assert history == [
        ([1], [1, 1]),
        ([1, 2], [2, 2]),
        ([2, 3], [3, 2]),
        ([2, 3, 4], [4, 2]),
        ([2, 4, 5], [5, 2]),
        ([2, 4, 5, 6], [6, 2]),
    ]
    assert all(
        (tmp_path / name).is_symlink() and not (tmp_path / name).readlink().is_absolute() for name in ("last", "best")
    )


def test_those_without_a_validation_are_never_best(tmp_path: Path) -> None:
    kept = checkpoints(tmp_path, keep_last=1)
    save(kept, 1)
    assert not (tmp_path / "best").exists()
    save(kept, 2, bleu=0.0)
    save(kept, 3)
    assert names(kept) == [2, 3]
    assert [path.name for path in kept.best()] == ["0000002"]


def test_of_equals_the_earlier_is_best_and_what_is_no_number_is_worst(tmp_path: Path) -> None:
    kept = checkpoints(tmp_path, keep_last=9)
    for update, bleu in enumerate((math.nan, 3.0, 3.0, 1.0), start=1):
        save(kept, update, bleu=bleu)
    assert [int(path.name) for path in kept.best(4)] == [2, 3, 4, 1]
    low = checkpoints(tmp_path, keep_last=9, mode="min")
    assert [int(path.name) for path in low.best(4)] == [4, 2, 3, 1]


def test_numbers_are_numbers_and_strangers_are_left_alone(tmp_path: Path) -> None:
    kept = checkpoints(tmp_path, keep_last=1)
    save(kept, 9_999_999)
    save(kept, 10_000_000)
    copy = kept.folder / "0000001-copy"
    copy.mkdir()
    (copy / "training.pt").touch()
    save(kept, 10_000_001)
    assert names(kept) == [10_000_001]
    assert copy.exists()


def full(path: Path) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", str(path))


@pytest.mark.parametrize("place", ["the model", "the state", "the figures"])
def test_a_full_disk_leaves_the_previous_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    kept = checkpoints(tmp_path)
    before = save(kept, 1, bleu=1.0)
    write = full
    if place != "the model":
        monkeypatch.setattr(
            *((torch, "save") if place == "the state" else (json, "dumps")), lambda *_, **__: full(before)
        )
        write = Path.exists  # type: ignore[assignment]
    with pytest.raises(TrainingError) as caught:
        kept.save(2, write=write, training={}, figures={})
    assert "0000002: cannot be written" in str(caught.value)
    assert "No space left on device" in str(caught.value)
    assert f"{before}, is whole" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(kept.folder.iterdir()) == [before]
    assert (tmp_path / "last").resolve() == before
    monkeypatch.undo()
    assert read_training(before) == {"update": 1}
    save(kept, 2)
    assert names(kept) == [1, 2]


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The kernel refuses to write further, as it does when the disk is full."""
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, kept[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)


@pytest.mark.parametrize("large", ["model", "state"])
def test_a_write_that_the_system_refuses(tmp_path: Path, large: str) -> None:
    """safetensors and torch each have their own error for it; both are told in the system's words."""
    kept = checkpoints(tmp_path)
    before = save(kept, 1)
    model, state = (torch.zeros(9999 if large == name else 1) for name in ("model", "state"))
    with pytest.raises(TrainingError, match=r"0000002: cannot be written \(.*File too large.*\); the one before it"):  # noqa: SIM117
        with files_of_at_most(4096):
            kept.save(
                2,
                write=lambda folder: save_file({"model": model}, folder / "weights.safetensors"),
                training={"state": state},
                figures={},
            )
    assert list(kept.folder.iterdir()) == [before]


def test_no_room_for_the_first_one(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="there is none before it"):
        checkpoints(tmp_path).save(1, write=full, training={}, figures={})


def test_killed_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing after the kill is run, as with kill -9: what was written stays, and the next save removes it."""
    kept = checkpoints(tmp_path)
    before = save(kept, 1)

    def killed(folder: Path) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(SystemExit):
            kept.save(2, write=killed, training={}, figures={})
    assert (kept.folder / ".0000002.part").exists()
    assert kept.latest() == before
    save(kept, 3)
    assert sorted(path.name for path in kept.folder.iterdir()) == ["0000001", "0000003"]


def test_a_second_ctrl_c_while_writing_leaves_nothing_behind(tmp_path: Path) -> None:
    kept = checkpoints(tmp_path)
    before = save(kept, 1)

    def interrupted(folder: Path) -> None:
        (folder / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept.save(2, write=interrupted, training={}, figures={})
    assert list(kept.folder.iterdir()) == [before]


def test_saved_again(tmp_path: Path) -> None:
    kept = checkpoints(tmp_path)
    save(kept, 1, bleu=1.0)
    assert read_figures(save(kept, 1, bleu=2.0)) == {"bleu": 2.0}


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut short"])
def test_an_unreadable_state(tmp_path: Path, content: bytes) -> None:
    path = save(checkpoints(tmp_path), 1)
    (path / "training.pt").write_bytes(content)
    with pytest.raises(
        TrainingError, match=r"0000001/training.pt: cannot be read .*; remove .*0000001 to resume"
    ) as caught:
        read_training(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["keep_last", "keep_best"])
def test_one_of_each_is_needed(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}=0: at least one"):
        checkpoints(tmp_path, **{name: 0})
