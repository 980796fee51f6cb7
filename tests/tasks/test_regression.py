"""Regression: figures, carried states, and from typed numbers to answers."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import seq2seq
from seq2seq.data.builtin.digits import drawn
from seq2seq.data.fields import Fields
from seq2seq.data.labels import LabelField
from seq2seq.data.numbers import NumbersField
from seq2seq.errors import ConfigError, DataError
from seq2seq.models.encoders import RecurrentEncoder
from seq2seq.models.predictors import Predictor, Steps
from seq2seq.nn.embedding import Numbers
from seq2seq.nn.estimates import Gaussian, Squared
from seq2seq.nn.recurrent import Recurrent
from seq2seq.tasks.regression import Estimate, Regression
from seq2seq.types import Batch, Example
from tests.commands import command, mistake

FIELD = NumbersField(scale="own", means=[10.0], deviations=[2.0])
FIELDS = Fields(FIELD, FIELD)


def model(structure: object = Squared) -> Predictor:
    torch.manual_seed(0)
    kind = {"cell": "gru", "hidden_dim": 4, "num_layers": 1, "bidirectional": False, "residual": False}
    stack = partial(Recurrent, **kind, dropout=0.0, variational_dropout=0.0)  # type: ignore[arg-type]
    encoder = RecurrentEncoder(embedding=Numbers(features=1), recurrent=stack, dropout=0.0)  # type: ignore[arg-type]
    head = partial(Steps, size=1, structure=structure, dropout=0.0)  # type: ignore[arg-type]
    return Predictor(encoder=encoder, head=head).eval()


def batch(*raws: str, follows: list[int | None] | None = None) -> Batch:
    side = FIELD.collate(FIELD.encode_all(raws))
    return Batch(side, side, list(range(len(raws))), follows)


def estimate(*numbers: float, low: float | None = None, high: float | None = None) -> Estimate:
    table = np.array([numbers]).T
    ends = {"low": None if low is None else table + low, "high": None if high is None else table + high}
    return Estimate("", [], 0.0, 0.0, table=table, **ends)


def test_the_loss_is_counted_in_numbers_and_carries_a_state_where_asked_to() -> None:
    task, network = Regression(fields=FIELDS, season=None), model()
    loss = task.loss(network, batch("1 2 3", "4"))
    assert loss.count == 4 and loss.state is None and loss.total.requires_grad
    carried = task.loss(network, batch("1 2 3", "4", follows=[None, 0])).state
    assert carried[0][0].shape == (2, 4) and not carried[0][0].requires_grad
    whole = task.predict(network, batch("1 2 3 4"))[0][0].pieces
    first = task.loss(network, batch("1 2", follows=[None])).state
    rest = task.predict(network, batch("3 4")._replace(state=first))[0][0].pieces
    assert rest == whole[2:]


def test_predictions_are_in_the_units_of_the_data_and_empty_ones_stay_empty() -> None:
    task, network = Regression(fields=FIELDS, season=None), model(partial(Gaussian, interval=0.9))
    one, none = (best[0] for best in task.predict(network, batch("1 2", "")))
    assert isinstance(one, Estimate) and len(one.pieces) == 2 and one.table.shape == (2, 1)
    assert one.text == " ".join(f"{number:.6g}" for number in one.table[:, 0]) and none.text == ""
    assert (one.low < one.table).all() and (one.table < one.high).all()
    record = one.record()
    assert record["text"] == one.text and len(record["low"]) == len(record["high"]) == 2


def test_figures() -> None:
    task = Regression(fields=FIELDS, season=2)
    found = [[estimate(3, 7, low=-1, high=1)], [estimate(5, 5, low=-3, high=0)]]
    examples = [Example("1 5 2 6", "3 5", ""), Example("1 5 2 6", "4 6", "")]
    figures = task.score(found, examples)  # type: ignore[arg-type]
    assert figures["mse"] == pytest.approx(6 / 4) and figures["mae"] == pytest.approx(1)
    assert figures["mase"] == pytest.approx(1) and figures["naive"] == pytest.approx((1 + 1 + 2 + 0) / 4)
    assert figures["coverage"] == 50
    bare = Regression(fields=FIELDS, season=None).score([[estimate(3, 7)], [estimate(5, 5)]], examples)  # type: ignore[list-item]
    assert set(bare) == {"mse", "mae"}
    with pytest.raises(DataError, match=r"^a.csv, step 9: the past repeats itself after 2 steps"):
        task.score(found, [examples[0], Example("1 5 1 5", "3 5", "a.csv, step 9")])  # type: ignore[arg-type]


def test_mistakes_are_told() -> None:
    label = LabelField(unknown="stop", labels=["a"])
    with pytest.raises(ConfigError, match="regression gives numbers, but the target's field is a LabelField"):
        Regression(fields=Fields(FIELD, label), season=None)
    with pytest.raises(ConfigError, match="season=0"):
        Regression(fields=FIELDS, season=0)
    uneven = batch("1 2 3")._replace(tgt=FIELD.collate(FIELD.encode_all(["1 2"])))
    with pytest.raises(DataError, match="the model tells 3 steps of numbers of an input whose target has 2"):
        Regression(fields=FIELDS, season=None).loss(model(), uneven)


@pytest.mark.slow
def test_a_series_from_the_command_line_to_a_forecast(tmp_path: Path) -> None:
    levels = [10, 20, 15, 30, 25, 5, 40]
    days = [f"{day},{levels[day % 7] + day * 37 % 3}" for day in range(120)]
    (tmp_path / "week.csv").write_text("\n".join(["day,value", *days]) + "\n", encoding="utf-8")
    numbers = {"window": 21, "horizon": 7, "season": 7, "valid_steps": 20, "test_steps": 20, "hidden_dim": 8}
    numbers |= {"differences": 7, "updates": 20, "validate_every": 10}
    options = [f"data.{name}={value}" for name, value in numbers.items()]
    options += ["data.path=week.csv", "data.columns=[value]", "schedule.warmup=0", "threads=1", "run=good"]
    result = command("train", "recipe=forecast", "data=series", *options, cwd=tmp_path)
    assert result.code == 0, result.err
    pictures = {path.name for path in (tmp_path / "good").iterdir()}
    assert {"progress.png", "progress.gif", "pictures", "outputs.jsonl"} <= pictures
    (tmp_path / "in.txt").write_text(" ".join(str(levels[day % 7]) for day in range(35)) + "\n\n", encoding="utf-8")
    said = command("predict", "model=good", "input=in.txt", "output=out.jsonl", "attention=maps", cwd=tmp_path)
    assert said.code == 0, said.err
    first, blank = (json.loads(line)["hypotheses"][0] for line in (tmp_path / "out.jsonl").read_text().splitlines())
    told = [float(number) for number in first["text"].split(" ")]
    assert len(told) == 7 and told == pytest.approx(levels, abs=3) and len(first["low"]) == 7
    assert blank["text"] == "" and (tmp_path / "maps" / "1.png").exists()
    assert seq2seq.load(tmp_path / "good")([" ".join("1" * 35)])[0].count(" ") == 6
    (tmp_path / "in.txt").write_text("1 2 3\n", encoding="utf-8")
    told = mistake("predict", "model=good", "input=in.txt", cwd=tmp_path)
    assert told.startswith("in.txt:1: a window of 3 steps is no longer than a season")
    (tmp_path / "in.txt").write_text("\n1 2 nan\n", encoding="utf-8")
    assert "in.txt:2: step 3 (nan)" in mistake("predict", "model=good", "input=in.txt", cwd=tmp_path)
    figures = command("evaluate", "model=good", "data.split=test", cwd=tmp_path)
    assert figures.code == 0 and {line.split()[0] for line in figures.out.splitlines()} >= {
        "coverage",
        "mse",
        "mae",
        "mase",
        "naive",
    }


@pytest.mark.slow
def test_pictures_of_digits_from_the_command_line(tmp_path: Path) -> None:
    sizes = ["data.train.size=200", "data.valid.size=20", "data.test.size=20", "data.updates=30", "schedule.warmup=0"]
    result = command("train", "recipe=digits", *sizes, "run=run", "threads=1", cwd=tmp_path)
    assert result.code == 0, result.err
    (tmp_path / "mine").mkdir()
    for digit in (3, 7):
        Image.fromarray(drawn(f"digit:{digit};1")).save(tmp_path / "mine" / f"{digit}.png")
    loaded = seq2seq.load(tmp_path / "run")
    known = loaded([f"digit:{digit};1" for digit in (3, 7)])
    said = command("predict", "model=run", "input=mine", "attention=maps", cwd=tmp_path)
    assert said.code == 0 and said.out.splitlines() == known, said.err
    assert (tmp_path / "maps" / "2.png").exists()
    Image.fromarray(drawn("digit:3;1")).resize((20, 28)).save(tmp_path / "mine" / "9.png")
    told = mistake("predict", "model=run", "input=mine/9.png", cwd=tmp_path)
    assert "is 20 x 28 pixels, but the model reads 28 x 28" in told
