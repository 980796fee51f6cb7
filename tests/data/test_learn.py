"""The fields that a run learns from its own training pairs."""

from __future__ import annotations

import pytest

from seq2seq.data.fields import Fields, TextField
from seq2seq.data.learn import LearnWords, learn_fields
from seq2seq.data.tokenizers import SPECIALS, Words
from seq2seq.errors import DataError
from seq2seq.types import Example

PAIRS = [
    Example("ein hund", "a dog", "one:1"),
    Example("ein e\u0301", "a cat", "one:2"),
    Example("ein hund", "a dog", "two:1"),
]


def learned(*, joint: bool, nfc: bool = False) -> Fields:
    words = LearnWords(max_size=None, min_count=1)
    return learn_fields(PAIRS, src=words, tgt=words, joint=joint, nfc=nfc)


def words_of(field: object) -> set[str]:
    assert isinstance(field, TextField)
    return set(field.pieces(range(field.size))) - set(SPECIALS)


def test_each_side_learns_from_its_own_texts_of_all_readers() -> None:
    fields = learned(joint=False)
    assert words_of(fields.src) == {"ein", "hund", "e\u0301"}
    assert words_of(fields.tgt) == {"a", "dog", "cat"}


def test_a_joint_vocabulary_learns_from_both_sides() -> None:
    fields = learned(joint=True)
    assert words_of(fields.src) == {"ein", "hund", "e\u0301", "a", "dog", "cat"}
    assert fields.src.fingerprint() == fields.tgt.fingerprint()


@pytest.mark.parametrize("joint", [True, False])
def test_the_vocabulary_is_of_the_text_that_the_field_will_see(joint: bool) -> None:
    field = learned(joint=joint, nfc=True).src
    assert "é" in words_of(field)
    assert field.decode(field.encode("e\u0301")) == "é"


def test_a_finished_tokenizer_is_taken_as_it_is() -> None:
    finished = Words(vocab=[*SPECIALS, "x"])
    fields = learn_fields(PAIRS, src=finished, tgt=LearnWords(max_size=None, min_count=1), joint=False, nfc=False)
    assert words_of(fields.src) == {"x"}


def test_no_pairs_are_said() -> None:
    words = LearnWords(max_size=None, min_count=1)
    with pytest.raises(DataError, match="no text to learn a vocabulary from"):
        learn_fields([], src=words, tgt=words, joint=True, nfc=False)
