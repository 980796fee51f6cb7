"""A mixture: several corpora as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from seq2seq.data.corpus import Corpus, collated
from seq2seq.data.permutation import Indices, Permutation
from seq2seq.errors import ConfigError
from seq2seq.types import Batch, Example


class Mixture:
    """Several corpora as one, each drawn from as often as its weight says. It is used as a corpus is.

    Every example has one index. In an epoch a corpus of n examples gives ``round(weight · n)`` of them (at least one):
    with weight 2 each example twice, with 0.5 one half of them and in the next epoch the other half.

    Args:
        corpora: what is mixed; all encoded by the same fields.
        weights: a positive number for each.
    """

    carries = False

    def __init__(self, *, corpora: Sequence[Corpus], weights: Sequence[float]) -> None:
        if len(corpora) != len(weights) or not corpora:
            raise ConfigError(
                f"a mixture needs a weight for each corpus: {len(corpora)} corpora, {len(weights)} weights"
            )
        if not all(0 < weight < float("inf") for weight in weights):
            raise ConfigError(
                f"weights of corpora are positive numbers, not {list(weights)}: leave a corpus out instead"
            )
        prints = {tuple(field.fingerprint() for field in corpus.fields) for corpus in corpora}
        if len(prints) > 1 or len({corpus.has_targets for corpus in corpora}) > 1:
            raise ConfigError("the corpora of a mixture must be encoded by the same fields and all have the same sides")
        self.corpora = list(corpora)
        self.fields = corpora[0].fields
        self.has_targets = corpora[0].has_targets
        self._firsts = np.cumsum([0, *map(len, corpora)])
        self._quotas = [max(1, round(weight * len(corpus))) for weight, corpus in zip(weights, corpora)]

    def __len__(self) -> int:
        return int(self._firsts[-1])

    @property
    def draws(self) -> int:
        """How many examples are drawn in an epoch, from all corpora together."""
        return sum(self._quotas)

    def draw(self, positions: Indices, *, seed: int, epoch: int) -> Indices:
        """The examples at an epoch's ``positions``: a corpus goes through all its examples before it repeats one."""
        indices = np.empty(len(positions), np.int64)
        starts = np.cumsum([0, *self._quotas])
        parts = np.searchsorted(starts, positions, side="right") - 1
        for part, (quota, corpus) in enumerate(zip(self._quotas, self.corpora)):
            mine = np.flatnonzero(parts == part)
            # How many examples the corpus has given since the first epoch; each round over it has its own order.
            rounds, places = np.divmod(epoch * quota + positions[mine] - starts[part], len(corpus))
            for number in np.unique(rounds):
                now = rounds == number
                order = Permutation(len(corpus), [seed, part, int(number)])
                indices[mine[now]] = self._firsts[part] + order(places[now])
        return indices

    def lengths(self, indices: Indices) -> tuple[Indices, Indices]:
        """As ``Corpus.lengths``."""
        src, tgt = np.empty_like(indices), np.empty_like(indices)
        for corpus, places, rows in self._shares(indices):
            src[places], tgt[places] = corpus.lengths(rows)
        return src, tgt

    def example(self, index: int) -> Example:
        """As ``Corpus.example``."""
        ((corpus, _, (row,)),) = self._shares(np.array([index]))
        return corpus.example(row)

    def where(self, index: int) -> str:
        """As ``Corpus.where``."""
        return self.example(index).where

    def batch(self, indices: Sequence[int] | Indices, seed: int | None = None) -> Batch:
        """As ``Corpus.batch``."""
        src: list[Any] = [None] * len(indices)
        tgt: list[Any] = [None] * len(indices)
        for corpus, places, rows in self._shares(np.asarray(indices, dtype=np.int64)):
            some_src, some_tgt = corpus.encoded(rows, seed)
            for number, place in enumerate(places):
                src[place] = some_src[number]
                tgt[place] = some_tgt[number] if some_tgt is not None else None
        return collated(self.fields, src, tgt if self.has_targets else None, indices)

    def _shares(self, indices: Indices) -> list[tuple[Corpus, Indices, Indices]]:
        """The corpora that are asked for, which of the indices are theirs, and what they call them."""
        if len(indices) and not 0 <= indices.min() <= indices.max() < len(self):
            raise IndexError(f"indices go from 0 to {len(self) - 1}, not {indices.min()} to {indices.max()}")
        parts = np.searchsorted(self._firsts, indices, side="right") - 1
        places = [(part, np.flatnonzero(parts == part)) for part in np.unique(parts)]
        return [(self.corpora[part], mine, indices[mine] - self._firsts[part]) for part, mine in places]
