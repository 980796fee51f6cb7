"""A corpus: examples encoded once into arrays on disk, and read from there batch by batch.

Nothing here grows in memory with the number of examples: encoding streams, the arrays are memory-mapped, and the pages
that a batch touched are given back after it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seq2seq.data.encoding import encoded_folder, unwritable
from seq2seq.data.fields import Field, Fields
from seq2seq.data.filters import Filters
from seq2seq.data.permutation import Indices
from seq2seq.data.readers import Reader
from seq2seq.data.recast import Following
from seq2seq.data.storage import Array, Column, Mapped
from seq2seq.errors import DataError
from seq2seq.types import Batch, Example


class Corpus:
    """Examples of one source of data, encoded. ``Corpus.open`` makes one."""

    carries = False

    def __init__(self, *, folder: Path, fields: Fields, facts: dict[str, Any], kept: Mapped | None = None) -> None:
        self.fields = fields
        self._folder, self._facts, self._kept = folder, facts, kept
        dtypes = facts["columns"]
        self._columns = {name: Column(folder, name, dtype) for name, dtype in dtypes.items()}

    @classmethod
    def open(cls, reader: Reader, fields: Fields, cache: Path, say: Callable[[str], None]) -> Corpus:
        """The corpus of a reader's examples: from the cache where it is there and whole, encoded into it otherwise.

        Args:
            reader: gives the examples, every time the same.
            fields: encode the two sides. The source's encodes the only side of examples that have no target.
            cache: a folder for encoded corpora, shared by all; each is found by what the reader and the fields hash to.
            say: is told, in lines, what takes long.

        Raises:
            DataError: the reader's complaints; a corpus without examples; a cache that cannot be written.
        """
        folder, facts = encoded_folder(reader, fields, Path(cache), say)
        return cls(folder=folder, fields=fields, facts=facts)

    def filtered(self, filters: Filters, *, name: str, say: Callable[[str], None]) -> Corpus:
        """The corpus without the pairs that ``filters`` leaves out; says under ``name`` how many those are.

        Which pairs are kept is worked out once and then found in the cache. Raises DataError when none is left.
        """
        assert self._kept is None, "filters are applied once, to the whole corpus"
        empty = Mapped(self._folder / "empty.values", np.int64)
        try:
            kept, counts = filters.kept(self, empty.array, self._folder)
        except OSError as error:
            raise unwritable(self._folder, error) from error
        say(f"{name}: {filters.report(counts)}")
        if not counts["kept"]:
            raise DataError(f"{name}: no pair is left, {filters.report(counts)}: loosen the filters or check the files")
        return Corpus(folder=self._folder, fields=self.fields, facts=self._facts, kept=kept)

    def __len__(self) -> int:
        return int(self._facts["size"]) if self._kept is None else len(self._kept.array)

    @property
    def has_targets(self) -> bool:
        """Whether the examples have a target side."""
        return "tgt.raw" in self._columns

    @property
    def draws(self) -> int:
        """How many examples are drawn in an epoch: each once."""
        return len(self)

    def draw(self, positions: Indices, *, seed: int, epoch: int) -> Indices:
        """The examples at an epoch's ``positions``: their own."""
        return positions

    def lengths(self, indices: Indices) -> tuple[Indices, Indices]:
        """The lengths of source and target ``[N]`` of the given examples, in steps; 0 for a side that is not kept."""
        rows = self._rows(indices)
        src, tgt = (
            self._columns[name].lengths(rows) if name in self._columns else np.zeros_like(rows)
            for name in ("src", "tgt")
        )
        return src, tgt

    def example(self, index: int) -> Example:
        """One example as it was read."""
        rows = self._rows(np.array([index]))
        (src,) = self._raws("src", rows)
        (tgt,) = self._raws("tgt", rows) if self.has_targets else [None]
        return Example(src, tgt, *self._texts("where", rows))

    def where(self, index: int) -> str:
        """Where one example came from, for messages: ``train.de:17``."""
        return self.example(index).where

    def encoded(self, indices: Sequence[int] | Indices, seed: int | None) -> tuple[list[Array], list[Array] | None]:
        """Both sides of some examples, not yet collated; see ``batch``."""
        rows = self._rows(np.asarray(indices, dtype=np.int64))
        src = self._side("src", self.fields.src, rows, seed)
        tgt = self._side("tgt", self.fields.tgt, rows, seed) if self.has_targets else None
        return src, tgt

    def batch(self, indices: Sequence[int] | Indices, seed: int | None = None) -> Batch:
        """Some examples, collated by their fields.

        With a seed, sides whose field is stochastic are encoded anew, as a function of (indices, seed) alone; without
        one, all are as they were encoded once.
        """
        return collated(self.fields, *self.encoded(indices, seed), indices)

    def _side(self, name: str, field: Field, rows: Indices, seed: int | None) -> list[Array]:
        if seed is not None and field.stochastic:
            # Each side has its own seed, so that equal texts on both are not cut alike.
            return field.sample_all(self._firsts(name, rows), zlib.crc32(f"{name}:{seed}".encode()))
        if not field.kept:
            return field.encode_all(self._firsts(name, rows))
        column = self._columns[name]
        return [row.astype(np.int32) for row in column.take(rows)]

    def _raws(self, name: str, rows: Indices) -> list[Any]:
        """The raw values of a side, tuples where each example has several."""
        texts = self._texts(f"{name}.raw", rows)
        return [tuple(json.loads(text)) for text in texts] if name in self._facts["several"] else texts

    def _firsts(self, name: str, rows: Indices) -> list[Any]:
        raws = self._raws(name, rows)
        return [raw[0] for raw in raws] if name in self._facts["several"] else raws

    def _texts(self, name: str, rows: Indices) -> list[str]:
        return [text.tobytes().decode() for text in self._columns[name].take(rows)]

    def _rows(self, indices: Indices) -> Indices:
        if len(indices) and not 0 <= indices.min() <= indices.max() < len(self):
            raise IndexError(f"indices go from 0 to {len(self) - 1}, not {indices.min()} to {indices.max()}")
        return indices if self._kept is None else self._kept.take(indices)


class Successive(Corpus):
    """A corpus whose examples go on from each other: each from the one before it, but for those that begin anew."""

    carries = True

    def __init__(self, *, folder: Path, fields: Fields, facts: dict[str, Any], every: int | None) -> None:
        super().__init__(folder=folder, fields=fields, facts=facts)
        self.every = every or len(self)

    @classmethod
    def following(cls, reader: Following, fields: Fields, cache: Path, say: Callable[[str], None]) -> Successive:
        """The corpus of examples that follow each other; see ``Corpus.open``."""
        folder, facts = encoded_folder(reader, fields, Path(cache), say)
        return cls(folder=folder, fields=fields, facts=facts, every=reader.every)

    def batch(self, indices: Sequence[int] | Indices, seed: int | None = None) -> Batch:
        """As of every corpus, and whom each example follows."""
        batch = super().batch(indices, seed)
        return batch._replace(follows=[index - 1 if index % self.every else None for index in batch.indices])


def collated(fields: Fields, src: list[Array], tgt: list[Array] | None, indices: Sequence[int] | Indices) -> Batch:
    """A batch of encoded examples."""
    targets = None if tgt is None else fields.tgt.collate(tgt)
    return Batch(fields.src.collate(src), targets, [int(index) for index in indices])
