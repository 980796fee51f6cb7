"""Fields: every conversion between the world and tensors, one field for each side of an example."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from seq2seq.data.tokenizers import Tokenizer
from seq2seq.types import Padded


class Field(Protocol):
    """One side of an example: text today; images, features, labels, tags and numbers likewise."""

    @property
    def stochastic(self) -> bool:
        """Whether ``sample_all`` differs from ``encode_all``."""
        ...

    @property
    def size(self) -> int:
        """What a model has to know: the size of the vocabulary, the number of labels or of features."""
        ...

    def encode(self, raw: Any) -> Tensor:
        """One raw value as a tensor ``[T, …]``."""
        ...

    def encode_all(self, raws: Sequence[Any]) -> list[np.ndarray]:
        """Raw values as arrays ``[T, …]``, many at once."""
        ...

    def sample_all(self, raws: Sequence[Any], seed: int) -> list[np.ndarray]:
        """As ``encode_all``, with the field's randomness; depends on nothing but ``raws`` and ``seed``."""
        ...

    def collate(self, encoded: Sequence[Tensor | np.ndarray]) -> Padded:
        """Encoded values of different lengths as one batch."""
        ...

    def decode(self, tokens: Iterable[int] | Tensor) -> Any:
        """The raw value of a model's output."""
        ...

    def is_empty(self, encoded: Tensor | np.ndarray) -> bool:
        """Whether there is nothing in an encoded value to work on."""
        ...

    def fingerprint(self) -> str:
        """A hash of all that ``encode_all`` depends on."""
        ...

    def save(self, folder: Path, name: str) -> dict[str, Any]:
        """Writes what it needs into ``folder`` under ``name``; returns the configuration that builds it again."""
        ...


class TextField:
    """A line of text as token ids that end with eos, source and target alike.

    Args:
        tokenizer: text ↔ ids.
        nfc: bring text to Unicode's normal form C first, so that "é" is one character however it was typed.
    """

    def __init__(self, *, tokenizer: Tokenizer, nfc: bool = False) -> None:
        self.tokenizer, self.nfc = tokenizer, nfc
        self.pad_id, self.bos_id, self.eos_id = tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id

    @property
    def size(self) -> int:
        """The size of the vocabulary, specials included."""
        return len(self.tokenizer)

    @property
    def stochastic(self) -> bool:
        """Whether the tokenizer draws segmentations at random in training."""
        return self.tokenizer.stochastic

    def encode(self, raw: str) -> Tensor:
        """The ids ``[T]`` of a text, int64, eos last."""
        return torch.from_numpy(self.encode_all([raw])[0].astype(np.int64))

    def encode_all(self, raws: Sequence[str]) -> list[np.ndarray]:
        """The ids ``[T]`` of each text, int32, eos last."""
        return self._ended(self.tokenizer.encode_all(list(normalised(raws, nfc=self.nfc))))

    def sample_all(self, raws: Sequence[str], seed: int) -> list[np.ndarray]:
        """As ``encode_all``, with a segmentation drawn at random; a function of ``raws`` and ``seed`` alone."""
        return self._ended(self.tokenizer.sample_all(list(normalised(raws, nfc=self.nfc)), seed))

    def collate(self, encoded: Sequence[Tensor | np.ndarray]) -> Padded:
        """Sequences of ids as one batch: values ``[B, T]`` int64, filled up with ``pad_id``, and lengths ``[B]``."""
        lengths = [len(row) for row in encoded]
        values = np.full((len(encoded), max(lengths, default=0)), self.pad_id, dtype=np.int64)
        for target, row, length in zip(values, encoded, lengths):
            target[:length] = row
        return Padded(torch.from_numpy(values), torch.tensor(lengths, dtype=torch.int64))

    def decode(self, tokens: Iterable[int] | Tensor) -> str:
        """The text of the ids up to the first eos."""
        return self.tokenizer.decode(self._up_to_eos(tokens))

    def pieces(self, tokens: Iterable[int] | Tensor) -> list[str]:
        """What each id stands for, all of them, specials too."""
        return self.tokenizer.pieces(tokens.tolist() if isinstance(tokens, Tensor) else tokens)

    def is_empty(self, encoded: Tensor | np.ndarray) -> bool:
        """Whether a text is nothing but white space, given its ids."""
        return not self.decode(encoded.tolist()).strip()

    def fingerprint(self) -> str:
        """A hash of all that ``encode_all`` depends on."""
        return f"text-nfc={self.nfc}-eos-{self.tokenizer.fingerprint()}"

    def save(self, folder: Path, name: str) -> dict[str, Any]:
        """Writes the tokenizer's files into ``folder`` under ``name``; returns the configuration of both."""
        return {
            "_target_": "seq2seq.data.fields.TextField",
            "tokenizer": self.tokenizer.save(folder, name),
            "nfc": self.nfc,
        }

    def _ended(self, sequences: list[list[int]]) -> list[np.ndarray]:
        return [np.array([*ids, self.eos_id], dtype=np.int32) for ids in sequences]

    def _up_to_eos(self, tokens: Iterable[int] | Tensor) -> Iterator[int]:
        for token in tokens.tolist() if isinstance(tokens, Tensor) else tokens:
            if int(token) == self.eos_id:
                return
            yield int(token)


class Fields(NamedTuple):
    """The two sides of an example."""

    src: Field
    tgt: Field


def normalised(texts: Iterable[str], *, nfc: bool) -> Iterable[str]:
    """The texts as a field with this setting sees them; a tokenizer should learn from the same."""
    return (unicodedata.normalize("NFC", text) for text in texts) if nfc else texts
