"""Filters: which pairs of a corpus are left out because of their lengths."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from seq2seq.data.permutation import Indices
from seq2seq.data.storage import Mapped, write_atomically
from seq2seq.errors import ConfigError

_SLICE = 1 << 16
"""Pairs that are looked at at a time."""


class _Measured(Protocol):
    def __len__(self) -> int: ...

    def lengths(self, indices: Indices) -> tuple[Indices, Indices]: ...


class Filters:
    """Leaves out pairs that are empty on a side, too long, or too unlike in length.

    Args:
        max_length: the longest that either side may be, in tokens with eos.
        max_ratio: how many times as long as the shorter side the longer one may be, at least 1.
    """

    def __init__(self, *, max_length: int, max_ratio: float) -> None:
        if max_length < 1 or not max_ratio >= 1:
            raise ConfigError(f"filters need max_length and max_ratio of at least 1, not {max_length} and {max_ratio}")
        self.max_length = max_length
        self.max_ratio = max_ratio

    def report(self, counts: dict[str, int]) -> str:
        """One line about what was kept and why the others were not; each pair is counted under its first reason."""
        total = sum(counts.values())
        return (
            f"{counts['kept']:,} of {total:,} pairs; left out {total - counts['kept']:,} "
            f"(longer than {self.max_length}: {counts['long']:,}, ratio over {self.max_ratio:g}: {counts['ratio']:,}, "
            f"empty: {counts['empty']:,})"
        )

    def kept(self, corpus: _Measured, empty: Indices, folder: Path) -> tuple[Mapped | None, dict[str, int]]:
        """Which pairs are kept, in order, and how many are left out by reason.

        Args:
            corpus: all pairs, with or without a target side (lengths of 0).
            empty: the pairs with nothing on a side, in increasing order.
            folder: where the answer is kept, and looked for first.

        Returns:
            The indices kept (None when that is all of them), and counts under kept, empty, long and ratio.
        """
        settings = f"{self.max_length!r} {self.max_ratio!r}"
        stem = f"kept-{hashlib.sha256(settings.encode()).hexdigest()[:16]}"
        values, notes = folder / f"{stem}.values", folder / f"{stem}.json"
        counts = _known(values, notes)
        if counts is None:
            aside = folder / f"{stem}.values.{os.getpid()}.part"
            try:
                counts = self._sift(corpus, empty, aside)
                aside.replace(values)
            finally:
                aside.unlink(missing_ok=True)
            write_atomically(notes, json.dumps({"counts": counts, "checksum": _checksum(values)}).encode())
        everything = counts["kept"] == sum(counts.values())
        return (None if everything else Mapped(values, np.int64)), counts

    def _sift(self, corpus: _Measured, empty: Indices, target: Path) -> dict[str, int]:
        counts = dict.fromkeys(("kept", "empty", "long", "ratio"), 0)
        with target.open("wb") as file:
            for first in range(0, len(corpus), _SLICE):
                indices = np.arange(first, min(first + _SLICE, len(corpus)))
                src, tgt = corpus.lengths(indices)
                blank = np.zeros(len(indices), bool)
                low, high = np.searchsorted(empty, [first, first + len(indices)])
                blank[empty[low:high] - first] = True
                long = ~blank & (np.maximum(src, tgt) > self.max_length)
                unlike = ~blank & ~long & self._unlike(src, tgt)
                kept = indices[~(blank | long | unlike)]
                file.write(kept.astype(np.int64).tobytes())
                for reason, count in zip(counts, (len(kept), blank.sum(), long.sum(), unlike.sum())):
                    counts[reason] += int(count)
        return counts

    def _unlike(self, src: Indices, tgt: Indices) -> NDArray[np.bool_]:
        """Where the ratio of lengths is too large; a side that is not there has no ratio."""
        shorter = np.minimum(src, tgt)
        return (shorter > 0) & (np.maximum(src, tgt) > self.max_ratio * shorter)


def _known(values: Path, notes: Path) -> dict[str, int] | None:
    """The counts of an earlier run, if its files are there and whole."""
    try:
        found = json.loads(notes.read_bytes())
        return dict(found["counts"]) if found["checksum"] == _checksum(values) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            checksum = zlib.crc32(piece, checksum)
    return checksum
