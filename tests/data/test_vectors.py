"""Pretrained vectors from text files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import torch

from seq2seq.data.vectors import read_vectors
from seq2seq.errors import DataError

PIECES = ["<pad>", "▁the", "the", "house", "▁a"]


def test_gives_the_rows_whose_pieces_the_file_knows(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("4 2\nhouse 1 2\nunheard 9 9\nthe 0.5 -1e-1\na 3 4\nthe 7 7\n", encoding="utf-8")
    rows, vectors = read_vectors(path, PIECES, 2)
    assert dict(zip(rows.tolist(), vectors.tolist())) == {
        3: [1, 2],
        1: pytest.approx([0.5, -0.1]),
        2: pytest.approx([0.5, -0.1]),
        4: [3, 4],
    }
    assert vectors.dtype == torch.float32


def test_reads_gzip_and_a_number_that_is_a_word(tmp_path: Path) -> None:
    path = tmp_path / "vectors.gz"
    path.write_bytes(gzip.compress(b"1000 0.5\nthe 2\n"))
    rows, vectors = read_vectors(path, ["1000", "the"], 1)
    assert (rows.tolist(), vectors.tolist()) == ([0, 1], [[0.5], [2.0]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("the 1 2 3\n", r"vectors.txt:1: 3 numbers, but the embedding has 2.*embedding_dim=3"),
        ("x 1 2\nthe 1 two\n", r"vectors.txt:2: expected a token and 2 numbers"),
        ("the\n", r"vectors.txt:1: 0 numbers"),
        ("x 1 2\n", r"none of the vocabulary's 5 pieces"),
        ("", r"none of the vocabulary's 5 pieces"),
    ],
)
def test_tells_what_is_wrong_with_a_file(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_vectors(path, PIECES, 2)


def test_tells_that_a_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_vectors(tmp_path / "none", PIECES, 2)
