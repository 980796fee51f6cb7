"""Windows: one long sequence of tokens, cut into pieces that follow one another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seq2seq.data.encoding import encoded_folder
from seq2seq.data.fields import Fields
from seq2seq.data.permutation import Indices
from seq2seq.data.recast import Joined
from seq2seq.data.storage import Array, Column, Mapped
from seq2seq.errors import DataError
from seq2seq.types import Batch, Example


class Windows:
    """The texts of a ``Joined`` reader one after the other, each ended by eos, as examples of so many tokens each.

    Every token is in one window. The target of an example is its window, and before it the token that comes before (eos
    before the first): the inputs are all tokens but the last, what is to be predicted all but the first. Its source is
    what a prediction may see: some tokens before the window, then eos. ``Windows.open`` makes one.
    """

    carries = True

    def __init__(
        self, *, folder: Path, fields: Fields, facts: dict[str, Any], window: int, prompt: int, name: str
    ) -> None:
        self.fields, self.window, self.prompt = fields, window, prompt
        self._field: Any = fields.tgt
        self._tokens = Mapped(folder / "tgt.values", facts["columns"]["tgt"])
        self._offsets = Mapped(folder / "tgt.offsets", np.int64)
        self._wheres = Column(folder, "where", facts["columns"]["where"])
        if window > len(self._tokens.array):
            raise DataError(
                f"{name}: a window of {window:,} tokens is longer than all of the text, which has "
                f"{len(self._tokens.array):,}: choose a shorter one, or give more text"
            )

    @classmethod
    def open(cls, reader: Joined, fields: Fields, cache: Path, *, name: str, say: Callable[[str], None]) -> Windows:
        """The windows of a reader's texts, encoded once; see ``Corpus.open``.

        Raises:
            DataError: as there, or a window is longer than all texts together.
        """
        folder, facts = encoded_folder(reader, fields, Path(cache), say)
        return cls(folder=folder, fields=fields, facts=facts, window=reader.window, prompt=reader.prompt, name=name)

    def __len__(self) -> int:
        return -(-len(self._tokens.array) // self.window)

    @property
    def draws(self) -> int:
        """How many examples are drawn in an epoch: each once."""
        return len(self)

    def draw(self, positions: Indices, *, seed: int, epoch: int) -> Indices:
        """The examples at an epoch's ``positions``: their own."""
        return positions

    def lengths(self, indices: Indices) -> tuple[Indices, Indices]:
        """The lengths of source and target ``[N]``, with eos and with the token before the window."""
        firsts = indices * self.window
        sizes = np.minimum(len(self._tokens.array) - firsts, self.window)
        return np.minimum(firsts, self.prompt) + 1, sizes + 1

    def example(self, index: int) -> Example:
        """One window as text, after the text that is its prompt."""
        src, tgt = self._pair(index)
        return Example(_text(src, self._field), _text(tgt[1:], self._field), self.where(index))

    def where(self, index: int) -> str:
        """Which token of which text a window begins with, for messages: ``input.txt, token 1,281``."""
        first = index * self.window
        text = int(np.searchsorted(self._offsets.array, first, side="right")) - 1
        start = int(self._offsets.array[text])
        (name,) = self._wheres.take(np.array([text]))
        return f"{name.tobytes().decode()}, token {first - start + 1:,}"

    def batch(self, indices: Sequence[int] | Indices, seed: int | None = None) -> Batch:
        """Some windows; each goes on from the one before it. Nothing is drawn at random."""
        rows = [int(index) for index in indices]
        src, tgt = zip(*(self._pair(row) for row in rows))
        follows = [row - 1 if row else None for row in rows]
        return Batch(self.fields.src.collate(src), self.fields.tgt.collate(tgt), rows, follows)

    def _pair(self, index: int) -> tuple[Array, Array]:
        """A prompt with eos after it, and a window with the token before it."""
        if not 0 <= index < len(self):
            raise IndexError(f"indices go from 0 to {len(self) - 1}, not {index}")
        first, eos = index * self.window, [self._field.eos_id]
        tokens = self._tokens.array
        prompt = tokens[max(first - self.prompt, 0) : first]
        before = tokens[first - 1 : first] if first else eos
        pair = np.concatenate((prompt, eos)), np.concatenate((before, tokens[first : first + self.window]))
        self._tokens.release()
        return pair


def _text(tokens: Array, field: Any) -> str:
    """What tokens say; the ends of texts among them leave no trace."""
    return field.decode(tokens[tokens != field.eos_id])
