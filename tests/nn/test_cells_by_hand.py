"""Cells worked by hand, in fractions where L = ln 3 allows it: σ(±L) = 3/4 and 1/4, tanh(L/2) = 1/2, tanh(L) = 4/5."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from seq2seq.nn.cells import CELLS, Cell
from seq2seq.nn.cells.gru import scan
from seq2seq.types import Padded
from tests.nn.helpers import close, random

L = math.log(3)
OPEN = 40.0
"""A gate's value that opens it wholly"""


def cell(name: str, *, inputs: Sequence[Sequence[float]], recurrent: Sequence[Sequence[float]] = ()) -> Cell:
    """A cell with the given weights, a row for each feature of each gate, and no biases."""
    made = CELLS[name](input_dim=len(inputs[0]), hidden_dim=len(inputs) // CELLS[name].gates)
    with torch.no_grad():
        made.input.weight.copy_(torch.tensor(inputs))
        if made.input.bias is not None:
            made.input.bias.zero_()
        if made.recurrent is not None:
            made.recurrent.weight.copy_(torch.tensor(recurrent or [[0.0]] * len(inputs)))
    return made.eval()


def stepped(made: Cell, x: Sequence[float], *state: float) -> list[float]:
    """One step of a cell of one feature."""
    new = made.step(made.project(torch.tensor([x])), tuple(torch.tensor([[part]]) for part in state))
    return [part.item() for part in new]


def put(parameter: Tensor, values: object) -> None:
    with torch.no_grad():
        parameter.copy_(torch.tensor(values))


def test_a_tanh_network_of_two_units() -> None:
    """Weights [[.1, .2], [.3, .4], [.5, .6]], whose last row is the input's, on inputs 1 and 2 (Elman 1990)."""
    made = cell("elman", inputs=[[0.5], [0.6]], recurrent=[[0.1, 0.3], [0.2, 0.4]])
    put(made.input.bias, [0.1, -0.1])
    readout = nn.Linear(2, 1)
    put(readout.weight, [[1.0, 2.0]])
    put(readout.bias, [0.1])
    states, _ = made.unroll(Padded(torch.tensor([[[1.0], [2.0]]]), torch.tensor([2])), made.start(1))
    close(states[0], torch.tensor([[0.537, 0.462], [0.860, 0.884]]), 5e-4)
    close(readout(states)[0, :, 0], torch.tensor([1.56, 2.73]), 5e-3)


def test_jordan_feeds_its_output_back() -> None:
    """From y = 1/2: h = tanh(L/4 + L/2 · 1/2) = 1/2, y' = tanh(L/2 + L · 1/2) = 4/5."""
    made = cell("jordan", inputs=[[L / 4]], recurrent=[[L / 2]])
    put(made.output.weight, [[L]])
    put(made.output.bias, [L / 2])
    assert stepped(made, [1.0], 0.5) == pytest.approx([0.8])


def test_gru() -> None:
    """From h = 2/5: reset σ(L - L) = 1/2, update σ(5L · 2/5 - L) = 3/4, candidate tanh(L/4 + 1/2 · (2/5 · 5/4 · L)) =
    1/2, and h' = 3/4 · 2/5 + 1/4 · 1/2 = 17/40."""
    made = cell("gru", inputs=[[-L], [-L], [L / 4]], recurrent=[[2.5 * L], [5 * L], [1.25 * L]])
    assert stepped(made, [1.0], 0.4) == pytest.approx([0.425])


def test_min_gru() -> None:
    """From h = 2: z = σ(L) = 3/4 and the candidate 4, so h' = 1/4 · 2 + 3/4 · 4 = 7/2."""
    made = cell("min_gru", inputs=[[L], [4.0]])
    assert stepped(made, [1.0], 2.0) == pytest.approx([3.5])


GATES = {"inputs": [[L / 2], [L / 2], [L / 4], [-1.5 * L]], "recurrent": [[L / 2], [-L / 2], [L / 4], [L / 2]]}
"""On input 1 and hidden state 1: input gate 3/4, forget gate 1/2, candidate 1/2, output gate 1/4"""


def test_lstm() -> None:
    """From c = 2/5: c' = 1/2 · 2/5 + 3/4 · 1/2 = .575, h' = tanh(.575) / 4 = .5190 / 4."""
    assert stepped(cell("lstm", **GATES), [1.0], 1.0, 0.4) == pytest.approx([0.12975, 0.575], abs=2e-5)


def test_peepholes_look_at_the_old_memory_and_at_the_new() -> None:
    """From c = 2/5: the input gate is σ(L - 5L · 2/5) = 1/4 and the forget gate σ(5/2 L · 2/5) = 3/4, so c' = .3 +
    .125; the output gate, which sees that, is σ(-L + 80/17 L · .425) = 3/4, and h' = 3/4 · tanh(.425) = 3/4 · .4011."""
    made = cell("peephole_lstm", **GATES)
    put(made.peepholes, [[-5 * L], [2.5 * L], [80 / 17 * L]])
    assert stepped(made, [1.0], 1.0, 0.4) == pytest.approx([0.3008, 0.425], abs=1e-4)


def test_coupled_gates_forget_as_much_as_they_write() -> None:
    """From c = 2/5 with input gate 3/4 and candidate 1/2: c' = 1/4 · 2/5 + 3/4 · 1/2 = .475; h' = tanh(.475) / 4."""
    some = {side: [rows[0], *rows[2:]] for side, rows in GATES.items()}
    assert stepped(cell("coupled_lstm", **some), [1.0], 1.0, 0.4) == pytest.approx([0.44223 / 4, 0.475], abs=1e-5)


def test_a_normalised_lstm_sees_how_its_sums_differ_and_not_how_large_they_are() -> None:
    """U h is (1, -1, 1, -1), which is normalised already; W x is (6, 2, 2, 6), which becomes (1, -1, -1, 1). Gains of
    L/2 and biases (0, L, L/2, 0) make the gates' values (L, 0, L/2, 0): input 3/4, forget 1/2, candidate 1/2, output
    1/2. From c = 2/5 comes c' = .575; one feature alone is normalised to 0, so that h' = 1/2 · tanh(its bias L/2)."""
    made = cell("layer_norm_lstm", inputs=[[6.0], [2.0], [2.0], [6.0]], recurrent=[[1.0], [-1.0], [1.0], [-1.0]])
    put(made.norm_recurrent.weight, [L / 2] * 4)
    put(made.norm_input.weight, [L / 2] * 4)
    put(made.norm_input.bias, [0.0, L, L / 2, 0.0])
    put(made.norm_cell.bias, [L / 2])
    for scale in (1.0, 100.0):
        assert stepped(made, [scale], 1.0, 0.4) == pytest.approx([0.25, 0.575], abs=1e-4)


def test_an_lstm_that_adds_clears_and_puts_out() -> None:
    """It adds x1 to its memory when x2 is 1, clears it when x2 is -1, and puts it out when x3 is 1.

    What is written passes a tanh, and what is put out another, so that both are made small enough to pass unchanged.
    """
    small, wide = 1e-3, 4 * OPEN
    made = cell("lstm", inputs=[[0, wide, 0], [0, wide, 0], [small, 0, 0], [0, 0, wide]])
    put(made.input.bias, [-OPEN, OPEN, 0.0, -OPEN])
    steps = [(1, 0, 0), (3, 1, 0), (2, 0, 0), (4, 1, 0), (2, 0, 0), (1, 0, 1), (3, -1, 0), (6, 1, 0), (1, 0, 1)]
    outputs, memory, state = [], [], made.start(1)
    for step in steps:
        state = made.step(made.project(torch.tensor([step], dtype=torch.float32)), state)
        outputs.append(state[0].item() / small)
        memory.append(state[1].item() / small)
    assert memory == pytest.approx([0, 3, 3, 7, 7, 7, 0, 6, 6], abs=1e-3)
    assert outputs == pytest.approx([0, 0, 0, 0, 0, 7, 0, 0, 6], abs=1e-3)


INPUT, HIDDEN = 6, 32
BLOCK = HIDDEN * (INPUT + HIDDEN) + HIDDEN
"""A gate: a matrix for the input, one for the hidden state, and one bias"""
COUNTS = {
    "lstm": 4 * BLOCK,
    "peephole_lstm": 4 * BLOCK + 3 * HIDDEN,
    "coupled_lstm": 3 * BLOCK,
    "layer_norm_lstm": 4 * BLOCK + 2 * 4 * HIDDEN + 2 * HIDDEN,  # two gains more, and gain and bias of the cell state
    "gru": 3 * BLOCK + HIDDEN,  # the candidate has a bias inside the reset gate and one outside
    "min_gru": 2 * (HIDDEN * INPUT + HIDDEN),
    "elman": BLOCK,
    "jordan": BLOCK + HIDDEN * HIDDEN + HIDDEN,
}


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", CELLS)
def test_parameters_by_formula(name: str) -> None:
    assert count(CELLS[name](input_dim=INPUT, hidden_dim=HIDDEN)) == COUNTS[name]


def test_an_lstm_of_6_inputs_and_32_units_has_5120_parameters_with_a_second_bias() -> None:
    """4 · ((6 + 32) · 32 + 32) = 4,992; torch's 5,120 are these and a bias beside the recurrent product, 4 · 32 more,
    which is added to the other and so adds nothing."""
    assert count(CELLS["lstm"](input_dim=6, hidden_dim=32)) == 4 * ((6 + 32) * 32 + 32) == 4_992
    assert count(nn.LSTM(6, 32)) == 4_992 + 4 * 32 == 5_120


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 7, 8, 13])
def test_a_scan_equals_its_loop(steps: int) -> None:
    factors, terms, first = random(2, steps, 3), random(2, steps, 3, seed=1), random(2, 3, seed=2)
    state, looped = first, []
    for factor, term in zip(factors.unbind(1), terms.unbind(1)):
        state = factor * state + term
        looped.append(state)
    close(scan(factors, terms, first), torch.stack(looped, 1))
