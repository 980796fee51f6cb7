"""What a search ranks finished hypotheses by: their log-probability after penalties, as small pieces of arithmetic.

All length penalties divide, so that a hypothesis of length ℓ (in tokens, eos included) scores
``log_prob / divisor(ℓ)``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seq2seq.errors import ConfigError

Array = npt.NDArray[Any]


class LengthPenalty(ABC):
    """What makes hypotheses of different lengths comparable."""

    @abstractmethod
    def divisor(self, lengths: Array) -> Array:
        """What log-probabilities of hypotheses of these ``lengths`` are divided by: positive, and never falling as
        the length grows, since the search's stopping bound rests on that."""

    def score(self, log_probs: Array, lengths: Array) -> Array:
        """The scores of hypotheses of these log-probabilities (nats) and lengths (tokens, eos included)."""
        return np.asarray(log_probs, dtype=np.float64) / self.divisor(np.asarray(lengths))

    def bound(self, log_probs: Array, max_lengths: Array) -> Array:
        """The highest scores that unfinished hypotheses can still reach.

        A log-probability is negative and can only fall, so nothing beats keeping it up to the greatest length.
        """
        return self.score(log_probs, max_lengths)


class NoLengthPenalty(LengthPenalty):
    """The plain log-probability, which prefers short hypotheses."""

    def divisor(self, lengths: Array) -> Array:
        return np.ones_like(lengths, dtype=np.float64)


class Average(LengthPenalty):
    """The mean log-probability of a token."""

    def divisor(self, lengths: Array) -> Array:
        return lengths.astype(np.float64)


class GNMT(LengthPenalty):
    """``((5 + ℓ) / 6) ** alpha``: Wu et al. 2016, "Google's Neural Machine Translation System", equation 14.

    Args:
        alpha: 0 is no penalty; 0.6 to 1 is usual.
    """

    def __init__(self, *, alpha: float) -> None:
        if not (math.isfinite(alpha) and alpha >= 0):
            raise ConfigError(f"alpha of the length penalty is {alpha}, but must be 0 or more")
        self.alpha = alpha

    def divisor(self, lengths: Array) -> Array:
        return ((5.0 + lengths) / 6.0) ** self.alpha


def coverage_score(coverage: Tensor, beta: float) -> Tensor:
    """``beta · Σ_i log(min(Σ_j p_ij, 1))``: the coverage penalty of Wu et al. 2016, equation 14.

    Args:
        coverage: [N, S], the attention that each source position has received, summed over target positions.
        beta: how much an uncovered source costs; 0 is nothing.

    Returns:
        [N], never above zero, and finite also where a position received nothing at all.
    """
    tiny = torch.finfo(torch.float32).tiny
    return beta * coverage.float().clamp(min=tiny, max=1.0).log().sum(dim=-1)
