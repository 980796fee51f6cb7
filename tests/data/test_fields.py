"""The text field: what it adds to its tokenizer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from seq2seq.data.fields import Field, Fields, TextField, normalised
from seq2seq.data.learn import LearnCharacters, LearnSentencePiece
from seq2seq.data.tokenizers import SPECIALS, Characters, Words
from seq2seq.types import Padded

PLAIN = Words(vocab=[*SPECIALS, "a", "b", "c", "é"])


def sampling_field() -> TextField:
    texts = ["the cat sat on the mat", "a cat and a dog", "dogs sat there all day"] * 20
    learner = LearnSentencePiece(
        vocab_size=280, model_type="unigram", byte_fallback=True, character_coverage=1.0, sampling=0.1
    )
    return TextField(tokenizer=learner.learn(texts))


def test_encoded_text_ends_with_eos() -> None:
    field = TextField(tokenizer=PLAIN)
    one = field.encode("a b x")
    assert one.dtype == torch.int64
    assert one.tolist() == [4, 5, 1, 3]
    many = field.encode_all(["a", "", "c c"])
    assert [row.tolist() for row in many] == [[4, 3], [3], [6, 6, 3]]
    assert {row.dtype for row in many} == {np.dtype(np.int32)}
    assert field.encode_all([]) == []
    assert (field.size, field.pad_id, field.bos_id, field.eos_id) == (8, 0, 2, 3)


def test_collate_takes_tensors_and_any_integer_arrays() -> None:
    field = TextField(tokenizer=PLAIN)
    batch = field.collate([field.encode("a b"), np.array([6, 3], dtype=np.uint16), np.array([3], dtype=np.int32)])
    assert isinstance(batch, Padded)
    assert batch.values.tolist() == [[4, 5, 3], [6, 3, 0], [3, 0, 0]]
    assert batch.values.dtype == batch.lengths.dtype == torch.int64
    assert batch.lengths.tolist() == [3, 2, 1]
    assert field.collate([]).values.shape == (0, 0)


def test_collate_reads_a_map_of_a_file_and_shares_nothing_with_it(tmp_path: Path) -> None:
    np.array([4, 5, 3, 6, 3], dtype=np.uint16).tofile(tmp_path / "tokens")
    tokens = np.memmap(tmp_path / "tokens", dtype=np.uint16, mode="r")
    batch = TextField(tokenizer=PLAIN).collate([tokens[:3], tokens[3:]])
    batch.values[0, 0] = 7
    assert tokens.tolist() == [4, 5, 3, 6, 3]


def test_decode_stops_at_the_first_eos() -> None:
    field = TextField(tokenizer=PLAIN)
    assert field.decode([4, 5, 3, 6, 3, 0]) == "a b"
    assert field.decode(torch.tensor([2, 4, 5])) == "a b"
    assert field.decode(iter([3, 4])) == ""
    assert field.pieces(torch.tensor([4, 1, 3, 0])) == ["a", "<unk>", "</s>", "<pad>"]


def test_text_comes_back_through_a_batch() -> None:
    field = sampling_field()
    texts = ["the cat", "", "  ünïcödé \u2581 ", "dogs sat on the 😀"]
    for encoded in (field.encode_all(texts), field.sample_all(texts, 3), [field.encode(text) for text in texts]):
        assert [field.decode(row) for row in field.collate(encoded).values] == texts


def test_sampling_is_the_tokenizers() -> None:
    field, plain = sampling_field(), TextField(tokenizer=PLAIN)
    texts = ["the cat sat on the mat", "a dog"] * 10
    assert field.stochastic
    assert not plain.stochastic
    first, again, other = (np.concatenate(field.sample_all(texts, seed)).tolist() for seed in (1, 1, 2))
    assert first == again != other
    assert all(row[-1] == field.eos_id for row in field.sample_all(texts, 1))
    assert [row.tolist() for row in plain.sample_all(["a b"], 1)] == [[4, 5, 3]]


def test_nfc_is_an_option() -> None:
    typed_in_two = "e\u0301"
    assert TextField(tokenizer=PLAIN).encode(typed_in_two).tolist() == [1, 3]
    composed = TextField(tokenizer=PLAIN, nfc=True)
    assert composed.encode(typed_in_two).tolist() == [7, 3]
    assert composed.decode(composed.encode(typed_in_two)) == "é"
    assert [row.tolist() for row in composed.sample_all([typed_in_two], 1)] == [[7, 3]]
    assert list(normalised([typed_in_two], nfc=True)) == ["é"]
    assert list(normalised([typed_in_two], nfc=False)) == [typed_in_two]


@pytest.mark.parametrize("nothing", ["", " ", "\t \u3000", "\u00a0\u2028"])
def test_white_space_alone_is_empty(nothing: str) -> None:
    field = sampling_field()
    assert field.is_empty(field.encode(nothing))
    assert [field.is_empty(ids) for ids in field.encode_all([nothing, nothing + "a", "a line"])] == [True, False, False]


def test_fingerprints_follow_the_settings() -> None:
    other = Characters(vocab=[*SPECIALS, "a", "b", "c", "é"])
    fields = [TextField(tokenizer=PLAIN), TextField(tokenizer=PLAIN, nfc=True), TextField(tokenizer=other)]
    assert len({field.fingerprint() for field in fields}) == 3
    assert TextField(tokenizer=PLAIN).fingerprint() == fields[0].fingerprint()


def test_saved_configuration_builds_the_same_field(tmp_path: Path) -> None:
    field = TextField(tokenizer=LearnCharacters(max_size=None, min_count=1).learn(["abc é"]), nfc=True)
    config = field.save(tmp_path, "tgt")
    assert config == {
        "_target_": "seq2seq.data.fields.TextField",
        "tokenizer": {"_target_": "seq2seq.data.tokenizers.Characters", "vocab": "${folder}/tgt.vocab"},
        "nfc": True,
        "lower": False,
    }
    again = TextField(tokenizer=Characters(vocab=tmp_path / "tgt.vocab"), nfc=config["nfc"])
    assert again.fingerprint() == field.fingerprint()


def test_small_letters_are_an_option() -> None:
    small = TextField(tokenizer=PLAIN, lower=True)
    assert torch.equal(small.encode("A Dog"), TextField(tokenizer=PLAIN).encode("a dog"))
    assert small.fingerprint() != TextField(tokenizer=PLAIN).fingerprint()


def test_a_text_field_fits_both_sides() -> None:
    field: Field = TextField(tokenizer=PLAIN)
    assert Fields(src=field, tgt=field).tgt.size == 8
