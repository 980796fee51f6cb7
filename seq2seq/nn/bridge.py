"""Bridges: from a memory's summary to the state that a decoder starts from.

A summary has a tuple of tensors ``[B, D]`` for each layer of the encoder, the hidden state first. A decoder layer
starts from the encoder layer of its own number; decoder layers beyond the encoder's depth start from its last one. A
part that the summary lacks (a GRU has no cell state) is taken from its hidden state.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seq2seq.errors import ConfigError
from seq2seq.nn.cells import CellState
from seq2seq.types import State


def _source(summary: State, layer: int, part: int) -> Tensor:
    parts = summary[min(layer, len(summary) - 1)]
    return parts[part] if part < len(parts) else parts[0]


class Zero(nn.Module):
    """Starts from zeros: all that the decoder learns of the input comes through attention."""

    def __init__(self, *, summary_dim: int, hidden_dim: int, num_layers: int, parts: int) -> None:
        super().__init__()
        self.hidden_dim, self.num_layers, self.parts = hidden_dim, num_layers, parts

    def forward(self, summary: State) -> tuple[CellState, ...]:
        """A summary to the state of every layer, each part ``[B, hidden_dim]``."""
        like = summary[0][0]
        zeros = like.new_zeros(len(like), self.hidden_dim)
        return tuple((zeros,) * self.parts for _ in range(self.num_layers))


class Last(nn.Module):
    """Starts from the encoder's last state as it is (Sutskever et al. 2014); the sizes must agree."""

    def __init__(self, *, summary_dim: int, hidden_dim: int, num_layers: int, parts: int) -> None:
        super().__init__()
        if summary_dim != hidden_dim:
            raise ConfigError(
                f"the last bridge hands the encoder's state of {summary_dim} features to a decoder of {hidden_dim}: "
                "make them equal (both directions of a bidirectional encoder count), or use the projected bridge"
            )
        self.num_layers, self.parts = num_layers, parts

    def forward(self, summary: State) -> tuple[CellState, ...]:
        """A summary to the state of every layer, each part ``[B, hidden_dim]``."""
        return tuple(
            tuple(_source(summary, layer, part) for part in range(self.parts)) for layer in range(self.num_layers)
        )


class Projected(nn.Module):
    """Starts from a learned projection of the encoder's last state, through tanh (Bahdanau et al. 2015, A.2.2)."""

    def __init__(self, *, summary_dim: int, hidden_dim: int, num_layers: int, parts: int) -> None:
        super().__init__()
        self.num_layers, self.parts = num_layers, parts
        self.projections = nn.ModuleList(nn.Linear(summary_dim, hidden_dim) for _ in range(num_layers * parts))

    def forward(self, summary: State) -> tuple[CellState, ...]:
        """A summary to the state of every layer, each part ``[B, hidden_dim]``."""
        projections = iter(self.projections)
        return tuple(
            tuple(torch.tanh(next(projections)(_source(summary, layer, part))) for part in range(self.parts))
            for layer in range(self.num_layers)
        )


class FirstInput(nn.Module):
    """What a decoder is fed before bos, in the place of a word: a linear map of the summary's last hidden state
    (Vinyals et al. 2015, eq. 10)."""

    def __init__(self, *, summary_dim: int, embedding_dim: int) -> None:
        super().__init__()
        self.projection = nn.Linear(summary_dim, embedding_dim)

    def forward(self, summary: State) -> Tensor:
        """A summary to ``[B, embedding_dim]``."""
        return self.projection(summary[-1][0])

    def join(self, linear: nn.Linear) -> None:
        """Takes over, for use without gradients, the product of the linear layer that reads this."""
        joined = nn.Linear(self.projection.in_features, linear.out_features)
        joined.weight.data = linear.weight.detach() @ self.projection.weight.detach()
        joined.bias.data = linear(self.projection.bias).detach()
        self.projection = joined
