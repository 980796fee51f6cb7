"""The recipe that goes on with a text, by its commands: what is drawn at random, options, pages, bad input."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import seq2seq
from seq2seq.nn import int8
from tests.commands import command, mistake

TINY = ["recipe=write", "threads=1", "data.hidden_dim=16", "trainer.batching.streams=4", "schedule=constant"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of some updates, of which every command can make use."""
    home = tmp_path_factory.mktemp("write")
    sizes = [f"data.{part}.reader.size=3000" for part in ("train", "valid", "test")]
    often = ["trainer.max_updates=12", "trainer.validate_every=12", "search.limits.max_extra=40"]
    result = command("train", *TINY, *sizes, *often, "run=run", cwd=home)
    assert result.code == 0, result.err
    (home / "prompts.txt").write_text("def f(\n\nimport \n# a\n", encoding="utf-8")
    return home


def predict(home: Path, *options: str) -> list[str]:
    result = command("predict", "model=run", "input=prompts.txt", "workers=1", *options, cwd=home)
    assert result.code == 0, result.err
    return result.out.removesuffix("\n").split("\n")


def test_before_and_after_training_are_validated_and_drawn(home: Path) -> None:
    lines = [json.loads(line) for line in (home / "run" / "metrics.jsonl").read_text().splitlines()]
    before, after = (line for line in lines if line["split"] == "valid")
    assert (before["update"], after["update"]) == (0, 12)
    assert {"nll", "perplexity", "bits_per_character", "parsable", "accuracy"} <= before.keys()
    assert after["bits_per_character"] < before["bits_per_character"] < 8
    (test,) = (line for line in lines if line["split"] == "test")
    assert test["nll"] < before["nll"]
    assert (home / "run" / "curves.png").is_file()
    pages = [page.read_text(encoding="utf-8") for page in sorted((home / "run" / "pictures").iterdir())]
    assert pages and all(len(re.findall("<span title=.0\\.", page)) > 10 for page in pages)


def test_as_many_lines_come_out_as_prompts_went_in(home: Path) -> None:
    lines = predict(home)
    assert len(lines) == 4 and all(lines)
    model = seq2seq.load(home / "run")
    texts = model(["def f(", "", "import ", "# a"] * 20)
    assert any("\n" in text for text in texts), "in Python a text is as it is"


def test_what_is_drawn_is_a_matter_of_the_seed(home: Path) -> None:
    assert predict(home) == predict(home) != predict(home, "seed=2")


def test_options_of_sampling(home: Path) -> None:
    greedy = predict(home, "top_k=1")
    assert greedy == predict(home, "top_k=1", "seed=7") == predict(home, "beam_size=1") == predict(home, "top_p=0.001")
    assert predict(home, "temperature=0.00001") == greedy != predict(home, "temperature=2")
    assert all(len(line) <= 10 for line in predict(home, "top_k=1", "max_extra=5"))
    best = predict(home, "beam_size=3", "length_penalty=0")
    assert len(best) == 4
    assert all("e" not in line for line in predict(home, "stop=e"))
    assert all("\\n" not in line for line in predict(home, "stop='\\n'", "temperature=1.5"))


def test_several_samples_of_each_prompt_with_their_tokens(home: Path) -> None:
    assert command("predict", "model=run", "input=prompts.txt", "output=n.jsonl", "n_best=3", cwd=home).code == 0
    for line in (home / "n.jsonl").read_text(encoding="utf-8").splitlines():
        texts = [hypothesis["text"] for hypothesis in json.loads(line)["hypotheses"]]
        assert len(texts) == 3 and len(set(texts)) > 1
        for hypothesis in json.loads(line)["hypotheses"]:
            assert len(hypothesis["probs"]) == len(hypothesis["tokens"])


def test_evaluate_gives_the_figures_of_training(home: Path) -> None:
    result = command("evaluate", "model=run", "data.split=valid", cwd=home)
    assert result.code == 0, result.err
    told = dict(line.split()[:2] for line in result.out.splitlines())
    lines = [json.loads(line) for line in (home / "run" / "metrics.jsonl").read_text().splitlines()]
    last = [line for line in lines if line["split"] == "valid"][-1]
    for name in ("nll", "bits_per_character", "accuracy"):
        assert float(told[name]) == pytest.approx(last[name], abs=1e-3)
    assert "parsable" in told
    for precision in ("bf16", "int8") if int8.available() else ("bf16",):
        result = command("evaluate", "model=run", "data.split=valid", f"precision={precision}", cwd=home)
        assert result.code == 0, result.err
        assert float(dict(line.split()[:2] for line in result.out.splitlines())["nll"]) == pytest.approx(
            last["nll"], abs=0.02
        )


def test_score_is_what_a_text_is_worth_after_its_prompt(home: Path) -> None:
    for name, lines in (("src", ["def f(", ""]), ("tgt", ["x):", "import os"])):
        (home / f"a.{name}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    result = command("score", "model=run", "src=a.src", "tgt=a.tgt", cwd=home)
    assert result.code == 0 and all(float(line) < -1 for line in result.out.split())


def test_a_file_of_ones_own_in_pieces_of_words(tmp_path: Path) -> None:
    text = "".join(f"der {noun} sieht den {other}\n" for noun in ["hund", "mann", "baum"] for other in ["ball", "bus"])
    (tmp_path / "a.txt").write_text(text * 40, encoding="utf-8")
    own = ["data=text_file", "data.path=a.txt", "tokenizer=sentencepiece", "data.vocab_size=275", "data.window=16"]
    own += ["model.tying=decoder", "model.embedding.embedding_dim=16", "trainer.max_updates=160"]
    own += ["trainer.validate_every=80", "optimizer.lr=0.02", "run=run", "trainer.average=null"]
    result = command("train", *TINY, *own, cwd=tmp_path)
    assert result.code == 0, result.err
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    before, _, after = (line for line in lines if line["split"] == "valid")
    assert after["bits_per_character"] < 0.5 * before["bits_per_character"]
    (said,) = seq2seq.load(tmp_path / "run")(["der hund"], top_k=1, stop="\n", max_extra=20)
    assert said.startswith(" sieht den b")


def test_mistakes(home: Path, tmp_path: Path) -> None:
    (home / "bad.txt").write_text("def f(\nna\u00efve\n", encoding="utf-8")
    told = mistake("predict", "model=run", "input=bad.txt", "workers=1", cwd=home)
    assert told.startswith(
        "bad.txt:2: the prompt 'na<unk>ve' has something in the place of <unk> that the vocabulary has not"
    )
    assert "temperature=0" in mistake("predict", "model=run", "input=prompts.txt", "temperature=0", cwd=home)
    assert "beam_size" in mistake("predict", "model=run", "input=prompts.txt", "top_k=3", "beam_size=2", cwd=home)
    short = ["data=text_file", "data.path=a.txt", "run=run"]
    assert "a.txt does not exist" in mistake("train", *TINY, *short, cwd=tmp_path)
    (tmp_path / "a.txt").write_text("abc\n" * 20, encoding="utf-8")
    told = mistake("train", *TINY, *short, "data.window=128", cwd=tmp_path)
    assert told.startswith("train: a window of 128 tokens is longer than all of the text, which has 73")
