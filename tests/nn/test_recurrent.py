"""Stacks: equal to torch's on packed sequences, law 1, law 2, residuals and both kinds of dropout."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seq2seq.errors import ConfigError
from seq2seq.nn.cells import CELLS, Elman, last
from seq2seq.nn.recurrent import Masks, Recurrent, RecurrentState, reverse
from seq2seq.types import Padded
from tests.nn.helpers import close, gradients, random, shaken
from tests.nn.test_cells import HIDDEN, INPUT, TORCH, copied

LENGTHS = torch.tensor([4, 6, 1])
B, T = 3, 6


def stack(**options: Any) -> Recurrent:
    defaults = {"cell": "gru", "input_dim": INPUT, "hidden_dim": HIDDEN, "num_layers": 2, "bidirectional": False}
    rates = {"residual": False, "dropout": 0.0, "variational_dropout": 0.0}
    return shaken(Recurrent(**{**defaults, **rates, **options}))


def real(values: Tensor) -> Tensor:
    return values[Padded(values, LENGTHS).mask]


SHAPES = list(itertools.product(CELLS, [False, True], [(1, False), (2, False), (3, True)]))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", TORCH)
def test_equals_torch_on_packed_sequences(name: str, bidirectional: bool) -> None:
    ours = stack(cell=name, bidirectional=bidirectional)
    theirs = TORCH[name](INPUT, HIDDEN, num_layers=2, bidirectional=bidirectional, batch_first=True)
    for layer, cells in enumerate(ours.layers):
        for direction, suffix in zip(cells, ("", "_reverse")):
            copied(direction, theirs, f"l{layer}{suffix}")
    inputs = random(B, T, INPUT)
    outputs, finals = ours.unroll(Padded(inputs, LENGTHS))
    packed = nn.utils.rnn.pack_padded_sequence(inputs, LENGTHS, batch_first=True, enforce_sorted=False)
    theirs_out, theirs_final = theirs(packed)
    close(real(outputs), real(nn.utils.rnn.pad_packed_sequence(theirs_out, batch_first=True)[0]))
    for part, final in enumerate(theirs_final if name == "lstm" else (theirs_final,)):
        by_layer = final.unflatten(0, (2, -1)).transpose(1, 2).flatten(2)
        close(tuple(layer[part] for layer in finals), tuple(by_layer))


@pytest.mark.parametrize(("name", "bidirectional", "depth"), SHAPES)
def test_padding_changes_nothing(name: str, bidirectional: bool, depth: tuple[int, bool]) -> None:
    ours = stack(cell=name, bidirectional=bidirectional, num_layers=depth[0], residual=depth[1])
    inputs = random(B, T, INPUT)
    outputs, finals = ours.unroll(Padded(inputs, LENGTHS))
    longer = torch.cat([inputs, 1e6 * random(B, 3, INPUT, seed=1)], 1)
    in_longer, finals_in_longer = ours.unroll(Padded(longer, LENGTHS))
    close((real(outputs), finals), (real(in_longer[:, :T]), finals_in_longer))
    for row, length in enumerate(LENGTHS.tolist()):
        alone, final = ours.unroll(Padded(inputs[row : row + 1, :length], LENGTHS[row : row + 1]))
        close(alone[0], outputs[row, :length])
        close(final, tuple(tuple(part[row : row + 1] for part in layer) for layer in finals))


@pytest.mark.parametrize("variational", [0.0, 0.4])
@pytest.mark.parametrize("depth", [(1, False), (2, False), (3, True)])
@pytest.mark.parametrize("name", CELLS)
def test_unroll_equals_looping_step(name: str, depth: tuple[int, bool], variational: float) -> None:
    ours = stack(cell=name, num_layers=depth[0], residual=depth[1], variational_dropout=variational).train()
    torch.manual_seed(1)
    begun = ours.begin(tuple(tuple(random(B, HIDDEN, seed=k) for k in range(ours.parts)) for _ in range(depth[0])))
    assert bool(begun.masks) == bool(variational)
    inputs = random(B, T, INPUT)
    outputs, finals = ours.unroll(Padded(inputs, torch.full((B,), T)), begun)
    state, looped = begun, []
    for projected in ours.project(inputs, begun).unbind(1):
        output, state = ours.step(projected, state)
        looped.append(output)
    plain = torch.stack(looped, 1)
    close((outputs, finals), (plain, state.layers))
    parameters = list(ours.parameters())
    close(gradients(outputs.square().sum(), parameters), gradients(plain.square().sum(), parameters), 1e-4)


def test_a_residual_adds_the_input_of_all_layers_but_the_first() -> None:
    ours = stack(num_layers=3, residual=True)
    inputs = Padded(random(B, T, INPUT), LENGTHS)
    expected: Tensor = inputs.values
    for layer, (cell,) in enumerate(ours.layers):
        hidden, _ = cell.unroll(Padded(expected, LENGTHS), cell.start(B))
        expected = hidden + expected if layer else hidden
    close(real(ours.unroll(inputs)[0]), real(expected))


def test_dropout_acts_between_layers_only() -> None:
    """With all but everything dropped, the second layer sees zeros, and neither first input nor last output do."""
    ours = stack(dropout=0.999999)
    inputs = Padded(random(B, T, INPUT), LENGTHS)
    plain, finals = ours.unroll(inputs)
    dropped, dropped_finals = ours.train().unroll(inputs)
    close(dropped_finals[0], finals[0])
    (second,) = ours.layers[1]
    close(real(dropped), real(second.unroll(Padded(torch.zeros(B, T, HIDDEN), LENGTHS), second.start(B))[0]))
    assert (real(dropped) - real(plain)).abs().max() > 0.1


def test_variational_dropout_drops_the_same_features_at_every_step() -> None:
    """An Elman stack that copies its input shows the mask of its input."""
    ours = stack(cell=Elman, num_layers=1, hidden_dim=INPUT, variational_dropout=0.5)
    with torch.no_grad():
        for parameter, value in zip(ours.parameters(), (0.1 * torch.eye(INPUT), torch.zeros(()), torch.zeros(()))):
            parameter.copy_(value.expand_as(parameter))
    ones = Padded(torch.ones(200, T, INPUT), torch.full((200,), T))
    torch.manual_seed(0)
    outputs = ours.train().unroll(ones)[0]
    assert (outputs == outputs[:, :1]).all()
    dropped = (outputs[:, 0] == 0).float()
    assert dropped.mean() == pytest.approx(0.5, abs=0.06)
    assert dropped.std(0).min() > 0.4, "every sequence draws its own mask"
    close(outputs[outputs != 0], torch.full_like(outputs[outputs != 0], 0.2).tanh())
    assert (ours.unroll(ones)[0] != outputs).any(), "every batch draws its own masks"
    close(ours.eval().unroll(ones)[0], torch.full_like(ones.values, 0.1).tanh())
    assert ours.start(2).masks == ()


def test_variational_dropout_masks_the_hidden_state_of_every_layer() -> None:
    ours = stack(variational_dropout=0.5).train()
    state = ours.start(B)
    assert [tuple(part.shape for part in masks) for masks in state.masks] == [
        ((B, INPUT), (B, HIDDEN)),
        ((B, HIDDEN), (B, HIDDEN)),
    ]
    blocked = tuple(Masks(masks.inputs, torch.zeros_like(masks.hidden)) for masks in state.masks)
    inputs = Padded(random(B, T, INPUT), torch.full((B,), T))
    given = ours.unroll(inputs, RecurrentState(state.layers, blocked))[0]
    with torch.no_grad():
        for (cell,) in ours.layers:
            cell.recurrent.weight.zero_()
    close(given, ours.unroll(inputs, state)[0])


def test_reverse_and_last_leave_padding_out() -> None:
    values = torch.tensor([[1, 2, 3, 0], [4, 5, 6, 7]]).unsqueeze(2)
    lengths = torch.tensor([3, 4])
    assert reverse(values, lengths).squeeze(2).tolist() == [[3, 2, 1, 0], [7, 6, 5, 4]]
    assert last(values, lengths).squeeze(1).tolist() == [3, 7]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_layers": 0}, "num_layers=0, hidden_dim=6: both must be at least 1"),
        ({"hidden_dim": 0}, "num_layers=2, hidden_dim=0: both must be at least 1"),
        ({"dropout": 0.1, "variational_dropout": 0.1}, "exclude each other: set one to 0"),
        ({"dropout": 0.1, "num_layers": 1}, "dropout=0.1 acts between layers, and there is only one: set it to 0"),
        ({"dropout": 1.0}, "dropout=1.0: expected the share that is dropped, 0 or more, and less than 1"),
        ({"variational_dropout": -0.1}, "variational_dropout=-0.1: expected the share"),
        ({"bidirectional": True, "feedback_dim": 2}, "a bidirectional stack cannot be fed back"),
        ({"cell": "lsmt"}, "no cell is called 'lsmt': did you mean 'lstm'?"),
    ],
)
def test_refuses_what_cannot_work(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        stack(**options)
