"""Pretrained vectors of words, from the text files that word2vec, GloVe and fastText publish."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from seq2seq.data.readers import read_lines
from seq2seq.errors import DataError


def read_vectors(path: str | Path, pieces: Sequence[str], features: int) -> tuple[Tensor, Tensor]:
    """The vectors of those pieces of a vocabulary that a file knows.

    Each line is a token and its numbers, separated by single spaces; a first line of two whole numbers (word2vec's
    header) is passed over. SentencePiece's mark of a word's beginning is left out when pieces are looked up.

    Args:
        path: Plain text or ``.gz``, UTF-8.
        pieces: What each row of the embedding stands for.
        features: How many numbers each line must have.

    Returns:
        The rows ``[n]`` that were found, and their vectors ``[n, features]``.

    Raises:
        DataError: The file cannot be read, a line has another number of numbers, or no piece was found.
    """
    wanted: dict[str, list[int]] = {}
    for row, piece in enumerate(pieces):
        wanted.setdefault(piece.removeprefix("▁"), []).append(row)
    rows: list[int] = []
    vectors: list[np.ndarray] = []
    for number, line in enumerate(read_lines(path), start=1):
        token, _, numbers = line.partition(" ")
        if number == 1 and token.isdigit() and numbers.strip().isdigit():
            continue
        if token not in wanted:
            continue
        try:
            vector = np.array(numbers.split(), dtype=np.float32)
        except ValueError as error:
            raise DataError(f"{path}:{number}: expected a token and {features} numbers ({error})") from error
        if len(vector) != features:
            raise DataError(
                f"{path}:{number}: {len(vector)} numbers, but the embedding has {features}: use another file, or "
                f"embedding_dim={len(vector)}"
            )
        for row in wanted.pop(token):
            rows.append(row)
            vectors.append(vector)
    if not rows:
        raise DataError(
            f"{path}: has a vector for none of the vocabulary's {len(pieces)} pieces; is it of this language?"
        )
    return torch.tensor(rows), torch.from_numpy(np.stack(vectors))
