"""Simple recurrent networks."""

from __future__ import annotations

from torch import Tensor, nn

from seq2seq.nn import fused
from seq2seq.nn.activations import tanh
from seq2seq.nn.cells.cell import Cell, CellState


class Elman(Cell):
    """h' = tanh(W x + U h + b) (Elman 1990)."""

    gates, parts = 1, 1
    kernel = fused.elman

    def step(self, projected: Tensor, state: CellState, hidden_mask: Tensor | None = None) -> CellState:
        return (tanh(projected + self._recurrent(state[0], hidden_mask)),)


class Jordan(Cell):
    """A network whose output, not its hidden layer, comes back: h = tanh(W x + U y + b), y' = tanh(V h + c)
    (Jordan 1986).

    The output y is the state, and what the layers above read; h is gone after the step.
    """

    gates, parts = 1, 1

    def __init__(self, *, input_dim: int, hidden_dim: int, feedback_dim: int = 0) -> None:
        super().__init__(input_dim=input_dim, hidden_dim=hidden_dim, feedback_dim=feedback_dim)
        self.output = nn.Linear(hidden_dim, hidden_dim)

    def step(self, projected: Tensor, state: CellState, hidden_mask: Tensor | None = None) -> CellState:
        hidden = tanh(projected + self._recurrent(state[0], hidden_mask))
        return (tanh(self.output(hidden)),)
