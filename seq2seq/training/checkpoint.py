"""Checkpoints: folders that a run can be resumed from, each of which is also a model that can be used.

``<run>/checkpoints/0001500/`` holds what ``write`` puts there (a bundle) and ``training.pt`` (all else that a resumed
run must know). A checkpoint is written aside and renamed, so that one that has its name is whole.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from seq2seq.errors import ConfigError, TrainingError

FIGURES, TRAINING = "metrics.json", "training.pt"


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: Where they lie.
        keep_last: How many of the latest to keep, 1 or more.
        keep_best: How many of those with the best figure to keep besides, 1 or more.
        metric: Which figure of the validations says what is best.
        mode: ``min`` or ``max``.
    """

    def __init__(self, folder: Path, *, keep_last: int, keep_best: int, metric: str, mode: str) -> None:
        for name, count in (("keep_last", keep_last), ("keep_best", keep_best)):
            if count < 1:
                raise ConfigError(f"{name}={count}: at least one must be kept, to go on from and to use")
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
            self._clean()
            aside.mkdir(parents=True)
            write(aside)
            (aside / FIGURES).write_text(json.dumps(figures, indent=1), encoding="utf-8")
            with (aside / TRAINING).open("wb") as file:
                torch.save(training, file)
            sync(aside)
            if target.exists():  # left by a run that is now resumed from before it
                shutil.rmtree(target)
            aside.rename(target)
            sync(self.folder)
        except (OSError, RuntimeError, SafetensorError) as error:
            # torch tells of a full disk by a RuntimeError in its own words, raised while the system's was handled.
            cause = error.__context__ if isinstance(error.__context__, OSError) else error
            previous = self.latest()
            kept = f"the one before it, {previous}, is whole" if previous else "there is none before it"
            raise TrainingError(f"{target}: cannot be written ({cause}); {kept}; make room, then resume") from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        self._prune()
        return target

    def all(self) -> list[Path]:
        """The whole checkpoints, oldest first."""
        found = [path for path in self.folder.glob("[0-9]*") if path.name.isdigit() and (path / TRAINING).exists()]
        return sorted(found, key=lambda path: int(path.name))

    def latest(self) -> Path | None:
        """The last whole checkpoint."""
        return (self.all() or [None])[-1]  # type: ignore[list-item]

    def best(self, count: int = 1) -> list[Path]:
        """Up to ``count`` checkpoints with the best figures, best first; of equals, the earlier."""
        sign = 1 if self.mode == "min" else -1
        rated = [(figures[self.metric], path) for path in self.all() if self.metric in (figures := read_figures(path))]
        rated.sort(key=lambda pair: (math.isnan(pair[0]), sign * pair[0]))  # NaN is worse than anything
        return [path for _, path in rated[:count]]

    def _clean(self) -> None:
        """Removes what was being written when a process was killed."""
        for part in self.folder.glob(".*.part"):
            shutil.rmtree(part)

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
        return torch.load(checkpoint / TRAINING, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        what = str(error).partition("\n")[0]
        raise TrainingError(
            f"{checkpoint / TRAINING}: cannot be read ({what}); remove {checkpoint} to resume from the one before it"
        ) from error


def sync(folder: Path) -> None:
    """Waits until a folder and all in it are on the disk, so that a rename cannot outrun the content."""
    for path in (*folder.rglob("*"), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def point(link: Path, target: Path) -> None:
    """Makes a link to a folder, or turns it there, in one step."""
    aside = link.with_name(f".{link.name}.{os.getpid()}")
    aside.symlink_to(os.path.relpath(target, link.parent), target_is_directory=True)
    aside.replace(link)
