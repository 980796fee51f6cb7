"""Recurrent cells: one step of recurrence each, and the same step repeated over a sequence.

A cell maps (input, state) to a new state; iterating is the caller's. The part of a step that depends on the input
alone (``project``) is separate from the part that needs the previous state (``step``), so that a whole sequence can be
projected in one product before the loop begins.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from seq2seq.nn import fused
from seq2seq.nn.activations import tanh
from seq2seq.nn.products import looped
from seq2seq.types import Padded

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
        # Modules, so that a loop or a trained model can have their products computed in another way (``nn.products``).
        self.input = nn.Linear(input_dim, rows)
        self.recurrent = nn.Linear(hidden_dim, rows, bias=False)
        self.feedback = nn.Linear(feedback_dim, rows, bias=False) if feedback_dim else None
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

    def step(self, projected: Tensor, state: CellState, hidden_mask: Tensor | None = None) -> CellState:
        """One step: the projected input ``[N, gates·H]`` and the state to the new state.

        ``hidden_mask [N, H]`` multiplies the hidden state on its way into the recurrent product (variational dropout).
        """
        raise NotImplementedError

    def unroll(self, inputs: Padded, state: CellState, hidden_mask: Tensor | None = None) -> tuple[Tensor, CellState]:
        """All steps: inputs ``[B, T, input_dim]`` to hidden states ``[B, T, H]``, and the state after each sequence's
        own last step."""
        kernel = vars(type(self)).get("kernel")  # a subclass with a step of its own does not inherit it
        if kernel is not None and hidden_mask is None and fused.fits(self, inputs.values, state):
            outputs, *others = kernel(self, inputs, state)
            return outputs, (last(outputs, inputs.lengths), *others)
        cell, states = looped(self), []
        for projected in self.project(inputs.values).unbind(1):
            state = cell.step(projected, state, hidden_mask)
            states.append(state)
        parts = [torch.stack(part, dim=1) for part in zip(*states)]
        return parts[0], tuple(last(part, inputs.lengths) for part in parts)

    def _recurrent(self, hidden: Tensor, hidden_mask: Tensor | None) -> Tensor:
        return self.recurrent(hidden if hidden_mask is None else hidden * hidden_mask)


class Elman(Cell):
    """h' = tanh(W x + U h + b) (Elman 1990)."""

    gates, parts = 1, 1
    kernel = fused.elman

    def step(self, projected: Tensor, state: CellState, hidden_mask: Tensor | None = None) -> CellState:
        return (tanh(projected + self._recurrent(state[0], hidden_mask)),)


class GRU(Cell):
    """Gated recurrent unit (Cho et al. 2014), in the form that applies the reset gate after the recurrent product.

    The blocks of the weights are reset, update, candidate.
    """

    gates, parts = 3, 1
    kernel = fused.gru

    def __init__(self, *, input_dim: int, hidden_dim: int, feedback_dim: int = 0) -> None:
        super().__init__(input_dim=input_dim, hidden_dim=hidden_dim, feedback_dim=feedback_dim)
        self.bias_candidate = nn.Parameter(torch.zeros(hidden_dim))

    def step(self, projected: Tensor, state: CellState, hidden_mask: Tensor | None = None) -> CellState:
        (hidden,) = state
        reset_x, update_x, candidate_x = projected.chunk(3, dim=1)
        reset_h, update_h, candidate_h = self._recurrent(hidden, hidden_mask).chunk(3, dim=1)
        reset, update = torch.sigmoid(reset_x + reset_h), torch.sigmoid(update_x + update_h)
        candidate = tanh(candidate_x + reset * (candidate_h + self.bias_candidate))
        return (torch.lerp(candidate.to(hidden.dtype), hidden, update.to(hidden.dtype)),)


class LSTM(Cell):
    """Long short-term memory with a forget gate (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    The blocks of the weights are input, forget, candidate, output. The forget gate's bias starts at 1
    (Jozefowicz et al. 2015, section 2.2), so that a fresh cell remembers.
    """

    gates, parts = 4, 2
    kernel = fused.lstm

    def __init__(self, *, input_dim: int, hidden_dim: int, feedback_dim: int = 0) -> None:
        super().__init__(input_dim=input_dim, hidden_dim=hidden_dim, feedback_dim=feedback_dim)
        with torch.no_grad():
            self.input.bias[hidden_dim : 2 * hidden_dim].fill_(1.0)

    def step(self, projected: Tensor, state: CellState, hidden_mask: Tensor | None = None) -> CellState:
        hidden, cell_state = state
        gates = projected + self._recurrent(hidden, hidden_mask)
        write, forget, candidate, show = gates.chunk(4, dim=1)
        cell_state = torch.addcmul(torch.sigmoid(forget) * cell_state, torch.sigmoid(write), tanh(candidate))
        return torch.sigmoid(show) * tanh(cell_state), cell_state


class SentinelLSTM(Cell):
    """An LSTM that shows a second thing beside its hidden state: a sentinel, σ(W x + U h) ⊙ tanh(c'), c' being the new
    cell state (Lu et al. 2017, eq. 9 and 10).

    The sentinel's gate is the fifth block of the weights, the sentinel the third part of the state. No step reads it;
    ``Adaptive`` attention does.
    """

    gates, parts = 5, 3

    def __init__(self, *, input_dim: int, hidden_dim: int, feedback_dim: int = 0) -> None:
        super().__init__(input_dim=input_dim, hidden_dim=hidden_dim, feedback_dim=feedback_dim)
        with torch.no_grad():
            self.input.bias[hidden_dim : 2 * hidden_dim].fill_(1.0)  # as the LSTM's

    def step(self, projected: Tensor, state: CellState, hidden_mask: Tensor | None = None) -> CellState:
        hidden, cell_state, _ = state
        gates = projected + self._recurrent(hidden, hidden_mask)
        write, forget, candidate, show, keep = gates.chunk(5, dim=1)
        cell_state = torch.addcmul(torch.sigmoid(forget) * cell_state, torch.sigmoid(write), tanh(candidate))
        inside = tanh(cell_state)
        return torch.sigmoid(show) * inside, cell_state, torch.sigmoid(keep) * inside


def last(values: Tensor, lengths: Tensor) -> Tensor:
    """The values ``[B, D]`` of each sequence's last real step."""
    return values[torch.arange(len(values), device=values.device), lengths.to(values.device) - 1]


CELLS: dict[str, type[Cell]] = {"lstm": LSTM, "gru": GRU, "elman": Elman}
"""The names that configurations use for the cells above; a class may be given instead of a name."""
