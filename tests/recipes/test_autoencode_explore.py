"""Looking at the vectors of an auto-encoder, one that has hardly been trained."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import torch

import seq2seq
from tests.commands import command
from tests.conftest import Trained
from tests.nn.helpers import close
from tests.recipes.scripts import script

SMALL = ("threads=1", "data.train.size=60", "data.valid.size=30", "data.test.size=30")
SHORT = ("schedule=constant", "trainer.max_updates=12", "trainer.validate_every=12", "trainer.average=null")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("autoencoder")
    result = command("train", "recipe=autoencode", *SMALL, *SHORT, "run=run", cwd=home)
    assert result.code == 0, result.err
    return home / "run"


@pytest.fixture(scope="module")
def explore() -> ModuleType:
    return script("autoencode/explore.py")


def test_a_vector_is_that_of_its_sentence_alone(run: Path, explore: ModuleType) -> None:
    model = seq2seq.load(run)
    sentences = explore.sentences(model, "test")
    assert len(sentences) == 30
    vectors = model.embed(sentences, tokens=64)
    assert vectors.shape == (30, 256)
    close(vectors[7], model.embed([sentences[7]])[0])
    assert torch.pdist(vectors).min() > 1e-3


def test_near_finds_the_sentence_itself_first(
    run: Path, explore: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    known = explore.sentences(seq2seq.load(run), "test")
    assert explore.main([str(run), "near", known[3], known[5], "--most", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (lines[0], lines[1], lines[3], lines[4]) == (
        known[3],
        f"  1.000  {known[3]}",
        known[5],
        f"  1.000  {known[5]}",
    )
    (tmp_path / "mine.txt").write_text("A cat sleeps.\n", encoding="utf-8")
    assert explore.main([str(run), "near", known[3], "--among", str(tmp_path / "mine.txt")]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("A cat sleeps.")


def test_a_line_between_two_sentences_begins_and_ends_with_what_the_model_makes_of_them(
    run: Path, explore: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    model = seq2seq.load(run)
    ends = explore.sentences(model, "test")[:2]
    assert explore.main([str(run), "between", *ends, "--most", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and [lines[0], lines[-1]] == model(ends)
    straight = explore.between(torch.tensor([[0.0, 4.0], [8.0, 0.0]]), 3)
    close(straight[1], torch.tensor([2.0, 3.0]))


def test_lengths_are_a_table_and_a_picture(
    run: Path, explore: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert explore.main([str(run), "lengths", str(tmp_path / "a" / "lengths.png")]) == 0
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines()[2:]]
    assert sum(int(row[2]) for row in rows) == 30
    assert (tmp_path / "a" / "lengths.png").read_bytes()[:4] == b"\x89PNG"


def test_mistakes_are_told_in_one_line(
    run: Path, trained: Trained, explore: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = {
        "between needs two sentences, not 1": [str(run), "between", "one"],
        "it writes from more than one vector": [str(trained.run), "between", "one", "two"],
        "none.txt does not exist": [str(run), "near", "one", "--among", "none.txt"],
    }
    for expected, arguments in cases.items():
        assert explore.main(arguments) == 1
        told = capsys.readouterr().err
        assert told.startswith("error: ") and told.count("\n") == 1 and expected in told


def test_words_that_are_unknown_are_noted(run: Path, explore: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert explore.main([str(run), "near", "The zebra"]) == 0
    assert capsys.readouterr().err == "note: the model reads 'The zebra' as 'The <unk>'\n"
