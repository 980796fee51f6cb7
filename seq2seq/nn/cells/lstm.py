"""Long short-term memory, and what others have made of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seq2seq.nn import fused
from seq2seq.nn.activations import tanh
from seq2seq.nn.cells.cell import Cell, CellState


class LSTM(Cell):
    """Long short-term memory with a forget gate (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    The blocks of the weights are input, forget, candidate, output. The forget gate's bias starts at 1
    (Jozefowicz et al. 2015, section 2.2), so that a fresh cell remembers.
    """

    gates, parts = 4, 2
    kernel = fused.lstm

    def __init__(self, *, input_dim: int, hidden_dim: int, feedback_dim: int = 0) -> None:
        super().__init__(input_dim=input_dim, hidden_dim=hidden_dim, feedback_dim=feedback_dim)
        remember(self.input.bias)

    def step(self, projected: Tensor, state: CellState, hidden_mask: Tensor | None = None) -> CellState:
        hidden, cell_state = state
        gates = projected + self._recurrent(hidden, hidden_mask)
        write, forget, candidate, show = gates.chunk(4, dim=1)
        cell_state = written(cell_state, write, forget, candidate)
        return torch.sigmoid(show) * tanh(cell_state), cell_state


class PeepholeLSTM(Cell):
    """An LSTM whose gates see the cell state: the input's and the forget's the old one, the output's the new one, each
    feature its own by a weight of its own (Gers & Schmidhuber 2000).

    The weights of the peepholes start at 0, where it is an LSTM.
    """

    gates, parts = 4, 2

    def __init__(self, *, input_dim: int, hidden_dim: int, feedback_dim: int = 0) -> None:
        super().__init__(input_dim=input_dim, hidden_dim=hidden_dim, feedback_dim=feedback_dim)
        remember(self.input.bias)
        self.peepholes = nn.Parameter(torch.zeros(3, hidden_dim))

    def step(self, projected: Tensor, state: CellState, hidden_mask: Tensor | None = None) -> CellState:
        hidden, cell_state = state
        gates = projected + self._recurrent(hidden, hidden_mask)
        write, forget, candidate, show = gates.chunk(4, dim=1)
        to_write, to_forget, to_show = self.peepholes
        forget, write = forget + to_forget * cell_state, write + to_write * cell_state
        cell_state = written(cell_state, write, forget, candidate)
        return torch.sigmoid(show + to_show * cell_state) * tanh(cell_state), cell_state


class CoupledLSTM(Cell):
    """An LSTM that forgets as much as it writes: the forget gate is 1 less the input gate (Greff et al. 2017, CIFG).

    The blocks of the weights are input, candidate, output. The input gate's bias starts at -1, so that the forget gate
    is that of a fresh LSTM.
    """

    gates, parts = 3, 2

    def __init__(self, *, input_dim: int, hidden_dim: int, feedback_dim: int = 0) -> None:
        super().__init__(input_dim=input_dim, hidden_dim=hidden_dim, feedback_dim=feedback_dim)
        with torch.no_grad():
            self.input.bias[:hidden_dim].fill_(-1.0)

    def step(self, projected: Tensor, state: CellState, hidden_mask: Tensor | None = None) -> CellState:
        hidden, cell_state = state
        write, candidate, show = (projected + self._recurrent(hidden, hidden_mask)).chunk(3, dim=1)
        cell_state = written(cell_state, write, -write, candidate)
        return torch.sigmoid(show) * tanh(cell_state), cell_state


class LayerNormLSTM(Cell):
    """An LSTM whose products and cell state are normalised over their features (Ba et al. 2016, eq. 20 to 22):
    LN(U h) + LN(W x) + b before the gates, and σ(output gate) ⊙ tanh(LN(c')) after them.

    The blocks of the weights are an LSTM's. The bias b is that of the second norm. A feedback is normalised together
    with the input.
    """

    gates, parts, biased = 4, 2, False

    def __init__(self, *, input_dim: int, hidden_dim: int, feedback_dim: int = 0) -> None:
        super().__init__(input_dim=input_dim, hidden_dim=hidden_dim, feedback_dim=feedback_dim)
        self.norm_recurrent = Norm(4 * hidden_dim, bias=False)
        self.norm_input, self.norm_cell = Norm(4 * hidden_dim), Norm(hidden_dim)
        remember(self.norm_input.bias)

    def step(self, projected: Tensor, state: CellState, hidden_mask: Tensor | None = None) -> CellState:
        hidden, cell_state = state
        gates = self.norm_input(projected) + self.norm_recurrent(self._recurrent(hidden, hidden_mask))
        write, forget, candidate, show = gates.chunk(4, dim=1)
        cell_state = written(cell_state, write, forget, candidate)
        return torch.sigmoid(show) * tanh(self.norm_cell(cell_state)), cell_state


class SentinelLSTM(Cell):
    """An LSTM that shows a second thing beside its hidden state: a sentinel, σ(W x + U h) ⊙ tanh(c'), c' being the new
    cell state (Lu et al. 2017, eq. 9 and 10).

    The sentinel's gate is the fifth block of the weights, the sentinel the third part of the state. No step reads it;
    ``Adaptive`` attention does.
    """

    gates, parts = 5, 3

    def __init__(self, *, input_dim: int, hidden_dim: int, feedback_dim: int = 0) -> None:
        super().__init__(input_dim=input_dim, hidden_dim=hidden_dim, feedback_dim=feedback_dim)
        remember(self.input.bias[: 4 * hidden_dim])

    def step(self, projected: Tensor, state: CellState, hidden_mask: Tensor | None = None) -> CellState:
        hidden, cell_state, _ = state
        gates = projected + self._recurrent(hidden, hidden_mask)
        write, forget, candidate, show, keep = gates.chunk(5, dim=1)
        cell_state = written(cell_state, write, forget, candidate)
        inside = tanh(cell_state)
        return torch.sigmoid(show) * inside, cell_state, torch.sigmoid(keep) * inside


def written(cell_state: Tensor, write: Tensor, forget: Tensor, candidate: Tensor) -> Tensor:
    """The new cell state ``[N, H]``: σ(forget) ⊙ the old one + σ(write) ⊙ tanh(candidate)."""
    return torch.addcmul(torch.sigmoid(forget) * cell_state, torch.sigmoid(write), tanh(candidate))


@torch.no_grad()
def remember(bias: Tensor) -> None:
    """Sets the forget gate's bias, of those of all gates of an LSTM, to 1."""
    quarter = len(bias) // 4
    bias[quarter : 2 * quarter].fill_(1.0)


class Norm(nn.LayerNorm):
    """Layer normalisation in fp32, whatever the product before it was computed in."""

    def forward(self, x: Tensor) -> Tensor:
        """``[…, D] -> […, D]``, fp32."""
        return super().forward(x.float())
