"""The field of numbers: one or several for each step, written as text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seq2seq.data.fields import filled
from seq2seq.errors import ConfigError, DataError, nearest
from seq2seq.types import Example, Padded

Table = NDArray[Any]
"""[T, features]"""
SCALES = ("own", "both", "none")


class NumbersField:
    """Numbers as text, ``1.5,2 3,4``: steps separated by spaces, the features of a step by commas.

    Each feature is brought to mean 0 and deviation 1, as ``learn`` finds them in the training part; ``decode`` gives
    text in the units in which the numbers came.

    Args:
        scale: What is learned from: ``own``, this side of the examples; ``both`` sides, where one goes on from the
            other; ``none``, numbers stay as they are.
        means, deviations: Of each feature; None for those that ``learn`` finds.
        digits: Significant digits that are written.
    """

    kept = False
    """A corpus keeps the text, and reads the numbers whenever they are wanted."""
    stochastic = False

    def __init__(
        self,
        *,
        scale: str,
        means: Sequence[float] | None = None,
        deviations: Sequence[float] | None = None,
        digits: int = 6,
    ) -> None:
        if scale not in SCALES:
            raise ConfigError(f"scale={scale!r}: {nearest(scale, SCALES)}")
        self.scale, self.digits = scale, digits
        self.means, self.deviations = np.array(means or [], np.float64), np.array(deviations or [], np.float64)

    @property
    def size(self) -> int:
        """The features of a step."""
        return len(self.means)

    def learn(self, examples: Iterable[Example]) -> None:
        """Finds the features' number, means and deviations in the training part."""
        count, sums, squares = 0, np.zeros(0), np.zeros(0)
        first = np.zeros(0)  # taken off, so that the squares of what is far from 0 lose no digits
        for example in examples:
            for raw in (example.src, example.tgt) if self.scale == "both" else (example.src,):
                table = self._parsed(raw, len(first) or None, example.where)
                if not len(first) and len(table):
                    first = table[0]
                    sums, squares = np.zeros_like(first), np.zeros_like(first)
                if len(table):
                    count += len(table)
                    sums += (table - first).sum(0)
                    squares += ((table - first) ** 2).sum(0)
        if not count:
            raise DataError("no number to learn from: expected at least one example with a number")
        if self.scale == "none":
            self.means, self.deviations = np.zeros_like(first), np.ones_like(first)
            return
        self.means = first + sums / count
        deviations = np.sqrt(np.maximum(squares / count - (sums / count) ** 2, 0.0))
        # What is always the same stays so; what is nearly so must not become noise as large as a signal.
        self.deviations = np.where(deviations > 1e-12 * (1 + np.abs(self.means)), deviations, 1.0)

    def prepare(self, raws: Sequence[str], say: Callable[[str], None]) -> list[bool]:
        """All can be read and hold something, or DataError says what is wrong with the first that cannot."""
        return [len(self._parsed(raw, self.size)) > 0 for raw in raws]

    def listed(self, given: str) -> None:
        """Numbers are lines of a file."""

    def encode(self, raw: str) -> Tensor:
        """The standardised numbers ``[T, features]``, float32."""
        return torch.from_numpy(self.encode_all([raw])[0])

    def encode_all(self, raws: Sequence[str]) -> list[Table]:
        """The standardised numbers ``[T, features]`` of each raw value, float32.

        Raises DataError for what is no number, and for steps with more or fewer features than there should be.
        """
        tables = (self._parsed(raw, self.size) for raw in raws)
        return [((table - self.means) / self.deviations).astype(np.float32) for table in tables]

    def sample_all(self, raws: Sequence[str], seed: int) -> list[Table]:
        """As ``encode_all``: nothing is drawn."""
        return self.encode_all(raws)

    def collate(self, encoded: Sequence[Tensor | Table]) -> Padded:
        """Numbers as one batch: values ``[B, T, features]`` float32, zeros past the lengths ``[B]``; T is never 0."""
        return filled(encoded, (self.size,), np.float32)

    def restore(self, values: Tensor | Table) -> Table:
        """Standardised numbers ``[T, features]`` in the units in which they came, float64."""
        return np.asarray(values, np.float64) * self.deviations + self.means

    def decode(self, tokens: Iterable[Any] | Tensor) -> str:
        """Standardised numbers ``[T, features]`` as text."""
        return " ".join(self.pieces(tokens))

    def pieces(self, encoded: Any) -> list[str]:
        """Each step as text."""
        return self.written(self.restore(np.asarray(encoded).reshape(-1, self.size)))

    def written(self, table: Table) -> list[str]:
        """Numbers ``[T, features]`` as they are, each step as text."""
        return [",".join(f"{number:.{self.digits}g}" for number in row) for row in table.tolist()]

    def parse(self, raw: str) -> Table:
        """The numbers ``[T, features]`` of a text, as they are. Raises DataError as ``encode_all``."""
        return self._parsed(raw, self.size)

    def view(self, raw: str) -> None:
        """Numbers are no picture."""

    def is_empty(self, encoded: Tensor | Table) -> bool:
        """Whether there is no number."""
        return len(encoded) == 0

    def fingerprint(self) -> str:
        """All that ``encode_all`` depends on."""
        return f"numbers-{self.means.tolist()}-{self.deviations.tolist()}"

    def save(self, folder: Path, name: str) -> dict[str, Any]:
        """The configuration, with what was learned."""
        node: dict[str, Any] = {"_target_": f"{type(self).__module__}.{type(self).__name__}", "scale": self.scale}
        return node | {"means": self.means.tolist(), "deviations": self.deviations.tolist(), "digits": self.digits}

    def _parsed(self, raw: str, features: int | None, where: str = "") -> Table:
        """The numbers of a text; ``features`` in each step, or as many in each as in the first for None."""
        begins = f"{where}: " if where else ""
        rows = []
        for step, text in enumerate(raw.split(), start=1):
            parts = text.split(",")
            if len(parts) != (features or len(parts)):
                raise DataError(
                    f"{begins}step {step} ({_shown(text)}) has {len(parts)} numbers, but {features} are expected: "
                    "separate the features of a step by commas, and steps by spaces"
                )
            features = len(parts)
            rows.append([_number(part, f"{begins}step {step} ({_shown(text)})") for part in parts])
        return np.array(rows, np.float64).reshape(len(rows), features or 0)


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        what = repr(_shown(text)) if text else "nothing"
        raise DataError(f"{where}: {what} stands where a number should: fill the gap or leave this line out")
    return number


def _shown(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"
