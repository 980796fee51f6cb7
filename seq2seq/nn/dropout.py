"""Dropout whose mask stays the same for every step of a sequence."""

from __future__ import annotations

import torch
from torch import Tensor


def sequence_mask(rows: int, features: int, rate: float, like: Tensor) -> Tensor:
    """A mask ``[rows, features]`` of zeros and 1 / (1 - rate), one for each sequence (Gal & Ghahramani 2016)."""
    keep = torch.full((rows, features), 1.0 - rate, device=like.device, dtype=like.dtype)
    return torch.bernoulli(keep) / (1.0 - rate)
