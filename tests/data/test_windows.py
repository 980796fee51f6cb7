"""Windows hold every token once, in order, each with the token before it and the text before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from seq2seq.data import encoding
from seq2seq.data.datasets import Dataset, open_dataset
from seq2seq.data.fields import Fields, TextField
from seq2seq.data.learn import LearnCharacters
from seq2seq.data.recast import Joined
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Example

TEXTS = ["eine\nzeile\n", "x", "noch ein text"]


class Texts:
    """A reader of whole texts."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts

    def __iter__(self) -> Iterator[Example]:
        return (Example("", text, f"text{number}.txt") for number, text in enumerate(self.texts))

    def fingerprint(self) -> str:
        return repr(self.texts)


FIELD = TextField(tokenizer=LearnCharacters(max_size=None, min_count=1).learn(TEXTS))
FIELDS = Fields(FIELD, FIELD)
STREAM = [int(token) for text in TEXTS for token in FIELD.encode(text)]


def windows(folder: Path, window: int, prompt: int = 3, texts: list[str] | None = None) -> Dataset:
    reader = Joined(reader=Texts(texts or TEXTS), window=window, prompt=prompt)
    return open_dataset(reader, FIELDS, folder, filters=None, name="train", say=lambda text: None)


@pytest.mark.parametrize("window", [1, 4, 9, len(STREAM) - 1, len(STREAM)])
def test_every_token_is_predicted_once_from_the_one_before(window: int, tmp_path: Path) -> None:
    data = windows(tmp_path, window)
    assert data.carries and data.draws == len(data) == -(-len(STREAM) // window)
    batch = data.batch(range(len(data)))
    rows = [row[:length].tolist() for row, length in zip(batch.tgt.values, batch.tgt.lengths)]
    assert [token for row in rows for token in row[1:]] == STREAM
    assert [token for row in rows for token in row[:-1]] == [FIELD.eos_id, *STREAM[:-1]]
    assert batch.follows == [None, *range(len(data) - 1)]
    assert batch.tgt.values.dtype == torch.int64


def test_the_source_is_the_text_before_a_window(tmp_path: Path) -> None:
    data = windows(tmp_path, window=4)
    batch = data.batch([0, 3, 1])
    sources = [row[:length].tolist() for row, length in zip(batch.src.values, batch.src.lengths)]
    assert sources == [[FIELD.eos_id], [*STREAM[9:12], FIELD.eos_id], [*STREAM[1:4], FIELD.eos_id]]
    assert batch.indices == [0, 3, 1] and batch.follows == [None, 2, 0]
    assert data.example(1) == Example("ine", "\nzei", "text0.txt, token 5")
    assert data.example(3) == Example("e\n", "xno", "text1.txt, token 1"), "the ends of texts leave no trace"
    src, tgt = data.lengths(np.arange(len(data)))
    every = data.batch(range(len(data)))
    assert (src.tolist(), tgt.tolist()) == (every.src.lengths.tolist(), every.tgt.lengths.tolist())


def test_other_windows_of_the_same_text_are_not_encoded_again(tmp_path: Path) -> None:
    for window in (2, 5):
        windows(tmp_path, window)
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 1


def test_a_window_longer_than_all_of_the_text(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        windows(tmp_path, len(STREAM) + 1)
    assert str(caught.value).startswith(f"train: a window of {len(STREAM) + 1} tokens is longer than all of the text")
    assert "\n" not in str(caught.value)
    for window, prompt in ((0, 1), (1, -1)):
        with pytest.raises(ConfigError, match="a window has 1 token or more"):
            windows(tmp_path, window, prompt)


def test_an_index_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(IndexError, match="indices go from 0 to"):
        windows(tmp_path, 4).batch([7])


def test_texts_as_long_as_books_are_encoded_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = windows(tmp_path / "one", 4).batch(range(7)).tgt.values
    monkeypatch.setattr(encoding, "_TEXT", 5)
    assert torch.equal(windows(tmp_path / "two", 4).batch(range(7)).tgt.values, expected)
