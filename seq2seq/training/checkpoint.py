"""Checkpoints: folders that a run can be resumed from, each of which is also a model that can be used.

``<run>/checkpoints/0001500/`` holds what ``write`` puts there (a bundle) and ``training.pt`` (all else that a resumed
run must know). A checkpoint is written aside and renamed, so that one that has its name is whole.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from seq2seq.errors import ConfigError, TrainingError

FIGURES, TRAINING = "metrics.json", "training.pt"


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: Where they lie.
        keep_last: How many of the latest to keep.
        keep_best: How many of those with the best figure to keep besides.
        metric: Which figure of the validations says what is best.
        mode: ``min`` or ``max``.
    """

    def __init__(self, folder: Path, *, keep_last: int, keep_best: int, metric: str, mode: str) -> None:
        if keep_last < 1:
            raise ConfigError(f"keep_last={keep_last}: at least one checkpoint must be kept")
        self.folder = folder
        self.keep_last, self.keep_best = keep_last, keep_best
        self.metric, self.mode = metric, mode

    def save(
        self, update: int, *, write: Callable[[Path], None], training: dict[str, Any], figures: dict[str, float]
    ) -> Path:
        """Writes a checkpoint and removes those that are no longer wanted; returns its folder.

        Args:
            update: Its number.
            write: Puts the usable model into the folder it is given.
            training: Nest of tensors and plain values for ``training.pt``.
            figures: Of the validation at this update; empty where there was none.
        """
        target = self.folder / f"{update:07d}"
        aside = self.folder / f".{target.name}.part"
        try:
            if aside.exists():
                shutil.rmtree(aside)
            aside.mkdir(parents=True)
            write(aside)
            (aside / FIGURES).write_text(json.dumps(figures, indent=1), encoding="utf-8")
            torch.save(training, aside / TRAINING)
            sync(aside)
            if target.exists():  # left by a run that is now resumed from before it
                shutil.rmtree(target)
            aside.rename(target)
        except (OSError, RuntimeError) as error:  # torch.save tells of a full disk by a RuntimeError
            shutil.rmtree(aside, ignore_errors=True)
            previous = self.latest()
            kept = f"the one before it, {previous}, is whole" if previous else "there is none before it"
            raise TrainingError(f"{target}: cannot be written ({error}); {kept}; make room, then resume") from error
        self._prune()
        return target

    def all(self) -> list[Path]:
        """The whole checkpoints, oldest first."""
        return sorted(path for path in self.folder.glob("[0-9]*") if (path / TRAINING).exists())

    def latest(self) -> Path | None:
        """The last whole checkpoint."""
        return (self.all() or [None])[-1]  # type: ignore[list-item]

    def best(self, count: int = 1) -> list[Path]:
        """Up to ``count`` checkpoints with the best figures, best first; of equals, the earlier."""
        sign = 1 if self.mode == "min" else -1
        rated = [(figures[self.metric], path) for path in self.all() if self.metric in (figures := read_figures(path))]
        return [path for _, path in sorted(rated, key=lambda pair: (sign * pair[0], pair[1]))][:count]

    def _prune(self) -> None:
        wanted = set(self.all()[-self.keep_last :]) | set(self.best(self.keep_best))
        point(self.folder.parent / "last", self.all()[-1])
        for best in self.best():
            point(self.folder.parent / "best", best)
        for path in self.all():
            if path not in wanted:
                shutil.rmtree(path)


def read_figures(checkpoint: Path) -> dict[str, float]:
    """The validation figures of a checkpoint; empty where it was not validated."""
    return json.loads((checkpoint / FIGURES).read_text(encoding="utf-8"))


def read_training(checkpoint: Path) -> dict[str, Any]:
    """What a resumed run must know. Tensors and plain values only: nothing is unpickled that could run code."""
    try:
        return torch.load(checkpoint / TRAINING, weights_only=True)
    except (OSError, RuntimeError, EOFError) as error:
        raise TrainingError(f"{checkpoint / TRAINING}: cannot be read ({error}); resume from an earlier one") from error


def sync(folder: Path) -> None:
    """Waits until every file of a folder is on the disk, so that a rename cannot outrun its content."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def point(link: Path, target: Path) -> None:
    """Makes a link to a folder, or turns it there, in one step."""
    aside = link.with_name(f".{link.name}.{os.getpid()}")
    aside.symlink_to(os.path.relpath(target, link.parent), target_is_directory=True)
    aside.replace(link)
