"""From a head's outputs to numbers: as single guesses, or with how sure they are."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seq2seq.errors import ConfigError
from seq2seq.types import Padded

_NARROWEST = -7.0
"""Least logarithm of a deviation: of a certainty beyond that, a loss would have gradients without bound"""


class Estimated(NamedTuple):
    """Numbers ``[…, size]``, and an interval around each."""

    mean: Tensor
    low: Tensor | None
    """None where no interval is known, as with ``high``"""
    high: Tensor | None


class Squared(nn.Module):
    """One guess for each number, by the squared error.

    Args:
        size: Numbers of a step.
    """

    def __init__(self, *, size: int) -> None:
        super().__init__()
        self.width = size

    def losses(self, values: Tensor, targets: Padded) -> Tensor:
        """The sum over real steps, given outputs ``[B, T, width]`` and numbers ``[B, T, size]``."""
        return ((values.float() - targets.values) ** 2)[targets.mask].sum()

    def estimate(self, values: Tensor) -> Estimated:
        """Outputs ``[…, width]`` to numbers."""
        return Estimated(values.float(), None, None)

    def moved(self, values: Tensor, shift: Tensor | float, scale: Tensor | float) -> Tensor:
        """Outputs that mean ``scale`` times the numbers and ``shift`` more; both ``[…, size]``."""
        return values * scale + shift

    def draw(self, values: Tensor, noise: Tensor) -> Tensor:
        """Numbers drawn by standard normal noise ``[…, size]``: the guess itself."""
        return values

    def joined(self, values: Tensor) -> Tensor:
        """Outputs of several draws ``[P, …, width]`` as the outputs ``[…, width]`` that stand for all of them."""
        return values.mean(0)


class Gaussian(nn.Module):
    """A normal distribution for each number, by its likelihood (Nix & Weigend 1994, eq. 8).

    Args:
        size: Numbers of a step.
        interval: Share of all numbers that should lie within the interval that is told.
    """

    def __init__(self, *, size: int, interval: float) -> None:
        super().__init__()
        if not 0 < interval < 1:
            raise ConfigError(f"interval={interval}: expected the share of numbers within it, between 0 and 1")
        self.width, self.interval = 2 * size, interval

    def losses(self, values: Tensor, targets: Padded) -> Tensor:
        """The sum over real steps of the negative logarithm of the density, in nats."""
        mean, log_std = self._parts(values)
        distance = (targets.values - mean) * torch.exp(-log_std)
        return (distance**2 / 2 + log_std + math.log(2 * math.pi) / 2)[targets.mask].sum()

    def estimate(self, values: Tensor) -> Estimated:
        """Outputs ``[…, width]`` to means, and the interval around each."""
        mean, log_std = self._parts(values)
        reach = torch.special.ndtri(torch.tensor((1 + self.interval) / 2, dtype=torch.float64)).item()
        half = reach * torch.exp(log_std)
        return Estimated(mean, mean - half, mean + half)

    def moved(self, values: Tensor, shift: Tensor | float, scale: Tensor | float) -> Tensor:
        """See ``Squared``."""
        mean, log_std = self._parts(values)
        return torch.cat([mean * scale + shift, log_std + torch.log(torch.as_tensor(scale))], -1)

    def draw(self, values: Tensor, noise: Tensor) -> Tensor:
        """Numbers drawn by standard normal noise ``[…, size]``."""
        mean, log_std = self._parts(values)
        return mean + torch.exp(log_std) * noise

    def joined(self, values: Tensor) -> Tensor:
        """See ``Squared``: mean and variance of a mixture, the mean of the variances and the variance of the means."""
        mean, log_std = self._parts(values)
        variance = torch.exp(2 * log_std).mean(0) + mean.var(0, correction=0)
        return torch.cat([mean.mean(0), torch.log(variance) / 2], -1)

    def _parts(self, values: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = values.float().chunk(2, -1)
        return mean, log_std.clamp(min=_NARROWEST)
