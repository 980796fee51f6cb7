"""Fields: every conversion between the world and tensors, one field for each side of an example."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from seq2seq.data.tokenizers import Tokenizer
from seq2seq.types import Example, Padded


class Field(Protocol):
    """One side of an example: text, images or features; labels, tags and numbers likewise."""

    @property
    def kept(self) -> bool:
        """Whether a corpus keeps what ``encode_all`` gives; else it keeps raw values, and encodes them when wanted."""
        ...

    def prepare(self, raws: Sequence[Any], say: Callable[[str], None]) -> list[bool]:
        """Which raw values can be encoded at all, asked once where they are not kept; says what is wrong."""
        ...

    def learn(self, examples: Iterable[Example]) -> None:
        """Learns what it has to know, for most fields nothing, of the training examples; ``src`` is its own side."""
        ...

    def listed(self, given: str) -> list[str] | None:
        """The raw values that a path on the command line stands for; None where it is a text with one on each line."""
        ...

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
        """As ``encode_all``, with the field's randomness.

        What is drawn for a value depends on it and on ``seed`` alone, not on its neighbours: batches may be cut and
        dealt out to processes in any way.
        """
        ...

    def collate(self, encoded: Sequence[Tensor | np.ndarray]) -> Padded:
        """Encoded values of different lengths as one batch."""
        ...

    def decode(self, tokens: Iterable[int] | Tensor) -> Any:
        """The raw value of a model's output."""
        ...

    def pieces(self, encoded: Any) -> list[str]:
        """What to call each step of an encoded value; empty where the steps have no names."""
        ...

    def view(self, raw: Any) -> np.ndarray | None:
        """The picture ``[H, W, 3]`` in whose regions a model sees a value; None where it sees its pieces."""
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
        lower: write all in small letters.
    """

    kept = True

    def __init__(self, *, tokenizer: Tokenizer, nfc: bool = False, lower: bool = False) -> None:
        self.tokenizer, self.nfc, self.lower = tokenizer, nfc, lower
        self.pad_id, self.bos_id, self.eos_id = tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id

    @property
    def size(self) -> int:
        """The size of the vocabulary, specials included."""
        return len(self.tokenizer)

    @property
    def stochastic(self) -> bool:
        """Whether the tokenizer draws segmentations at random in training."""
        return self.tokenizer.stochastic

    def prepare(self, raws: Sequence[str], say: Callable[[str], None]) -> list[bool]:
        """Every text can be encoded."""
        return [True] * len(raws)

    def learn(self, examples: Iterable[Example]) -> None:
        """Nothing: its tokenizer has learned."""

    def listed(self, given: str) -> None:
        """Texts are lines of a file."""

    def encode(self, raw: str) -> Tensor:
        """The ids ``[T]`` of a text, int64, eos last."""
        return torch.from_numpy(self.encode_all([raw])[0].astype(np.int64))

    def encode_all(self, raws: Sequence[str]) -> list[np.ndarray]:
        """The ids ``[T]`` of each text, int32, eos last."""
        return self._ended(self.tokenizer.encode_all(self._normalised(raws)))

    def sample_all(self, raws: Sequence[str], seed: int) -> list[np.ndarray]:
        """As ``encode_all``, with a segmentation drawn at random; of each text a function of it and ``seed`` alone."""
        return self._ended(self.tokenizer.sample_all(self._normalised(raws), seed))

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

    def view(self, raw: str) -> None:
        """A text is no picture."""

    def is_empty(self, encoded: Tensor | np.ndarray) -> bool:
        """Whether a text is nothing but white space, given its ids."""
        return not self.decode(encoded.tolist()).strip()

    def fingerprint(self) -> str:
        """A hash of all that ``encode_all`` depends on."""
        return f"text-nfc={self.nfc}{'-lower' if self.lower else ''}-eos-{self.tokenizer.fingerprint()}"

    def save(self, folder: Path, name: str) -> dict[str, Any]:
        """Writes the tokenizer's files into ``folder`` under ``name``; returns the configuration of both."""
        return {
            "_target_": "seq2seq.data.fields.TextField",
            "nfc": self.nfc,
            "lower": self.lower,
            "tokenizer": self.tokenizer.save(folder, name),
        }

    def _normalised(self, raws: Sequence[str]) -> list[str]:
        return list(normalised(raws, nfc=self.nfc, lower=self.lower))

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


def normalised(texts: Iterable[str], *, nfc: bool, lower: bool = False) -> Iterable[str]:
    """The texts as a field with these settings sees them; a tokenizer should learn from the same."""
    if lower:
        texts = (text.lower() for text in texts)
    return (unicodedata.normalize("NFC", text) for text in texts) if nfc else texts


def filled(encoded: Sequence[Tensor | np.ndarray], features: tuple[int, ...], dtype: Any) -> Padded:
    """Encoded values ``[T, *features]`` of different lengths as one batch, zeros past these; it has a step at least."""
    lengths = [len(each) for each in encoded]
    values = np.zeros((len(encoded), max(lengths, default=0) or 1, *features), dtype)
    for target, each, length in zip(values, encoded, lengths):
        target[:length] = each
    return Padded(torch.from_numpy(values), torch.tensor(lengths, dtype=torch.int64))
