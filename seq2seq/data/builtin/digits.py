"""Handwritten digits that are drawn on the spot, so that reading them runs with no files and no network."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seq2seq.data.builtin.waves import PARTS, check_part, sources_hash
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Example

PREFIX = "digit:"
SIDE = 28
"""Pixels along each side, as MNIST's"""

Point = tuple[float, float]

# Each digit as strokes of a pen through points (across, down) in a square of side 1; curves are drawn through them.
STROKES: dict[int, list[list[Point]]] = {
    0: [[(0.5, 0.0), (0.1, 0.25), (0.1, 0.75), (0.5, 1.0), (0.9, 0.75), (0.9, 0.25), (0.5, 0.0)]],
    1: [[(0.25, 0.25), (0.4, 0.15), (0.55, 0.0), (0.55, 0.35), (0.55, 0.7), (0.55, 1.0)]],
    2: [[(0.1, 0.2), (0.3, 0.0), (0.75, 0.05), (0.85, 0.3), (0.5, 0.65), (0.1, 1.0), (0.5, 0.97), (0.95, 1.0)]],
    3: [[(0.1, 0.1), (0.5, 0.0), (0.85, 0.2), (0.45, 0.45), (0.9, 0.75), (0.5, 1.0), (0.1, 0.88)]],
    4: [[(0.6, 0.0), (0.35, 0.3), (0.1, 0.65), (0.5, 0.65), (0.95, 0.65)], [(0.7, 0.35), (0.7, 0.7), (0.7, 1.0)]],
    5: [[(0.85, 0.0), (0.5, 0.0), (0.2, 0.02), (0.15, 0.42), (0.6, 0.38), (0.9, 0.7), (0.55, 1.0), (0.1, 0.9)]],
    6: [[(0.75, 0.0), (0.35, 0.25), (0.12, 0.7), (0.45, 1.0), (0.85, 0.75), (0.5, 0.5), (0.15, 0.75)]],
    7: [[(0.1, 0.02), (0.5, 0.0), (0.9, 0.02), (0.65, 0.4), (0.48, 0.7), (0.4, 1.0)]],
    8: [[(0.5, 0.47), (0.15, 0.22), (0.5, 0.0), (0.85, 0.22), (0.5, 0.47)],
        [(0.5, 0.47), (0.1, 0.76), (0.5, 1.0), (0.9, 0.76), (0.5, 0.47)]],
    9: [[(0.85, 0.25), (0.5, 0.5), (0.15, 0.25), (0.5, 0.0), (0.85, 0.2), (0.8, 0.6), (0.6, 1.0)]],
}  # fmt: skip


class Digits:
    """Reads generated digits and what they are. A source is a description, ``digit:7;12345``: which digit, and the
    number that all else about its picture is drawn from.

    Args:
        part: ``train``, ``valid`` or ``test``; no picture is in two parts.
        size: Number of digits.
        seed: Another seed draws other pictures.
    """

    def __init__(self, *, part: str, size: int, seed: int) -> None:
        check_part(part, "digits")
        if size < 1:
            raise ConfigError(f"size={size} of the built-in digits: expected 1 or more")
        self.part, self.size, self.seed = part, size, seed

    def __iter__(self) -> Iterator[Example]:
        draw = random.Random(self.seed).random
        for number in range(self.size):
            digit, place = int(draw() * 10), int(draw() * 2**28) * len(PARTS) + PARTS.index(self.part)
            yield Example(f"{PREFIX}{digit};{place}", str(digit), f"digits:{self.part}:{number + 1}")

    def fingerprint(self) -> str:
        """A hash of the settings and of this file."""
        return sources_hash(f"{self.part} {self.size} {self.seed}", Path(__file__))


@functools.lru_cache(maxsize=1 << 15)
def drawn(text: str) -> NDArray[np.uint8]:
    """The picture ``[28, 28]`` of a description, white on black. Raises DataError where it describes no digit."""
    digit, _, seed = text.removeprefix(PREFIX).partition(";")
    if not (text.startswith(PREFIX) and digit in map(str, STROKES) and seed.isdecimal()):
        raise DataError(f"{text!r} describes no built-in digit: expected for example '{PREFIX}7;12345'")
    lot = np.random.default_rng(int(seed))
    turn, slant = lot.normal(0, 0.12), lot.normal(0, 0.2)
    size = SIDE * lot.uniform(0.5, 0.72, 2) * (0.8, 1.0)
    matrix = np.array([[np.cos(turn), -np.sin(turn) - slant], [np.sin(turn), np.cos(turn)]]) * size
    centre = SIDE / 2 + lot.uniform(-2.5, 2.5, 2)
    width, sharp = lot.uniform(0.8, 1.9), lot.uniform(0.5, 0.9)
    nearest = np.full((SIDE, SIDE), np.inf)
    for stroke in STROKES[int(digit)]:
        points = np.array(stroke) - 0.5 + lot.normal(0, 0.045, (len(stroke), 2))
        nearest = np.minimum(nearest, _distances(_curve(points) @ matrix.T + centre))
    ink = 1 / (1 + np.exp((nearest - width) / sharp * 2))
    ink = ink * lot.uniform(0.6, 1.0) + np.abs(lot.normal(0, lot.uniform(0.02, 0.15), ink.shape))
    return (255 * ink.clip(0, 1)).astype(np.uint8)


def _curve(points: NDArray[np.float64], pieces: int = 4) -> NDArray[np.float64]:
    """Points on a smooth curve through the given ones ``[N, 2]`` (Catmull & Rom 1974)."""
    before, after = 2 * points[0] - points[1], 2 * points[-1] - points[-2]
    all_points = np.vstack([before, points, after])
    t = np.linspace(0, 1, pieces, endpoint=False)[:, None]
    parts = []
    for a, b, c, d in zip(all_points, all_points[1:], all_points[2:], all_points[3:]):
        parts.append(b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a))))
    return np.vstack([*parts, points[-1:]])


def _distances(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """The distance ``[SIDE, SIDE]`` of every pixel's centre from the straight pieces between points ``[N, 2]``."""
    axis, line = np.arange(SIDE, dtype=np.float32) + 0.5, line.astype(np.float32)
    begins, ways = line[:-1, :, None, None], np.diff(line, axis=0)[:, :, None, None]
    across, down = axis[None, None, :] - begins[:, 0], axis[None, :, None] - begins[:, 1]
    lengths = (ways**2).sum(1) + 1e-12
    along = ((across * ways[:, 0] + down * ways[:, 1]) / lengths).clip(0, 1)
    return np.sqrt(((across - along * ways[:, 0]) ** 2 + (down - along * ways[:, 1]) ** 2).min(0))
