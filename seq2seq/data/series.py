"""Series of numbers over time, cut into windows and what comes after them."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seq2seq.data.readers import content_hash, joint_hash, read_lines
from seq2seq.errors import ConfigError, DataError, nearest
from seq2seq.types import Example

PARTS = ("train", "valid", "test")


class Cut:
    """How series are cut: the last ``test`` steps are the test part, the ``valid`` steps before them the validation
    part, and the rest is for training. Every target lies within its part; what was before it, known by then, may be in
    a window.

    Args:
        part: ``train``, ``valid`` or ``test``.
        window: Steps of a source.
        horizon: Steps of a target.
        every: Steps from the beginning of a target to that of the next one.
        valid, test: Steps of these parts.
    """

    def __init__(self, *, part: str, window: int, horizon: int, every: int, valid: int, test: int) -> None:
        if part not in PARTS:
            raise ConfigError(f"part={part!r} of a series: {nearest(part, PARTS)}")
        if min(window, horizon, every) < 1 or min(valid, test) < 0:
            raise ConfigError(
                f"{window=}, {horizon=}, {every=}, {valid=}, {test=}: expected 1 or more, parts 0 or more"
            )
        self.part, self.window, self.horizon, self.every = part, window, horizon, every
        self.valid, self.test = valid, test

    def examples(self, table: NDArray[Any], name: str) -> Iterator[Example]:
        """The windows of series ``[N, features]``, in the order of time. Raises DataError where there is none."""
        ends = [len(table) - self.valid - self.test, len(table) - self.test, len(table)]
        place = PARTS.index(self.part)
        first, end = max(ends[place - 1] if place else 0, self.window), ends[place]
        if first + self.horizon > end:
            own = max(end - (ends[place - 1] if place else 0), 0)
            raise DataError(
                f"{name}: the {self.part} part has {own:,} of {len(table):,} steps, too few for a window of "
                f"{self.window:,} and {self.horizon:,} steps to foretell: choose a shorter window or horizon, or give "
                "a longer series"
            )
        for begin in range(first, end - self.horizon + 1, self.every):
            src, tgt = table[begin - self.window : begin], table[begin : begin + self.horizon]
            yield Example(_text(src), _text(tgt), f"{name}, step {begin + 1:,}")

    def fingerprint(self) -> str:
        """All its settings."""
        return f"{self.part} {self.window} {self.horizon} {self.every} {self.valid} {self.test}"


class Series:
    """Reads one or several series from a CSV file whose first line names its columns: a row for each step.

    Args:
        path: The file, plain or gzip.
        columns: The series, by the names of their columns.
        cut: How they are cut.
    """

    def __init__(self, *, path: str | Path, columns: Sequence[str], cut: Cut) -> None:
        if not columns:
            raise ConfigError("columns=[]: expected the name of at least one column")
        self.path, self.columns, self.cut = Path(path), list(columns), cut

    def __iter__(self) -> Iterator[Example]:
        return self.cut.examples(self._table(), self.path.name)

    def fingerprint(self) -> str:
        """A hash of the file and of how it is cut."""
        return joint_hash(["series", self.path.name, content_hash(self.path), *self.columns, self.cut.fingerprint()])

    def _table(self) -> NDArray[np.float64]:
        rows = csv.reader(read_lines(self.path))
        names = next(rows, [])
        if not names:
            raise DataError(f"{self.path}: is empty: expected a line that names its columns, and one for each step")
        for column in self.columns:
            if column not in names:
                raise DataError(f"{self.path}:1: has no column {column!r}: {nearest(column, names)}")
        places = [names.index(column) for column in self.columns]
        table = []
        for line, row in enumerate(rows, start=2):
            if len(row) > len(names):
                raise DataError(
                    f"{self.path}:{line}: has {len(row)} columns where the first line names {len(names)}: write "
                    "numbers with points, not commas, and text with a comma in quotes"
                )
            table.append([self._number(row, place, name, line) for place, name in zip(places, self.columns)])
        return np.array(table, np.float64).reshape(-1, len(places))

    def _number(self, row: list[str], place: int, column: str, line: int) -> float:
        text = row[place].strip() if place < len(row) else ""
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise DataError(
                f"{self.path}:{line}: {repr(text) if text else 'nothing'} stands where {column} should have a number: "
                "fill the gap, or cut the series there"
            )
        return number


def _text(table: NDArray[Any]) -> str:
    return " ".join(",".join(f"{number:.8g}" for number in row) for row in table.tolist())
