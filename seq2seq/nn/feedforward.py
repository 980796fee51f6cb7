"""A stack that remembers nothing, to be put where a recurrent one stands and compared with it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.errors import ConfigError
from seq2seq.nn.cells import last
from seq2seq.nn.dropout import check_rates
from seq2seq.types import Padded


class Feedforward(nn.Module):
    """Layers that see one step at a time. Whatever of a label or number depends on the past, it cannot know.

    Args:
        input_dim: Features of the input.
        hidden_dim: Features of each layer.
        num_layers: Depth.
        dropout: Share of features dropped between layers.
    """

    bidirectional = False

    def __init__(self, *, input_dim: int, hidden_dim: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        if num_layers < 1 or hidden_dim < 1:
            raise ConfigError(f"num_layers={num_layers}, hidden_dim={hidden_dim}: both must be at least 1")
        check_rates(dropout=dropout)
        sizes = [input_dim, *[hidden_dim] * num_layers]
        self.layers = nn.ModuleList(nn.Linear(below, above) for below, above in pairwise(sizes))
        self.hidden_dim = self.output_dim = hidden_dim
        self.dropout = dropout

    def begin(self, layers: Any) -> Any:
        """What an earlier window has left, which is not looked at."""
        return layers

    def unroll(self, inputs: Padded, state: Any = None) -> tuple[Tensor, tuple[tuple[Tensor, ...], ...]]:
        """Inputs ``[B, T, input_dim]`` to outputs ``[B, T, hidden_dim]``, and those of each last step as a state."""
        output = inputs.values
        for number, layer in enumerate(self.layers):
            output = torch.tanh(layer(F.dropout(output, self.dropout, self.training and number > 0)))
        return output, ((last(output, inputs.lengths),),)
