"""Gated recurrent units."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seq2seq.nn import fused
from seq2seq.nn.activations import tanh
from seq2seq.nn.cells.cell import Cell, CellState, last
from seq2seq.types import Padded


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


class MinGRU(Cell):
    """A GRU whose gate and candidate see the input alone: h' = (1 - z) ⊙ h + z ⊙ (V x + c), z = σ(W x + b)
    (Feng et al. 2024, section 3.1).

    So all steps are known to be h' = keep ⊙ h + added before the first is taken, and ``unroll`` takes them by a scan,
    in log T turns: on one thread of a CPU that trains 8 sequences of 1,000 steps in 0.4 of a loop's time, but 32 of 30
    to 200 steps in 1.1 to 1.3 of it. No product has the hidden state in it that a mask could act on. The blocks of the
    weights are update, candidate.
    """

    gates, parts, recurs = 2, 1, False

    def step(self, projected: Tensor, state: CellState, hidden_mask: Tensor | None = None) -> CellState:
        keep, added = self._terms(projected)
        return (torch.addcmul(added, keep, state[0]),)

    def unroll(
        self, inputs: Padded, state: CellState, hidden_mask: Tensor | None = None, feedback: Tensor | None = None
    ) -> tuple[Tensor, CellState]:
        outputs = scan(*self._terms(self.project_all(inputs.values, feedback)), state[0])
        return outputs, (last(outputs, inputs.lengths),)

    def _terms(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        """What the state is multiplied by, and what is added to it."""
        update, candidate = projected.float().chunk(2, dim=-1)  # sums over many steps, so not in bfloat16
        return torch.sigmoid(-update), torch.sigmoid(update) * candidate


def scan(factors: Tensor, terms: Tensor, first: Tensor) -> Tensor:
    """All h(t) = factors(t) ⊙ h(t-1) + terms(t), where h before the first step is ``first``.

    Two steps in a row are one step of the same form: their factors' product, and the sum of the second's term and the
    first's carried on. So the odd steps are found by a scan of half as many, and the even ones from these
    (Blelloch 1990): 2 log T turns, and in all no more than three times the products of a loop.

    Args:
        factors: ``[B, T, D]``.
        terms: ``[B, T, D]``.
        first: ``[B, D]``.

    Returns:
        ``[B, T, D]``
    """
    start = torch.addcmul(terms[:, :1], factors[:, :1], first.unsqueeze(1))
    if factors.shape[1] == 1:
        return start
    even, odd = factors[:, ::2], factors[:, 1::2]
    pairs, evens = odd.shape[1], terms[:, ::2]
    joined = torch.addcmul(terms[:, 1::2], odd, evens[:, :pairs])
    odds = scan(odd * even[:, :pairs], joined, first)
    rest = torch.addcmul(evens[:, 1:], even[:, 1:], odds[:, : even.shape[1] - 1])
    evens = torch.cat([start, rest], dim=1)
    both = torch.stack([evens[:, :pairs], odds], dim=2).flatten(1, 2)
    return torch.cat([both, evens[:, pairs:]], dim=1)
