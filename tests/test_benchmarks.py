"""What the benchmarks measure is what they say: the plain loop is the toolkit's network, and slopes are exponents."""

from __future__ import annotations

from multiprocessing import Pipe

import pytest
import torch
from torch import Tensor

from benchmarks import cells, curves, plain, scaling, speed
from seq2seq.nn.cells import GRU
from seq2seq.nn.objective import CrossEntropy
from seq2seq.training.distributed import ALONE
from seq2seq.types import Padded
from tests.models.networks import tokens
from tests.nn.helpers import close, gradients

VOCAB, HIDDEN = 50, 16
SRC, TGT = tokens(4, 7, 1, 5, size=VOCAB), tokens(6, 2, 3, 8, size=VOCAB, seed=1)


def fast(model: torch.nn.Module, src: Padded, tgt: Padded) -> Tensor:
    """The loss as the toolkit trains it."""
    outputs, real = model(src, plain.shifted(tgt)).outputs, tgt.mask
    return CrossEntropy(label_smoothing=0.1).through(model.decoder.output, outputs[real], tgt.values[real]).total


@pytest.mark.parametrize("training", [False, True])
def test_all_fast_paths_together_equal_a_plain_loop(training: bool) -> None:
    """In value and gradient; where dropout is on, with the same random numbers."""
    torch.manual_seed(1)
    model = speed.network(vocab=VOCAB, hidden=HIDDEN).train(training)
    torch.manual_seed(2)
    losses = [fast(model, SRC, TGT)]
    torch.manual_seed(2)
    losses.append(plain.loss(model, SRC, TGT, 0.1))
    close(losses[0], losses[1], 1e-5)
    close(*(gradients(loss, model.parameters()) for loss in losses), 1e-5)


def test_a_slope_is_an_exponent() -> None:
    sizes = [1, 2, 8]
    assert curves.slopes(sizes, [3 * size**2 for size in sizes]) == pytest.approx([2, 2])
    assert curves.slopes(sizes, [5, 5, 5]) == pytest.approx([0, 0])


@pytest.mark.parametrize(("way", "steps"), [("kernel", 0), ("loop", 8)])
def test_cells_run_by_the_way_that_is_measured(way: str, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    taken, step = [], GRU.step
    monkeypatch.setattr(GRU, "step", lambda *given: taken.append(1) or step(*given))
    with cells.by(way):
        cells.run(GRU(input_dim=4, hidden_dim=3), Padded(torch.ones(2, 8, 4), torch.tensor([8, 5])), "fp32", True)
    assert len(taken) == steps


@pytest.mark.parametrize("kind", [scaling.Kind(1, exchange=True), scaling.Kind(2, exchange=False)])
def test_scaling_trains_by_the_parts_that_train_runs(kind: scaling.Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    network = speed.network
    monkeypatch.setattr(speed, "VOCAB", VOCAB)
    monkeypatch.setattr(speed, "TOKENS", 256)
    monkeypatch.setattr(speed, "network", lambda: network(vocab=VOCAB, hidden=HIDDEN))
    ours, theirs = Pipe()
    for updates in (2, None):
        ours.send(updates)
    scaling._serve(ALONE, kind, 0, "fp32", theirs)
    assert ours.recv() == 0
    turn = ours.recv()
    assert turn.tokens > 0 and turn.work > 0
