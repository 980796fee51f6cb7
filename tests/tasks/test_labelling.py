"""Labelling, from a file of examples to the labels that the command line prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import seq2seq
from tests.commands import command

QUICK = [
    "run=run",
    "threads=1",
    "tokenizer=words",
    "data=tsv",
    "data.train.path=train.tsv",
    "data.valid.path=train.tsv",
    "data.filters.max_ratio=100",
    "task=labelling",
    "trainer.metric=accuracy",
    "trainer.max_updates=60",
    "trainer.validate_every=60",
    "optimizer.lr=0.01",
    "model.encoder.embedding.dropout=0",
    "model.head.dropout=0",
]
REVIEWS = [("a good film", "pos"), ("a bad film", "neg"), ("good and not bad", "pos"), ("bad and not good", "neg")]
ORDERS = [("to Rome", "O B-to"), ("from Rome", "O B-from"), ("from Oslo to Rome", "O B-from O B-to")]


def trained(folder: Path, pairs: list[tuple[str, str]], *options: str) -> None:
    (folder / "train.tsv").write_text("".join(f"{src}\t{tgt}\n" for src, tgt in pairs), encoding="utf-8")
    result = command("train", *QUICK, "name=test", *options, cwd=folder)
    assert result.code == 0, result.err


@pytest.mark.slow
def test_a_classifier_from_files_to_answers(tmp_path: Path) -> None:
    trained(tmp_path, REVIEWS, "model=classifier", "target=label", "task.metrics=[exact_match]")
    model = seq2seq.load(tmp_path / "run")
    texts = [src for src, _ in REVIEWS]
    assert model([*texts, ""]) == [*(label for _, label in REVIEWS), ""]
    assert model([texts[3]]) == ["neg"], "alone as among others"
    both = model.predict(texts[:1], task=model.task(n_best=2), attention=True)[0]
    assert [each.text for each in both] == ["pos", "neg"] and both[0].log_prob > both[1].log_prob
    assert both[0].attention is not None and both[0].attention.shape == (1, 4)
    assert model.log_probs(texts[:1], ["neg"])[0] == pytest.approx(both[1].log_prob, abs=1e-4)
    (tmp_path / "in.txt").write_text("a good film\n\n", encoding="utf-8")
    said = command("predict", "model=run", "input=in.txt", "output=out.jsonl", "n_best=2", cwd=tmp_path)
    assert said.code == 0, said.err
    first = json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert [each["text"] for each in first["hypotheses"]] == ["pos", "neg"]
    assert first["hypotheses"][0]["probs"][0] > 0.5
    figures = command("evaluate", "model=run", "data.split=valid", cwd=tmp_path)
    assert figures.code == 0 and [line.split()[:2] for line in figures.out.splitlines()][-1] == [
        "exact_match",
        "100.00",
    ]
    assert "bleu" not in figures.out, "a label is no text"
    wrong = command("predict", "model=run", "beam_size=3", "input=in.txt", cwd=tmp_path)
    assert wrong.code == 1 and "no option is called task.beam_size" in wrong.err and wrong.err.count("\n") == 1


@pytest.mark.slow
def test_a_tagger_from_files_to_answers(tmp_path: Path) -> None:
    trained(tmp_path, ORDERS, "model=tagger", "target=tags", "model.encoder.recurrent.bidirectional=true")
    model = seq2seq.load(tmp_path / "run")
    assert model([src for src, _ in ORDERS]) == [tgt for _, tgt in ORDERS]
    (best,) = model.predict(["to Rome"])[0]
    assert best.pieces == ["O", "B-to"] and best.probs is not None and len(best.probs) == 2


@pytest.mark.slow
def test_tags_by_a_crf_and_a_label_of_the_whole_from_files_to_answers(tmp_path: Path) -> None:
    joint = [(src, f"{tgt}\t{'both' if ' to ' in f' {src}' and 'from' in src else 'one'}") for src, tgt in ORDERS]
    (tmp_path / "words").write_text("".join(f"{src}\n" for src, _ in joint), encoding="utf-8")
    (tmp_path / "tags").write_text("".join(f"{tgt.partition(chr(9))[0]}\n" for _, tgt in joint), encoding="utf-8")
    (tmp_path / "labels").write_text("".join(f"{tgt.partition(chr(9))[2]}\n" for _, tgt in joint), encoding="utf-8")
    files = [f"data.{part}.{name}={name}" for part in ("train", "valid") for name in ("words", "tags", "labels")]
    quick = ["run=run", "threads=1", "trainer.max_updates=60", "trainer.validate_every=60", "trainer.average=null"]
    plain = [f"model.head.{part}.dropout=0" for part in ("steps", "whole")]
    more = ["tokenizer.src.sampling=0", "schedule=constant", "optimizer.lr=0.01", *plain]
    result = command("train", "recipe=slots", "data=tagged", *files, *quick, *more, cwd=tmp_path)
    assert result.code == 0, result.err
    model = seq2seq.load(tmp_path / "run")
    assert model([*(src for src, _ in joint), ""]) == [*(tgt for _, tgt in joint), ""]
    found = model.predict(["from Oslo to Rome"], task=model.task(n_best=3))[0]
    assert found[0].marks == ["O", "B-from", "O", "B-to"] and found[0].pieces[0] == "both"
    assert len({each.text for each in found}) == 3 and found[0].log_prob > found[1].log_prob > found[2].log_prob
    assert model.log_probs(["from Oslo to Rome"], [found[1].text])[0] == pytest.approx(found[1].log_prob, abs=1e-4)
    figures = command("evaluate", "model=run", "data.split=valid", cwd=tmp_path)
    assert "span_f1               100.00  conlleval|precision:100.00|recall:100.00|spans:4" in figures.out
    said = command("predict", "model=run", "input=words", "output=out.txt", "attention=marks", cwd=tmp_path)
    assert said.code == 0 and len(list((tmp_path / "marks").iterdir())) == 3, said.err
    (tmp_path / "tags").write_text("O B-to\nO I-from\nO B-from O B-to\n", encoding="utf-8")
    wrong = command("train", "recipe=slots", "data=tagged", *files, "run=third", "threads=1", cwd=tmp_path)
    assert "error: words, tags and labels:2: the label 'I-from' follows 'O', which IOB does not allow" in wrong.err
    (tmp_path / "tags").write_text("O B-to\nO O B-from\nO B-from O B-to\n", encoding="utf-8")
    wrong = command("train", "recipe=slots", "data=tagged", *files, "run=other", "threads=1", cwd=tmp_path)
    assert wrong.code == 1 and wrong.err.splitlines()[-1].startswith("error: words:2 has 2 words but tags:2 has 3 tags")


def test_as_many_labels_as_words_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("to Rome\tO\n", encoding="utf-8")
    result = command("train", *QUICK, "name=test", "model=tagger", "target=tags", cwd=tmp_path)
    assert result.code == 1 and "error: train.tsv:1: an input of 2 steps has 1 labels" in result.err
