"""Fields of labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from seq2seq.data.corpus import Corpus
from seq2seq.data.fields import Fields, TextField
from seq2seq.data.labels import JointField, LabelField, TagsField
from seq2seq.data.readers import TaggedText
from seq2seq.data.tokenizers import SPECIALS, Words
from seq2seq.errors import ConfigError, DataError
from seq2seq.objects import build
from seq2seq.types import Example


def learned(kind: type[TagsField], *raws: str, unknown: str = "stop") -> TagsField:
    field = kind(unknown=unknown)
    field.learn(Example(raw, "", "") for raw in raws)
    return field


def test_tags_come_back_and_are_numbered_by_frequency(tmp_path: Path) -> None:
    field = learned(TagsField, "O B-city O", "B-city I-city O", "")
    assert field.labels == ["O", "B-city", "I-city"] and field.size == 3
    for raw in ("O B-city I-city", "O", ""):
        assert field.decode(field.encode(raw)) == raw
    again = build(field.save(tmp_path, "tgt"), at="tgt", trusted=())
    assert again.fingerprint() == field.fingerprint() and again.encode("I-city O").tolist() == [2, 0]
    batch = field.collate(field.encode_all(["O I-city", "O"]))
    assert batch.values.tolist() == [[0, 2], [0, 0]] and batch.lengths.tolist() == [2, 1]


def test_a_label_may_have_spaces() -> None:
    field = learned(LabelField, "very good", "bad", "bad")
    assert field.encode("very good").tolist() == [1] and field.decode([1]) == "very good"


def test_labels_of_one_letter_need_no_separator(tmp_path: Path) -> None:
    field = TagsField(unknown="stop", separator="")
    field.learn([Example("kk_n", "", "")])
    assert field.labels == ["k", "_", "n"] and field.decode(field.encode("n_k")) == "n_k" and not len(field.encode(""))
    again = build(field.save(tmp_path, "tgt"), at="tgt", trusted=())
    assert again.encode("n_k").tolist() == [2, 1, 0] and again.fingerprint() == field.fingerprint()


def test_a_label_of_the_whole_goes_with_those_of_the_steps(tmp_path: Path) -> None:
    field = learned(JointField, "O B-to\tbook", "O O\task", "O\tbook", unknown="wrong")
    assert field.labels == ["\tbook", "\task", "O", "B-to"] and field.tags == ["O", "B-to"]
    assert field.encode("B-to O\task").tolist() == [1, 3, 2], "that of the whole comes first"
    for raw in ("O B-to\task", "O\tbook"):
        assert field.decode(field.encode(raw)) == raw
    assert field.pieces([0, 2, 3]) == ["book", "O", "B-to"] and field.marks(["book", "O", "B-to"]) == ["O", "B-to"]
    assert field.encode("book B-x\tO").tolist() == [4, 4, 4], "neither kind is known as the other"
    again = build(field.save(tmp_path, "tgt"), at="tgt", trusted=())
    assert again.fingerprint() == field.fingerprint() and again.tags == field.tags
    with pytest.raises(DataError, match=r"^a\.tsv:7: the labels 'O B-to' have no tab"):
        field.learn([Example("O B-to", "", "a.tsv:7")])
    with pytest.raises(DataError, match=r"the label 'bok' was never seen in training .did you mean 'book'"):
        learned(JointField, "O\tbook").encode("O\tbok")


def test_an_unseen_label_is_told_with_its_place(tmp_path: Path) -> None:
    lines = {"in": "a b\nc\nd\n", "out": "X Y\nX\nZ\n"}
    for name, text in lines.items():
        (tmp_path / f"seq.{name}").write_text(text, encoding="utf-8")
    reader = TaggedText(words=tmp_path / "seq.in", tags=tmp_path / "seq.out", labels=None)
    text = TextField(tokenizer=Words(vocab=[*SPECIALS, "a", "b", "c", "d"]))
    fields = Fields(text, learned(TagsField, "X Y"))
    with pytest.raises(
        DataError, match=r"^seq\.in and seq\.out:3: the label 'Z' was never seen in training .known are: X, Y"
    ):
        Corpus.open(reader, fields, tmp_path / "cache", print)


def test_unseen_labels_stop_or_count_as_wrong() -> None:
    with pytest.raises(DataError, match=r"the label 'badd' was never seen in training .did you mean 'bad'"):
        learned(LabelField, "good", "bad").encode("badd")
    lenient = learned(LabelField, "good", "bad", unknown="wrong")
    assert lenient.encode("ugly").tolist() == [2] and lenient.pieces([2]) == ["?"]


def test_mistakes_are_told() -> None:
    with pytest.raises(ConfigError, match="unknown='skip'"):
        TagsField(unknown="skip")
    with pytest.raises(DataError, match="no label to learn"):
        learned(TagsField)
