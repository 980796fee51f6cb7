"""Recurrent cells: one step of recurrence each, and the same step repeated over a sequence.

A cell maps (input, state) to a new state; iterating is the caller's. The part of a step that depends on the input
alone (``project``) is separate from the part that needs the previous state (``step``), so that a whole sequence can be
projected in one product before the loop begins.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CellState = tuple[Tensor, ...]
"""Hidden ``[N, H]`` first; whatever else a cell remembers (an LSTM's cell state) after it."""


class Cell(nn.Module):
    """What every cell has in common: its weights and how a sequence is stepped through.

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

    def __init__(self, *, input_dim: int, hidden_dim: int, feedback_dim: int = 0) -> None:
        super().__init__()
        self.input_dim, self.hidden_dim, self.feedback_dim = input_dim, hidden_dim, feedback_dim
        rows = self.gates * hidden_dim
        self.weight_ih = nn.Parameter(torch.empty(rows, input_dim))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden_dim))
        self.weight_feedback = nn.Parameter(torch.empty(rows, feedback_dim)) if feedback_dim else None
        self.bias = nn.Parameter(torch.empty(rows))
        # Twice as wide as torch's own: the plateau that attention must be found from is left in half the updates.
        bound = 2 / math.sqrt(hidden_dim)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def start(self, rows: int) -> CellState:
        """The zero state of ``rows`` sequences."""
        return tuple(self.bias.new_zeros(rows, self.hidden_dim) for _ in range(self.parts))

    def project(self, inputs: Tensor) -> Tensor:
        """The inputs' share of the gates: ``[…, input_dim] -> […, gates·H]``, for any number of steps at once."""
        return F.linear(inputs, self.weight_ih, self.bias)

    def feed(self, projected: Tensor, feedback: Tensor) -> Tensor:
        """Adds the share of a feedback ``[N, feedback_dim]`` to one projected step ``[N, gates·H]``."""
        assert self.weight_feedback is not None, "this cell was built without a feedback input"
        return projected + F.linear(feedback, self.weight_feedback)

    def step(self, projected: Tensor, state: CellState, hidden_mask: Tensor | None = None) -> CellState:
        """One step: the projected input ``[N, gates·H]`` and the state to the new state.

        ``hidden_mask [N, H]`` multiplies the hidden state on its way into the recurrent product (variational dropout).
        """
        raise NotImplementedError

    def unroll(self, inputs: Tensor, state: CellState, hidden_mask: Tensor | None = None) -> CellState:
        """All steps: inputs ``[B, T, input_dim]`` to every part of the state after every step, each ``[B, T, H]``."""
        states = []
        for projected in self.project(inputs).unbind(1):
            state = self.step(projected, state, hidden_mask)
            states.append(state)
        return tuple(torch.stack(part, dim=1) for part in zip(*states))

    def _recurrent(self, hidden: Tensor, hidden_mask: Tensor | None) -> Tensor:
        return F.linear(hidden if hidden_mask is None else hidden * hidden_mask, self.weight_hh)


class Elman(Cell):
    """h' = tanh(W x + U h + b) (Elman 1990)."""

    gates, parts = 1, 1

    def step(self, projected: Tensor, state: CellState, hidden_mask: Tensor | None = None) -> CellState:
        return (torch.tanh(projected + self._recurrent(state[0], hidden_mask)),)


class GRU(Cell):
    """Gated recurrent unit (Cho et al. 2014), in the form that applies the reset gate after the recurrent product.

    The blocks of the weights are reset, update, candidate.
    """

    gates, parts = 3, 1

    def __init__(self, *, input_dim: int, hidden_dim: int, feedback_dim: int = 0) -> None:
        super().__init__(input_dim=input_dim, hidden_dim=hidden_dim, feedback_dim=feedback_dim)
        self.bias_candidate = nn.Parameter(torch.zeros(hidden_dim))

    def step(self, projected: Tensor, state: CellState, hidden_mask: Tensor | None = None) -> CellState:
        (hidden,) = state
        reset_x, update_x, candidate_x = projected.chunk(3, dim=1)
        reset_h, update_h, candidate_h = self._recurrent(hidden, hidden_mask).chunk(3, dim=1)
        reset, update = torch.sigmoid(reset_x + reset_h), torch.sigmoid(update_x + update_h)
        candidate = torch.tanh(candidate_x + reset * (candidate_h + self.bias_candidate))
        return (torch.lerp(candidate.to(hidden.dtype), hidden, update.to(hidden.dtype)),)


class LSTM(Cell):
    """Long short-term memory with a forget gate (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    The blocks of the weights are input, forget, candidate, output. The forget gate's bias starts at 1
    (Jozefowicz et al. 2015, section 2.2), so that a fresh cell remembers.
    """

    gates, parts = 4, 2

    def __init__(self, *, input_dim: int, hidden_dim: int, feedback_dim: int = 0) -> None:
        super().__init__(input_dim=input_dim, hidden_dim=hidden_dim, feedback_dim=feedback_dim)
        with torch.no_grad():
            self.bias[hidden_dim : 2 * hidden_dim].fill_(1.0)

    def step(self, projected: Tensor, state: CellState, hidden_mask: Tensor | None = None) -> CellState:
        hidden, cell_state = state
        gates = projected + self._recurrent(hidden, hidden_mask)
        write, forget, candidate, show = gates.chunk(4, dim=1)
        cell_state = torch.sigmoid(forget) * cell_state + torch.sigmoid(write) * torch.tanh(candidate)
        return torch.sigmoid(show) * torch.tanh(cell_state), cell_state


CELLS: dict[str, type[Cell]] = {"lstm": LSTM, "gru": GRU, "elman": Elman}
"""The names that configurations use for the cells above; a class may be given instead of a name."""
