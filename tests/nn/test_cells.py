"""Cells: equal to torch's own, and unroll equal to looping step."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seq2seq.nn.cells import CELLS, GRU, LSTM, Cell
from tests.nn.helpers import close, gradients, random, shaken

N, T, INPUT, HIDDEN, FEEDBACK = 3, 5, 4, 6, 2
TORCH = {"lstm": nn.LSTM, "gru": nn.GRU, "elman": nn.RNN}


def cell(name: str, feedback_dim: int = 0) -> Cell:
    return shaken(CELLS[name](input_dim=INPUT, hidden_dim=HIDDEN, feedback_dim=feedback_dim))


def copied(ours: Cell, theirs: nn.RNNBase, suffix: str) -> None:
    """Gives a direction of torch's module the weights of a cell; torch has two biases where one is enough."""
    with torch.no_grad():
        getattr(theirs, f"weight_ih_{suffix}").copy_(ours.weight_ih)
        getattr(theirs, f"weight_hh_{suffix}").copy_(ours.weight_hh)
        getattr(theirs, f"bias_ih_{suffix}").copy_(ours.bias)
        getattr(theirs, f"bias_hh_{suffix}").zero_()
        if isinstance(ours, GRU):
            getattr(theirs, f"bias_hh_{suffix}")[-HIDDEN:] = ours.bias_candidate


@pytest.mark.parametrize("name", CELLS)
def test_equals_torch_in_value_and_gradient(name: str) -> None:
    ours, theirs = cell(name), TORCH[name](INPUT, HIDDEN, batch_first=True)
    copied(ours, theirs, "l0")
    inputs, first = random(N, T, INPUT), tuple(random(N, HIDDEN, seed=k) for k in range(1, ours.parts + 1))
    states = ours.unroll(inputs, first)
    packed = tuple(part[None] for part in first)
    outputs, final = theirs(inputs, packed if name == "lstm" else packed[0])
    close(states[0], outputs)
    close(tuple(part[:, -1] for part in states), tuple(part[0] for part in (final if name == "lstm" else (final,))))
    weight = random(N, T, HIDDEN, seed=9)
    mine = gradients((states[0] * weight).sum(), [ours.weight_ih, ours.weight_hh, ours.bias])
    close(mine, gradients((outputs * weight).sum(), [theirs.weight_ih_l0, theirs.weight_hh_l0, theirs.bias_ih_l0]))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_unroll_equals_looping_step(name: str, masked: bool) -> None:
    ours, inputs = cell(name), random(N, T, INPUT)
    mask = (random(N, HIDDEN, seed=5) > 0).float() * 2 if masked else None
    states = ours.unroll(inputs, ours.start(N), mask)
    state, looped = ours.start(N), []
    for t in range(T):
        state = ours.step(ours.project(inputs[:, t]), state, mask)
        looped.append(state)
    plain = tuple(torch.stack(part, 1) for part in zip(*looped))
    close(states, plain)
    parameters = list(ours.parameters())
    close(
        gradients(sum(part.square().sum() for part in states), parameters),
        gradients(sum(part.square().sum() for part in plain), parameters),
        1e-4,
    )


@pytest.mark.parametrize("name", CELLS)
def test_a_mask_acts_on_the_recurrent_product_alone(name: str) -> None:
    ours, state = cell(name), tuple(random(N, HIDDEN, seed=k) for k in range(CELLS[name].parts))
    mask = torch.zeros(N, HIDDEN)
    given = ours.step(ours.project(random(N, INPUT)), state, mask)
    with torch.no_grad():
        ours.weight_hh.zero_()
    close(given, ours.step(ours.project(random(N, INPUT)), state))


@pytest.mark.parametrize("name", CELLS)
def test_a_feedback_is_a_second_part_of_the_input(name: str) -> None:
    fed = cell(name, FEEDBACK)
    joined = CELLS[name](input_dim=INPUT + FEEDBACK, hidden_dim=HIDDEN)
    weights = dict(fed.state_dict())
    weights["weight_ih"] = torch.cat([weights["weight_ih"], weights.pop("weight_feedback")], dim=1)
    joined.load_state_dict(weights)
    inputs, feedback = random(N, INPUT), random(N, FEEDBACK, seed=1)
    close(fed.feed(fed.project(inputs), feedback), joined.project(torch.cat([inputs, feedback], 1)))


def test_a_fresh_lstm_remembers() -> None:
    """Jozefowicz et al. 2015, section 2.2."""
    bias = LSTM(input_dim=INPUT, hidden_dim=HIDDEN).bias
    assert bias[HIDDEN : 2 * HIDDEN].tolist() == [1.0] * HIDDEN
    assert bias[:HIDDEN].abs().max() < 1 and bias[2 * HIDDEN :].abs().max() < 1
