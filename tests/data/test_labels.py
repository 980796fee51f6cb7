"""Fields of labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from seq2seq.data.labels import LabelField, TagsField
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
