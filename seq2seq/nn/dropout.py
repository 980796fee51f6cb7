"""What all dropout shares: rates that make sense, and masks that stay the same for every step of a sequence."""

from __future__ import annotations

import torch
from torch import Tensor

from seq2seq.errors import ConfigError


def check_rates(**rates: float) -> None:
    """Refuses dropout rates that are no shares, by name."""
    for name, rate in rates.items():
        if not 0 <= rate < 1:
            raise ConfigError(f"{name}={rate}: expected the share that is dropped, 0 or more, and less than 1")


def sequence_mask(rows: int, features: int, rate: float, like: Tensor) -> Tensor:
    """A mask ``[rows, features]`` of zeros and 1 / (1 - rate), one for each sequence (Gal & Ghahramani 2016)."""
    keep = torch.full((rows, features), 1.0 - rate, device=like.device, dtype=like.dtype)
    return torch.bernoulli(keep) / (1.0 - rate)
