"""How often a decoder in training is fed the gold token rather than its own: the schedules of scheduled sampling.

Bengio et al. 2015, section 2.4: the probability ε of the gold token falls with the number i of updates.
"""

from __future__ import annotations

import math

from seq2seq.errors import ConfigError


class Always:
    """ε = 1: plain teacher forcing."""

    def __call__(self, update: int) -> float:
        """The probability of the gold token at an update."""
        return 1.0


class Linear:
    """ε = max(floor, 1 - slope · i)."""

    def __init__(self, *, floor: float, slope: float) -> None:
        _check(0 <= floor <= 1, f"floor={floor}", "from 0 to 1")
        _check(slope >= 0, f"slope={slope}", "0 or more (a share per update)")
        self.floor, self.slope = floor, slope

    def __call__(self, update: int) -> float:
        """The probability of the gold token at an update."""
        return max(self.floor, 1 - self.slope * update)


class Exponential:
    """ε = kⁱ, with k just below 1."""

    def __init__(self, *, k: float) -> None:
        _check(0 < k < 1, f"k={k}", "more than 0 and less than 1")
        self.k = k

    def __call__(self, update: int) -> float:
        """The probability of the gold token at an update."""
        return self.k**update


class InverseSigmoid:
    """ε = k / (k + exp(i / k)), with k of 1 or more: about k·ln k updates until it has fallen to a half."""

    def __init__(self, *, k: float) -> None:
        _check(k >= 1, f"k={k}", "1 or more")
        self.k = k

    def __call__(self, update: int) -> float:
        """The probability of the gold token at an update."""
        exponent = min(update / self.k, 700.0)  # exp overflows a float past that, and ε is 0 long before
        return self.k / (self.k + math.exp(exponent))


def _check(right: bool, given: str, expected: str) -> None:
    if not right:
        raise ConfigError(f"teacher forcing with {given}: expected {expected}")
