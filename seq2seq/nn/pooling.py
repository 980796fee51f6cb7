"""Pooling: from a memory to one vector for each input, whatever the number of its positions."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from seq2seq.types import Memory


class Pooled(NamedTuple):
    """What a pooling gives."""

    values: Tensor
    """[B, D]"""
    weights: Tensor | None = None
    """[B, S], what each position counts for; None where that is no one number"""


class Last(nn.Module):
    """The summary's last layer: of a recurrent encoder, the state after the last step of each direction."""

    def __init__(self, *, memory_dim: int, summary_dim: int) -> None:
        super().__init__()
        self.output_dim = summary_dim

    def forward(self, memory: Memory) -> Pooled:
        """A memory to vectors ``[B, summary_dim]``."""
        return Pooled(memory.summary[-1][0])


class Mean(nn.Module):
    """The mean of the real positions; zeros where there is none."""

    def __init__(self, *, memory_dim: int, summary_dim: int) -> None:
        super().__init__()
        self.output_dim = memory_dim

    def forward(self, memory: Memory) -> Pooled:
        """A memory to vectors ``[B, memory_dim]``."""
        mask = memory.mask.unsqueeze(2)
        return Pooled((memory.values * mask).sum(1) / mask.sum(1).clamp(min=1))


class Max(nn.Module):
    """The largest value of each feature over the positions (Collobert & Weston 2008); zeros where there is none."""

    def __init__(self, *, memory_dim: int, summary_dim: int) -> None:
        super().__init__()
        self.output_dim = memory_dim

    def forward(self, memory: Memory) -> Pooled:
        """A memory to vectors ``[B, memory_dim]``."""
        least = torch.finfo(memory.values.dtype).min
        values = memory.values.masked_fill(~memory.mask.unsqueeze(2), least).amax(1)
        return Pooled(values.masked_fill(~memory.mask.any(1, keepdim=True), 0.0))


class Attention(nn.Module):
    """A mean weighted by softmax(vᵀ tanh(W h + b)): attention by a learned query (Yang et al. 2016, eq. 5 to 7).

    Args:
        attention_dim: Features of the hidden layer that scores a position.
        memory_dim, summary_dim: Of the memory.
    """

    def __init__(self, *, attention_dim: int, memory_dim: int, summary_dim: int) -> None:
        super().__init__()
        self.output_dim = memory_dim
        self.hidden = nn.Linear(memory_dim, attention_dim)
        self.query = nn.Linear(attention_dim, 1, bias=False)

    def forward(self, memory: Memory) -> Pooled:
        """A memory to vectors ``[B, memory_dim]`` and weights ``[B, S]``."""
        scores = self.query(torch.tanh(self.hidden(memory.values))).squeeze(2).float()
        least = torch.finfo(scores.dtype).min
        weights = scores.masked_fill(~memory.mask, least).softmax(1).masked_fill(~memory.mask, 0.0)
        return Pooled((weights.unsqueeze(1) @ memory.values.float()).squeeze(1), weights)
