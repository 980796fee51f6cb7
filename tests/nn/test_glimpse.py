"""Attention of captioning, by hand."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from seq2seq.errors import ConfigError
from seq2seq.nn.attention import Dot
from seq2seq.nn.cells import LSTM, SentinelLSTM
from seq2seq.nn.glimpse import Adaptive, Gated, Mean
from seq2seq.nn.objective import DoublyStochastic
from seq2seq.types import Memory
from tests.nn.helpers import close, random, shaken

MASK = torch.tensor([[True, True, False]])
MEMORY = Memory(torch.tensor([[[1.0, 0.0], [3.0, 2.0], [9.0, 9.0]]]), MASK, ())


def test_mean_is_that_of_what_is_real() -> None:
    attention = Mean(query_dim=4, memory_dim=2)
    context, weights, _ = attention(random(1, 2, 4), attention.prepare(MEMORY), ())
    close(context, torch.tensor([[[2.0, 1.0]] * 2]))
    close(weights, torch.tensor([[[0.5, 0.5, 0.0]] * 2]))


def test_the_gate_scales_the_context() -> None:
    """Xu et al. 2015, section 4.2.1."""
    attention = Gated(query_dim=2, memory_dim=2, attention=partial(Dot, scaled=False))
    with torch.no_grad():
        attention.gate.weight.copy_(torch.tensor([[1.0, 0.0]]))
        attention.gate.bias.fill_(0.5)
    context, weights, _ = attention(torch.zeros(1, 1, 2), attention.prepare(MEMORY), ())
    close(context, torch.tensor([[[2.0, 1.0]]]) / (1 + math.exp(-0.5)))
    close(weights, torch.tensor([[[0.5, 0.5, 0.0]]]))


def test_the_sentinel_takes_its_share() -> None:
    """Lu et al. 2017, eq. 11 to 13: where all scores are alike, two regions and the sentinel get a third each."""
    attention = Adaptive(query_dim=2, memory_dim=2, attention_dim=3)
    with torch.no_grad():
        attention.energy.weight.zero_()
    context, weights, _ = attention(torch.tensor([[[5.0, 5.0, 2.0, 4.0]]]), attention.prepare(MEMORY), ())
    close(weights, torch.tensor([[[1 / 3, 1 / 3, 0.0]]]))
    close(context, torch.tensor([[[6.0, 6.0]]]) / 3)


def test_the_sentinel_is_a_gate_on_the_new_cell_state() -> None:
    """Lu et al. 2017, eq. 9 and 10; all else is an LSTM."""
    cell, plain = shaken(SentinelLSTM(input_dim=3, hidden_dim=2)), LSTM(input_dim=3, hidden_dim=2)
    with torch.no_grad():
        plain.input.weight.copy_(cell.input.weight[:8])
        plain.input.bias.copy_(cell.input.bias[:8])
        plain.recurrent.weight.copy_(cell.recurrent.weight[:8])
    x, hidden, cell_state = random(4, 3), random(4, 2, seed=1), random(4, 2, seed=2)
    shown, kept, sentinel = cell.step(cell.project(x), (hidden, cell_state, torch.full((4, 2), 9.0)))
    close((shown, kept), plain.step(plain.project(x), (hidden, cell_state)))
    gate = torch.sigmoid(x @ cell.input.weight[8:].T + cell.input.bias[8:] + hidden @ cell.recurrent.weight[8:].T)
    close(sentinel, gate * torch.tanh(kept))


def test_the_penalty_counts_how_far_each_region_is_from_one_look() -> None:
    """Xu et al. 2015, eq. 14: 0.5 · ((1 - 1.5)² + (1 - 0.5)²); padding of target and memory is not seen."""
    attention = torch.tensor([[[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.3, 0.7, 0.0]]])
    given = DoublyStochastic(weight=0.5)(attention, torch.tensor([[True, True, False]]), MASK)
    close(given, torch.tensor(0.25))
    with pytest.raises(ConfigError, match=r"weight=-1\.0: expected 0 or more"):
        DoublyStochastic(weight=-1.0)
