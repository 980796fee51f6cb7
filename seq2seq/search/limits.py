"""How long and how short an output may be, as a function of the length of its input."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seq2seq.errors import ConfigError

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Lengths are in tokens, and eos counts.

    Args:
        max_ratio: an output has at most ``max_ratio · source length + max_extra`` tokens, rounded down, but at least
            one; at that length only eos can be chosen.
        max_extra: see ``max_ratio``.
        min_ratio: an output has at least ``min_ratio · source length`` tokens, rounded up, unless the maximum is
            less; before that length eos cannot be chosen.
    """

    max_ratio: float
    max_extra: int
    min_ratio: float = 0.0

    def __post_init__(self) -> None:
        for name in ("max_ratio", "max_extra", "min_ratio"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"{name} is {value}, but must be 0 or more")
        if self.max_ratio == 0 and self.max_extra == 0:
            raise ConfigError("max_ratio and max_extra are both 0, so that no output could be longer than eos")

    def maxima(self, src_lengths: IntArray) -> IntArray:
        """The greatest number of tokens for each source length, at least 1."""
        # The small constant keeps 1.1 · 10 from being 11.000000000000002, and 0.7 · 10 from being 6.999….
        return np.maximum(np.floor(self.max_ratio * src_lengths + self.max_extra + 1e-6), 1).astype(np.int64)

    def minima(self, src_lengths: IntArray) -> IntArray:
        """The least number of tokens for each source length, at least 1 and never above the maximum."""
        least = np.maximum(np.ceil(self.min_ratio * src_lengths - 1e-6), 1).astype(np.int64)
        return np.minimum(least, self.maxima(src_lengths))
