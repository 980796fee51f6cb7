"""What every cell has in common."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from seq2seq.nn import fused
from seq2seq.nn.products import looped
from seq2seq.types import Padded

CellState = tuple[Tensor, ...]
"""Hidden ``[N, H]`` first; whatever else a cell remembers (an LSTM's cell state) after it."""


class Cell(nn.Module):
    """What every cell has in common: its weights and how a sequence is stepped through.

    A whole sequence may go through one of torch's kernels instead (``nn.fused``), past the methods and modules below.

    Args:
        input_dim: Features of each input step.
        hidden_dim: Features of the hidden state, H.
        feedback_dim: Features of a second input that is only known once the previous step is done (input feeding, a
            context vector); 0 for none. It has weights of its own, so that the first input can be projected ahead.
    """

    gates: int
    """How many blocks of H features a step computes"""
    parts: int
    """How many tensors the state has"""
    recurs, biased = True, True
    """Whether a step multiplies the hidden state, and whether the product of the input adds a bias"""

    def __init__(self, *, input_dim: int, hidden_dim: int, feedback_dim: int = 0) -> None:
        super().__init__()
        self.input_dim, self.hidden_dim, self.feedback_dim = input_dim, hidden_dim, feedback_dim
        rows = self.gates * hidden_dim
        # Modules, so that a loop or a trained model can have their products computed in another way (``nn.products``).
        self.input = nn.Linear(input_dim, rows, bias=self.biased)
        self.recurrent = nn.Linear(hidden_dim, rows, bias=False) if self.recurs else None
        self.feedback = nn.Linear(feedback_dim, rows, bias=False) if feedback_dim else None
        self.joined = False
        """Whether, in a network that is only used, ``recurrent`` multiplies hidden state and feedback side by side"""
        # Twice as wide as torch's own: the plateau that attention must be found from is left in half the updates.
        bound = 2 / math.sqrt(hidden_dim)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def start(self, rows: int, device: torch.device | None = None) -> CellState:
        """The zero state of ``rows`` sequences."""
        return tuple(torch.zeros(rows, self.hidden_dim, device=device) for _ in range(self.parts))

    def project(self, inputs: Tensor) -> Tensor:
        """The inputs' share of the gates: ``[…, input_dim] -> […, gates·H]``, for any number of steps at once."""
        return self.input(inputs)

    def feed(self, projected: Tensor, feedback: Tensor) -> Tensor:
        """Adds the share of a feedback ``[N, feedback_dim]`` to one projected step ``[N, gates·H]``."""
        assert self.feedback is not None, "this cell was built without a feedback input"
        return projected + self.feedback(feedback)

    def fed(self, projected: Tensor, state: CellState, feedback: Tensor | None) -> tuple[Tensor, CellState]:
        """The projected input and the state that ``step`` is to take, once there is a feedback ``[N, feedback_dim]``,
        or none (zeros). Where the products are joined, it goes beside the hidden state."""
        if not self.joined:
            return (projected if feedback is None else self.feed(projected, feedback)), state
        if feedback is None:
            feedback = state[0].new_zeros(len(state[0]), self.feedback_dim)
        return projected, (torch.cat([state[0], feedback], dim=1), *state[1:])

    def project_all(self, inputs: Tensor, feedback: Tensor | None) -> Tensor:
        """All steps' inputs ``[B, T, input_dim]``, and a feedback ``[B, feedback_dim]`` that is the same at each."""
        projected = self.project(inputs)
        return projected if feedback is None else self.feed(projected, feedback.unsqueeze(1))

    def step(self, projected: Tensor, state: CellState, hidden_mask: Tensor | None = None) -> CellState:
        """One step: the projected input ``[N, gates·H]`` and the state to the new state.

        ``hidden_mask [N, H]`` multiplies the hidden state on its way into the recurrent product (variational dropout).
        """
        raise NotImplementedError

    def unroll(
        self, inputs: Padded, state: CellState, hidden_mask: Tensor | None = None, feedback: Tensor | None = None
    ) -> tuple[Tensor, CellState]:
        """All steps: inputs ``[B, T, input_dim]`` to hidden states ``[B, T, H]``, and the state after each sequence's
        own last step. ``feedback [B, feedback_dim]`` is one that is the same at every step."""
        plain = hidden_mask is None and feedback is None
        kernel = fused.fitting(self, inputs.values, state) if plain else None
        if kernel is not None:
            outputs, *others = kernel(self, inputs, state)
            return outputs, (last(outputs, inputs.lengths), *others)
        cell, states = looped(self), []
        for projected in self.project_all(inputs.values, feedback).unbind(1):
            state = cell.step(projected, state, hidden_mask)
            states.append(state)
        parts = [torch.stack(part, dim=1) for part in zip(*states)]
        return parts[0], tuple(last(part, inputs.lengths) for part in parts)

    def _recurrent(self, hidden: Tensor, hidden_mask: Tensor | None) -> Tensor:
        assert self.recurrent is not None, "this cell was built without a product of the hidden state"
        return self.recurrent(hidden if hidden_mask is None else hidden * hidden_mask)


def last(values: Tensor, lengths: Tensor) -> Tensor:
    """The values ``[B, D]`` of each sequence's last real step."""
    return values[torch.arange(len(values), device=values.device), lengths.to(values.device) - 1]
