"""What a run shows while it goes on, and what it leaves to be read afterwards.

In a terminal there is a bar, elsewhere plain lines; both carry the same words. A run folder gets ``metrics.jsonl`` (a
JSON object a line), ``outputs.jsonl`` (what the model gave for some examples at each validation), ``train.log`` (every
line that was said) and ``tensorboard/`` (event files).
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from tqdm import tqdm

from seq2seq.errors import TrainingError


@dataclass
class _Window:
    """Sums over some neighbouring updates."""

    updates: int = 0
    tokens: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    latest: dict[str, float] = field(default_factory=dict)

    def add(self, figures: Mapping[str, float], tokens: int, seconds: float) -> None:
        self.updates += 1
        self.tokens += tokens
        self.seconds += seconds
        self.latest = dict(figures)
        for name, value in figures.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def joined(self, other: _Window) -> _Window:
        """Both as one; what is latest is the other's."""
        sums = {name: self.sums.get(name, 0.0) + value for name, value in other.sums.items()}
        return _Window(
            self.updates + other.updates, self.tokens + other.tokens, self.seconds + other.seconds, sums, other.latest
        )

    def means(self) -> dict[str, float]:
        """Means over the updates. The learning rate is no noisy figure, so the latest one is given."""
        means = {name: self.sums[name] / self.updates for name in self.latest}
        if "lr" in means:
            means["lr"] = self.latest["lr"]
        return means

    @property
    def speed(self) -> float:
        """Tokens a second."""
        return self.tokens / self.seconds if self.seconds > 0 else math.nan


class RunLog:
    """Shows and records one run; a context manager.

    Args:
        folder: the run's folder; it is made when the first thing is written.
        total: the number of updates that the run is meant to make, or None where only stopping early ends it.
        every: the number of updates between two plain lines, and over which the training figures are averaged.
        stream: where to print (standard output when None); a bar is drawn when it is a terminal.
    """

    def __init__(self, *, folder: Path, total: int | None, every: int, stream: TextIO | None = None) -> None:
        if every < 1:
            raise ValueError(f"every is {every}; expected a number of updates, at least 1")
        self.folder = Path(folder)
        self.total = total
        self.every = every
        self._stream = stream if stream is not None else sys.stdout
        self._bar: tqdm | None = None
        self._writer: Any = None
        self._resumed_at: int | None = None
        self._window, self._previous = _Window(), _Window()
        self._first: int | None = None
        self._began = self._last = time.monotonic()

    def __enter__(self) -> RunLog:
        self._began = self._last = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leaves the bar as it stands and closes the event file; may be called twice."""
        if self._bar is not None:
            self._bar.refresh()
            self._bar.close()
            self._bar = None
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def update(self, update: int, figures: Mapping[str, float], tokens: int) -> None:
        """Tells of one update.

        Args:
            update: its number, from 1; the first one told of may be higher (a resumed run).
            figures: what to show, in this order (``loss``, ``lr``, …).
            tokens: the target tokens that it trained on, for the speed.
        """
        now = time.monotonic()
        self._window.add(figures, tokens, now - self._last)
        self._last = now
        if self._first is None:
            self._first = update
        # Two windows are shown as one, so that the figures do not jump whenever a window begins.
        shown = self._previous.joined(self._window)
        if self._is_terminal():
            self._draw(update, shown)
        if update % self.every == 0 or update == self.total:
            line = self._line(update, self._window)
            if self._bar is None:
                print(line, file=self._stream, flush=True)
            self._note(line)
            self.metrics(update, "train", {**self._window.means(), "tokens_per_second": self._window.speed})
            self._previous, self._window = self._window, _Window()
            self._last = time.monotonic()  # what writing took is no training either

    def metrics(self, update: int, split: str, values: Mapping[str, float]) -> None:
        """Records figures of a split (``train``, ``valid``, ``test``) in ``metrics.jsonl`` and for TensorBoard.

        A figure that is not finite is written as null, since JSON has no other word for it.
        """
        finite = {name: float(value) if math.isfinite(value) else None for name, value in values.items()}
        line = json.dumps({"update": update, "split": split, **finite}, ensure_ascii=False, allow_nan=False)
        self._append("metrics.jsonl", line)
        writer = self._events()
        for name, value in finite.items():
            if value is not None:
                writer.add_scalar(f"{split}/{name}", value, update)

    def output(self, update: int, source: str, reference: str, output: str) -> None:
        """Records in ``outputs.jsonl`` what a model gave for an example at the validation after an update."""
        record = {"update": update, "source": source, "reference": reference, "output": output}
        self._append("outputs.jsonl", json.dumps(record, ensure_ascii=False))

    def say(self, text: str) -> None:
        """Prints a line (or several) without tearing the bar, and keeps it in ``train.log``."""
        if self._bar is not None:
            self._bar.clear()
        print(text, file=self._stream, flush=True)
        if self._bar is not None:
            self._bar.refresh()
        self._note(text)

    @contextmanager
    def aside(self, what: str) -> Iterator[None]:
        """For what is no training (validating, saving): its time does not count in the speed.

        Before the first update (reading the data) it does not count in the time left either.
        """
        began = time.monotonic()
        if self._bar is not None:
            shown = self._bar.desc
            self._bar.set_description_str(f"{what} …")
        try:
            yield
        finally:
            took = time.monotonic() - began
            self._last += took
            if self._first is None:
                self._began += took
            if self._bar is not None:
                self._bar.set_description_str(shown)

    def truncate(self, update: int) -> None:
        """For a run resumed at an update: forgets what was told of later ones, and a line cut short by a sudden end.

        Call it before the first figure is told. A file is replaced as a whole, so that nothing is lost midway.
        """
        self._resumed_at = update
        for name in ("metrics.jsonl", "outputs.jsonl"):
            self._truncate(self.folder / name, update)

    def _truncate(self, target: Path, update: int) -> None:
        if not target.exists():
            return
        aside = target.with_name(target.name + ".part")
        try:
            with target.open(encoding="utf-8", errors="replace") as old, aside.open("w", encoding="utf-8") as new:
                new.writelines(line for line in old if _belongs(line, update))
                new.flush()
                os.fsync(new.fileno())
            aside.replace(target)
        except OSError as error:
            raise _unwritable(target, error) from error

    def _is_terminal(self) -> bool:
        return self._stream.isatty()

    def _draw(self, update: int, shown: _Window) -> None:
        line = self._line(update, shown)
        if self._bar is None:
            self._bar = tqdm(
                desc=line,
                total=self.total,
                initial=update - 1,
                file=self._stream,
                dynamic_ncols=True,
                bar_format="{desc}" if self.total is None else "{percentage:3.0f}%|{bar:20}| {desc}",
            )
        self._bar.set_description_str(line, refresh=False)
        self._bar.update(1)

    def _line(self, update: int, window: _Window) -> str:
        """``update 100/4000  loss 3.21  lr 0.0005  8,123 tok/s  ETA 12:03``"""
        parts = [f"update {update}" if self.total is None else f"update {update}/{self.total}"]
        parts += [f"{name} {value:.4g}" for name, value in window.means().items()]
        if math.isfinite(window.speed):
            parts.append(f"{window.speed:,.0f} tok/s")
        if self.total is not None and self._first is not None:
            each = (self._last - self._began) / (update - self._first + 1)
            parts.append(f"ETA {tqdm.format_interval(max(self.total - update, 0) * each)}")
        return "  ".join(parts)

    def _events(self) -> Any:
        if self._writer is None:
            from tensorboardX import SummaryWriter

            # TensorBoard drops what an earlier process wrote from the purge step on.
            purge = None if self._resumed_at is None else self._resumed_at + 1
            try:
                self._writer = SummaryWriter(str(self.folder / "tensorboard"), purge_step=purge)
            except OSError as error:
                raise _unwritable(self.folder / "tensorboard", error) from error
        return self._writer

    def _note(self, text: str) -> None:
        self._append("train.log", f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {text}")

    def _append(self, name: str, line: str) -> None:
        # Opened for each line: lines are rare, and nothing stays in a buffer when the process is killed.
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / name).open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise _unwritable(self.folder / name, error) from error


class NoLog(RunLog):
    """The log of a process for which another one speaks: nothing is shown or written."""

    def update(self, update: int, figures: Mapping[str, float], tokens: int) -> None:
        """Nothing."""

    def metrics(self, update: int, split: str, values: Mapping[str, float]) -> None:
        """Nothing."""

    def output(self, update: int, source: str, reference: str, output: str) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    def truncate(self, update: int) -> None:
        """Nothing."""


def _belongs(line: str, update: int) -> bool:
    """Whether a line of ``metrics.jsonl`` or ``outputs.jsonl`` is whole and tells of an update up to this one."""
    try:
        return line.endswith("\n") and json.loads(line)["update"] <= update
    except (ValueError, KeyError, TypeError):
        return False


def _unwritable(path: Path, error: OSError) -> TrainingError:
    return TrainingError(f"{path}: cannot be written ({error.strerror or error}); make room or mend it, then resume")
