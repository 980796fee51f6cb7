"""A shuffle that is computed, not stored: random order over any number of examples in constant memory."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]

_ROUNDS = 6


class Permutation:
    """A pseudo-random permutation of ``0 … size-1``, a pure function of its key on every machine.

    A Feistel network over the numbers ``left · columns + right``, with addition modulo the two sides in the place of
    exclusive or (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002, section 5), and with their cycle
    walking for the few numbers past ``size``.

    Args:
        size: how many numbers are permuted, at least 1.
        key: non-negative integers; each different key is a different order.
    """

    def __init__(self, size: int, key: Sequence[int]) -> None:
        if size < 1:
            raise ValueError(f"a permutation needs at least one element, not {size}")
        self.size = size
        self._rows = math.isqrt(size - 1) + 1
        self._columns = -(-size // self._rows)
        self._keys = np.random.SeedSequence(list(key)).generate_state(_ROUNDS, np.uint64)

    def __call__(self, positions: Indices) -> Indices:
        """What stands at each of the positions ``[N]``, each in ``0 … size-1``."""
        numbers = self._once(np.asarray(positions, dtype=np.int64))
        while len(outside := np.flatnonzero(numbers >= self.size)):
            numbers[outside] = self._once(numbers[outside])
        return numbers

    def _once(self, numbers: Indices) -> Indices:
        left, right = (part.astype(np.uint64) for part in np.divmod(numbers, self._columns))
        rows, columns = np.uint64(self._rows), np.uint64(self._columns)
        for number, key in enumerate(self._keys):
            if number % 2:
                right = (right + _scatter(left, key) % columns) % columns
            else:
                left = (left + _scatter(right, key) % rows) % rows
        return (left * columns + right).astype(np.int64)


def _scatter(values: NDArray[np.uint64], key: np.uint64) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014), keyed; arithmetic is modulo 2^64."""
    mixed = (values + key) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
