"""Cells: equal to torch's own, and unroll equal to looping step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from seq2seq.nn import fused
from seq2seq.nn.cells import CELLS, GRU, Cell
from seq2seq.types import Padded
from tests.nn.helpers import close, gradients, random, shaken

N, T, INPUT, HIDDEN, FEEDBACK = 3, 5, 4, 6, 2
TORCH = {"lstm": nn.LSTM, "gru": nn.GRU, "elman": nn.RNN}


def cell(name: str, feedback_dim: int = 0) -> Cell:
    return shaken(CELLS[name](input_dim=INPUT, hidden_dim=HIDDEN, feedback_dim=feedback_dim))


def copied(ours: Cell, theirs: nn.RNNBase, suffix: str) -> None:
    """Gives a direction of torch's module the weights of a cell; torch has two biases where one is enough."""
    with torch.no_grad():
        getattr(theirs, f"weight_ih_{suffix}").copy_(ours.input.weight)
        getattr(theirs, f"weight_hh_{suffix}").copy_(ours.recurrent.weight)
        getattr(theirs, f"bias_ih_{suffix}").copy_(ours.input.bias)
        getattr(theirs, f"bias_hh_{suffix}").zero_()
        if isinstance(ours, GRU):
            getattr(theirs, f"bias_hh_{suffix}")[-HIDDEN:] = ours.bias_candidate


@pytest.fixture(params=["kernel", "loop"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to run over a sequence, where a cell has two."""
    if request.param == "loop":
        monkeypatch.setattr(fused, "fitting", lambda *_: None)
    return request.param


@pytest.mark.parametrize("name", TORCH)
def test_equals_torch_in_value_and_gradient(name: str, way: str) -> None:
    ours, theirs = cell(name), TORCH[name](INPUT, HIDDEN, batch_first=True)
    copied(ours, theirs, "l0")
    inputs = random(N, T, INPUT).requires_grad_()
    first = tuple(random(N, HIDDEN, seed=k).requires_grad_() for k in range(1, ours.parts + 1))
    states, ends = ours.unroll(Padded(inputs, torch.full((N,), T)), first)
    packed = tuple(part[None] for part in first)
    outputs, final = theirs(inputs, packed if name == "lstm" else packed[0])
    close(states, outputs)
    close(ends, tuple(part[0] for part in (final if name == "lstm" else (final,))))
    weight = random(N, T, HIDDEN, seed=9)
    leaves = [inputs, *first]
    mine = gradients((states * weight).sum(), [*leaves, ours.input.weight, ours.recurrent.weight, ours.input.bias])
    weights = [theirs.weight_ih_l0, theirs.weight_hh_l0, theirs.bias_ih_l0]
    close(mine, gradients((outputs * weight).sum(), [*leaves, *weights]))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_unroll_equals_looping_step(name: str, masked: bool, way: str) -> None:
    """Every hidden state, and the whole state after each sequence's own last step, whatever its padding holds."""
    ours, inputs, lengths = cell(name), random(N, T, INPUT), torch.tensor([T, 1, 3])
    mask = (random(N, HIDDEN, seed=5) > 0).float() * 2 if masked else None
    real = Padded(inputs, lengths).mask.unsqueeze(2)
    first = tuple(random(N, HIDDEN, seed=k).requires_grad_() for k in range(1, ours.parts + 1))
    states, ends = ours.unroll(Padded(inputs.where(real, 1e6), lengths), first, mask)
    state, looped = first, []
    for t in range(T):
        state = ours.step(ours.project(inputs[:, t]), state, mask)
        looped.append(state)
    parts = [torch.stack(part, 1) for part in zip(*looped)]
    plain, plain_ends = parts[0], tuple(part[torch.arange(N), lengths - 1] for part in parts)
    close((states.where(real, 0.0), ends), (plain.where(real, 0.0), plain_ends))
    leaves = [*first, *ours.parameters()]
    totals = [
        (hidden.where(real, 0.0).square().sum() + sum(part.sum() for part in last))
        for hidden, last in ((states, ends), (plain, plain_ends))
    ]
    close(gradients(totals[0], leaves), gradients(totals[1], leaves), 1e-4)


@pytest.mark.parametrize("name", TORCH)
def test_kernels_stand_in_only_for_the_cells_as_they_are(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of one's own, a mask, another product or another type is run as it is written."""
    looped: list[Cell] = []
    monkeypatch.setattr(Cell, "project", lambda cell, x: looped.append(cell) or cell.input(x))

    def loops(built: Cell, dtype: torch.dtype = torch.float32, **options: Any) -> bool:
        looped.clear()
        inputs, first = random(N, T, INPUT).to(dtype), tuple(part.to(dtype) for part in built.start(N))
        built.unroll(Padded(inputs, torch.full((N,), T)), first, **options)
        return bool(looped)

    own = type("Own", (CELLS[name],), {})(input_dim=INPUT, hidden_dim=HIDDEN)
    swapped = cell(name)
    swapped.recurrent = nn.Sequential(swapped.recurrent)
    assert not loops(cell(name))
    assert loops(cell(name), hidden_mask=torch.ones(N, HIDDEN))
    assert loops(own) and loops(swapped) and loops(cell(name).double(), torch.float64)
    large = CELLS[name](input_dim=INPUT, hidden_dim=fused.TRAINS // N + 1)
    assert loops(large) == (name == "lstm"), "it learns"
    with torch.no_grad():
        assert not loops(large)


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize("name", TORCH)
def test_a_batch_may_be_empty(name: str, half: bool) -> None:
    inputs = Padded(torch.zeros(0, T, INPUT), torch.zeros(0, dtype=torch.long))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        states, _ = cell(name).unroll(inputs, cell(name).start(0))
    assert states.shape == (0, T, HIDDEN)


@pytest.mark.parametrize("name", TORCH)
def test_kernels_in_bfloat16_only_sum_in_fp32(name: str) -> None:
    """A thousand small steps arrive, of which a bfloat16 state would take none after the first few hundred."""
    ours, steps = CELLS[name](input_dim=1, hidden_dim=1), 1000
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        if name == "lstm":  # writes 0.001 at each step, and forgets nothing
            ours.input.weight.zero_()
            ours.recurrent.weight.zero_()
            ours.input.bias.copy_(torch.tensor([-6.9, 30.0, 30.0, 30.0]))
        inputs = Padded(torch.zeros(2, steps, 1), torch.tensor([steps, steps // 2]))
        kernel = fused.fitting(ours, inputs.values, ours.start(2))
        if name != "lstm":
            assert kernel is None
            return
        assert (kernel is fused.lstm) == fused.reads_bf16(ours)
        _, (_, cell_state) = ours.unroll(inputs, ours.start(2))
    close(cell_state.flatten(), torch.tensor([1.007, 0.5035]), 0.01)


@pytest.mark.parametrize("learns", [True, False])
def test_the_lstm_kernel_in_bfloat16_errs_no_more_than_the_loop(learns: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In states and gradients, each beside those in fp32."""
    ours = CELLS["lstm"](input_dim=32, hidden_dim=32)
    inputs, lengths = random(8, 30, 32), torch.tensor([30, 30, 1, 7, 9, 30, 20, 2])
    if not fused.reads_bf16(ours):
        pytest.skip("this CPU does not multiply in bfloat16")

    def run(half: bool) -> list[torch.Tensor]:
        with torch.set_grad_enabled(learns), torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            states, (_, cell_state) = ours.unroll(Padded(inputs, lengths), ours.start(8))
        real = states.where(Padded(inputs, lengths).mask.unsqueeze(2), 0.0)
        found = [real, cell_state]
        return [*found, *gradients(real.square().sum() + cell_state.sum(), ours.parameters())] if learns else found

    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert fused.fitting(ours, inputs, ours.start(8)) is fused.lstm
    right, kernel = run(False), run(True)
    monkeypatch.setattr(fused, "fitting", lambda *_: None)
    for one, fast, looped in zip(right, kernel, run(True)):
        assert fast.dtype == torch.float32
        assert (fast - one).norm() <= 1.5 * (looped - one).norm() + 1e-6


@pytest.mark.parametrize("name", CELLS)
def test_a_mask_acts_on_the_recurrent_product_alone(name: str) -> None:
    ours, state = cell(name), tuple(random(N, HIDDEN, seed=k) for k in range(CELLS[name].parts))
    mask = torch.zeros(N, HIDDEN)
    given = ours.step(ours.project(random(N, INPUT)), state, mask)
    if ours.recurrent is not None:  # else there is nothing to act on
        with torch.no_grad():
            ours.recurrent.weight.zero_()
    close(given, ours.step(ours.project(random(N, INPUT)), state))


@pytest.mark.parametrize("name", CELLS)
def test_a_feedback_is_a_second_part_of_the_input(name: str) -> None:
    fed = cell(name, FEEDBACK)
    joined = CELLS[name](input_dim=INPUT + FEEDBACK, hidden_dim=HIDDEN)
    weights = dict(fed.state_dict())
    weights["input.weight"] = torch.cat([weights["input.weight"], weights.pop("feedback.weight")], dim=1)
    joined.load_state_dict(weights)
    inputs, feedback = random(N, INPUT), random(N, FEEDBACK, seed=1)
    close(fed.feed(fed.project(inputs), feedback), joined.project(torch.cat([inputs, feedback], 1)))
    every, lengths = random(N, T, INPUT), torch.full((N,), T)
    same = torch.cat([every, feedback.unsqueeze(1).expand(-1, T, -1)], 2)
    for learns in (True, False):
        with torch.set_grad_enabled(learns):
            outputs, ends = fed.unroll(Padded(every, lengths), fed.start(N), feedback=feedback)
            close((outputs, ends), joined.unroll(Padded(same, lengths), joined.start(N)))


@pytest.mark.parametrize("name", CELLS)
def test_bfloat16_products_leave_a_state_in_fp32(name: str) -> None:
    """Autocast changes results by its rounding alone, in a loop and in single steps alike, and gradients come back."""
    ours, inputs = cell(name), Padded(random(N, T, INPUT), torch.full((N,), T))
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.mul_(0.5)
    plain, _ = ours.unroll(inputs, ours.start(N))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states, ends = ours.unroll(inputs, ours.start(N))
        state = ours.start(N)
        for t in range(T):
            state = ours.step(ours.project(inputs.values[:, t]), state)
    close(states[:, -1], state[0], 0.02)
    assert (states - plain).norm() / plain.norm() < 0.02
    assert all(part.dtype == torch.float32 for part in ends[1:]), "what adds up over steps keeps its digits"
    assert all(torch.isfinite(gradient).all() for gradient in gradients(states.sum(), ours.parameters()))


@pytest.mark.parametrize("name", ["lstm", "peephole_lstm", "coupled_lstm", "layer_norm_lstm"])
def test_a_fresh_lstm_remembers(name: str) -> None:
    """The forget gate is σ(1) where nothing is said (Jozefowicz et al. 2015, section 2.2)."""
    fresh = CELLS[name](input_dim=INPUT, hidden_dim=HIDDEN)
    with torch.no_grad():
        for module in (fresh.input, fresh.recurrent):
            module.weight.zero_()
        if name != "layer_norm_lstm":
            others = [True] * HIDDEN * fresh.gates
            first = 0 if name == "coupled_lstm" else HIDDEN
            others[first : first + HIDDEN] = [False] * HIDDEN
            fresh.input.bias[others] = 0.0
    memory = torch.full((N, HIDDEN), 0.5)
    _, kept = fresh.step(fresh.project(torch.zeros(N, INPUT)), (torch.zeros(N, HIDDEN), memory))
    close(kept, memory * torch.sigmoid(torch.tensor(1.0)))
