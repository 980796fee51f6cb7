"""Runs that begin with what another has trained, and train on the metric of what they write."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import seq2seq
from tests.commands import TINY, command
from tests.training.small import differing

DATA = ("data.train.size=24", "data.valid.size=8", "data.test=null", "trainer.examples=1")
MODEL = tuple(text for text in TINY if text.startswith(("model", "tokenizer")))
TRAINING = (*(text for text in TINY if text not in MODEL), "trainer.batching.tokens=100", "task.samples=3")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``first``, a translator that has seen a little."""
    folder = tmp_path_factory.mktemp("begun")
    lengths = ("trainer.max_updates=20", "trainer.validate_every=20", "run=first")
    result = command("train", "recipe=translate", *TINY, *DATA, *lengths, cwd=folder)
    assert result.code == 0, result.err
    return folder


def go_on(folder: Path, run: str, *changes: str) -> Any:
    lengths = ("trainer.max_updates=4", "trainer.validate_every=4", "trainer.checkpoint_every=1", f"run={run}")
    result = command("train", "recipe=translate_risk", "init=first", *TRAINING, *DATA, *lengths, *changes, cwd=folder)
    assert result.code == 0, result.err
    return [json.loads(line) for line in (folder / run / "metrics.jsonl").read_text().splitlines()]


def state(run: Path) -> dict[str, Any]:
    return torch.load(run / "last" / "training.pt", weights_only=True)


def test_it_begins_with_the_weights_and_fields_of_the_other(first: Path) -> None:
    go_on(first, "still", "optimizer.lr=0", "trainer.max_updates=1")
    sources = ["ein hund schläft", "die frau kauft das kleine haus"]
    before, after = seq2seq.load(first / "first"), seq2seq.load(first / "still")
    assert before.log_probs(sources, ["a dog", "the woman"]) == after.log_probs(sources, ["a dog", "the woman"])
    assert before(sources) == after(sources)


def test_a_stopped_run_goes_on_bit_for_bit_without_the_other(first: Path) -> None:
    logged = go_on(first, "whole")
    figures = [line for line in logged if line["split"] == "train"]
    assert all({"reward", "baseline", "sample_length", "unfinished"} <= set(line) for line in figures)
    assert any(line["norm"] > 0 for line in figures)
    go_on(first, "part", "trainer.max_updates=2")
    shutil.move(first / "first", first / "away")
    try:
        result = command("train", "resume=part", "trainer.max_updates=4", cwd=first)
    finally:
        shutil.move(first / "away", first / "first")
    assert result.code == 0, result.err
    whole, part = state(first / "whole"), state(first / "part")
    assert differing(whole["model"], part["model"]) == differing(whole["random"], part["random"]) == []


def test_in_bfloat16_and_accumulated(first: Path) -> None:
    logged = go_on(first, "half", "trainer.precision=bf16", "trainer.accumulate=2", "task.baseline=greedy")
    assert all(line["norm"] < 1e6 for line in logged if line["split"] == "train")


def test_frequencies_of_the_training_captions_go_with_the_bundle(first: Path) -> None:
    go_on(first, "cider", "task/reward=cider")
    kept = "task/frequencies.json"
    found = json.loads((first / "cider" / kept).read_text(encoding="utf-8"))
    assert found["documents"] == 24 and found["end"] is True
    assert (first / "cider" / "best" / kept).read_bytes() == (first / "cider" / kept).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["recipe=translate_risk"], "init is not set"),
        (["recipe=translate_risk", "init=nowhere"], "nowhere: no such folder"),
        (["recipe=translate", "init=first", "model.decoder.dropout=0.5"], "model.decoder.dropout=0.5: a run that"),
        (["recipe=translate", "init=first", "tokenizer=words"], "tokenizer=words: a run that"),
    ],
)
def test_what_cannot_begin_is_told_and_leaves_nothing(arguments: list[str], message: str, first: Path) -> None:
    result = command("train", *arguments, "run=none", cwd=first)
    assert result.code == 1
    assert message in result.err and len(result.err.strip().splitlines()) == 1
    assert not (first / "none").exists()


@pytest.mark.slow
def test_captions_on_cider(tmp_path: Path) -> None:
    data = ("data.train.size=8", "data.valid.size=8", "data.valid.part=train", "data.test=null", "threads=1")
    small = ("data.cnn.channels=[8,16,32]", "data.hidden_dim=64", "trainer.batching.sentences=8")
    lengths = ("trainer.max_updates=100", "trainer.validate_every=100", "schedule=constant", "optimizer.lr=0.003")
    result = command("train", "recipe=caption", *data, *small, *lengths, "run=first", cwd=tmp_path)
    assert result.code == 0, result.err
    lengths = (
        "trainer.max_updates=100",
        "trainer.validate_every=100",
        "optimizer.lr=0.001",
        "init=first",
        "schedule=constant",
    )
    result = command(
        "train", "recipe=caption_scst", *data, *lengths, "trainer.average=null", "run=second", cwd=tmp_path
    )
    assert result.code == 0, result.err
    lines = [json.loads(line) for line in (tmp_path / "second" / "metrics.jsonl").read_text().splitlines()]
    rewards = [line["reward"] for line in lines if line["split"] == "train"]
    assert rewards[1] > 1.1 * rewards[0]  # the means over updates 51 to 100, and 1 to 50
