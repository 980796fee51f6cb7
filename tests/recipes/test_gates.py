"""How far back gradients reach: by hand for a network of one unit, and the whole command once."""

from __future__ import annotations

import math
import os
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

from seq2seq.nn.cells import CELLS, Elman
from seq2seq.types import Batch, Padded
from tests.recipes.scripts import script


@pytest.fixture(scope="module")
def gates() -> ModuleType:
    return script("gates/gates.py")


def test_the_norm_at_a_distance_is_a_product_of_slopes(gates: ModuleType) -> None:
    """h(t) = tanh(u h(t-1) + x(t)): the gradient of h(T) goes back by u · (1 - h(t)²) at every step."""
    cell = Elman(input_dim=1, hidden_dim=1)
    for parameter, value in zip(cell.parameters(), (1.0, 0.0, 0.5)):
        nn.init.constant_(parameter, value)
    xs, states = [0.3, -0.2, 0.9], [0.0]
    for x in xs:
        states.append(math.tanh(0.5 * states[-1] + x))
    slopes = [0.5 * (1 - state**2) for state in states]
    expected = [1.0, slopes[3], slopes[3] * slopes[2]]
    inputs = Padded(torch.tensor([[[x] for x in xs]] * 4), torch.full((4,), 3))
    task = SimpleNamespace(
        layer="cell", last=lambda model, batch: model.network.cell.unroll(batch.src, cell.start(4))[0][:, -1].sum()
    )
    model = SimpleNamespace(network=nn.ModuleDict({"cell": cell}))
    assert gates.norms(model, task, Batch(inputs, None, [])) == pytest.approx(expected)
    assert "step" not in vars(cell), "the cell is as it was"


@pytest.mark.parametrize("name", CELLS)
def test_the_states_of_every_cell_are_watched(gates: ModuleType, name: str) -> None:
    cell = CELLS[name](input_dim=2, hidden_dim=3)
    with gates.watched(cell) as states:
        cell.unroll(Padded(torch.randn(2, 5, 2), torch.full((2,), 5)), cell.start(2))[0].sum().backward()
    assert len(states) == 5 and all(state[0].grad is not None for state in states)


@pytest.mark.slow
def test_the_command_trains_draws_and_tells(
    gates: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "PYTHONPATH", str(Path(gates.seq2seq.__file__).parents[1]))
    monkeypatch.chdir(tmp_path)
    sizes = [f"data.{part}.size=64" for part in ("train", "valid", "test")]
    short = ["--tasks", "recall", "--cells", "elman", "--updates", "3", "--output", "gates"]
    assert gates.main([*short, "threads=1", *sizes]) == 0
    first = capsys.readouterr().out
    assert "| recall | elman | clipped |" in first and "| recall | elman | not clipped |" in first
    table = (tmp_path / "gates" / "gates.md").read_text(encoding="utf-8")
    assert len(table.splitlines()) == 4
    assert (tmp_path / "gates" / "gates.png").read_bytes()[:4] == b"\x89PNG"
    before = (tmp_path / "gates" / "recall-elman-clipped" / "train.log").stat().st_mtime_ns
    assert gates.main([*short, "threads=1", *sizes]) == 0
    assert capsys.readouterr().out == first
    assert (tmp_path / "gates" / "recall-elman-clipped" / "train.log").stat().st_mtime_ns == before, "not trained again"
    assert gates.main([*short, "threads=1", *sizes, "seed=2"]) == 1
    assert "with other options: give another --output" in capsys.readouterr().err
    assert gates.main(["--tasks", "recall", "--output", "other", "data.length=1"]) == 1
    assert "the training did not come to its end" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), [("digits", ["data.test.size=64"]), ("write", ["data.hidden_dim=16"])])
def test_every_task_looks_back_from_its_last_step(
    gates: ModuleType, name: str, options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "PYTHONPATH", str(Path(gates.seq2seq.__file__).parents[1]))
    given = ["--tasks", name, "--cells", "gru", "--updates", "2", "--output", str(tmp_path), "threads=1", *options]
    assert gates.main([*given, "schedule.warmup=1"]) == 0
    task = gates.TASKS[name]
    model = gates.seq2seq.load(tmp_path / f"{name}-gru-clipped", device="cpu")
    batch = gates.examples(model)
    norms = gates.norms(model, task, batch)
    assert len(norms) == {"digits": 28, "write": 64}[name]
    assert norms[0] > norms[-1], "an untrained network forgets"


def test_the_last_token_of_each_window_is_what_counts(gates: ModuleType) -> None:
    """The network is the table of a bigram: what comes before the last but one has no part in it."""
    table = torch.randn(5, 5)
    network = SimpleNamespace(unroll=lambda read: (table[read.values], ()), logits=lambda outputs: outputs)
    windows = Padded(torch.tensor([[0, 1, 2, 3], [4, 2, 1, 0]]), torch.tensor([4, 3]))
    expected = -(table[2].log_softmax(0)[3] + table[2].log_softmax(0)[1])
    given = gates.last_token(SimpleNamespace(network=network), Batch(None, windows, []))
    assert float(given) == pytest.approx(float(expected))
