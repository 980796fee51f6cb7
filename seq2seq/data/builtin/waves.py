"""Generated series of numbers, so that models of numbers run with no files and no network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from seq2seq.data.series import PARTS, Cut
from seq2seq.errors import ConfigError
from seq2seq.types import Example


class Waves:
    """A sine read point by point, and the cosine at the same points: from one number the other cannot be told, since
    each value of the sine has two cosines; from the numbers before it, it can.

    The windows of a wave follow one another without a gap; every wave begins somewhere else.

    Args:
        part: ``train``, ``valid`` or ``test``.
        size: Windows of all waves together.
        length: Windows of each wave.
        window: Points of a window.
        step: From a point to the next one, in radians.
    """

    def __init__(self, *, part: str, size: int, length: int, window: int, step: float) -> None:
        check_part(part, "waves")
        if min(size, length, window) < 1:
            raise ConfigError(f"{size=}, {length=}, {window=} of the built-in waves: all must be at least 1")
        self.part, self.size, self.length, self.window, self.step = part, size, length, window, step

    def __iter__(self) -> Iterator[Example]:
        for number in range(self.size):
            wave, place = divmod(number, self.length)
            begin = PARTS.index(self.part) + 2.4 * wave  # radians, whose multiples fall everywhere in a period
            places = begin + self.step * (np.arange(self.window) + place * self.window)
            src, tgt = (" ".join(f"{value:.5f}" for value in curve) for curve in (np.sin(places), np.cos(places)))
            yield Example(src, tgt, f"waves:{self.part}:{number + 1}")

    def fingerprint(self) -> str:
        """A hash of the settings and of this file."""
        return sources_hash(f"{self.part} {self.size} {self.length} {self.window} {self.step}", Path(__file__))


class Sines:
    """Two series at once: a sine with noise, and a sum of three sines, whose periods do not fit each other.

    Args:
        size: Steps.
        period: Of the sine with noise, in steps; those of the others are 0.6, 1 and 1.7 times as long.
        noise: Deviation of the noise; the sine goes from -1 to 1.
        seed: Another seed draws another noise.
        cut: How they are cut.
    """

    def __init__(self, *, size: int, period: float, noise: float, seed: int, cut: Cut) -> None:
        if size < 1 or period <= 0 or noise < 0:
            raise ConfigError(f"{size=}, {period=}, {noise=} of the built-in sines: expected more than 0")
        self.size, self.period, self.noise, self.seed, self.cut = size, period, noise, seed, cut

    def __iter__(self) -> Iterator[Example]:
        places = 2 * np.pi / self.period * np.arange(self.size)
        noisy = np.sin(places) + self.noise * np.random.default_rng(self.seed).standard_normal(self.size)
        summed = sum(np.sin(places / slower) for slower in (0.6, 1.0, 1.7))
        return self.cut.examples(np.stack([noisy, summed], 1).round(4), "sines")

    def fingerprint(self) -> str:
        """A hash of the settings and of this file."""
        settings = f"{self.size} {self.period} {self.noise} {self.seed} {self.cut.fingerprint()}"
        return sources_hash(settings, Path(__file__))


def check_part(part: str, of: str) -> None:
    """Raises ConfigError for a part that there is not."""
    if part not in PARTS:
        raise ConfigError(f"part={part!r} of the built-in {of}: expected one of {', '.join(PARTS)}")


def sources_hash(settings: str, *paths: Path) -> str:
    """A hash of settings and of the code that makes something of them, so that other code makes another corpus."""
    digest = hashlib.sha256(settings.encode())
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()
