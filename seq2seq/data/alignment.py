"""Which target tokens translate which source tokens, learned from sentence pairs alone: IBM Model 1 (Brown et al. 1993,
"The Mathematics of Statistical Machine Translation", section 4.1).

A target token is made by one token of its source, all of them equally likely a priori, with a probability that is
looked for: t(target | source). The eos that ends every source stands for the empty word, which makes what nothing else
does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from seq2seq.data.storage import Array
from seq2seq.types import Batch, Padded

Pass = Callable[[], Iterable[Batch]]
"""Goes through all sentence pairs, every time anew"""
AT_ONCE = 1 << 21
"""Pairs of tokens that are counted before they are merged with those before them."""


@dataclass(frozen=True)
class Table:
    """A weight for each pair of a source and a target token that occurs; P pairs."""

    keys: Array
    """[P], ``source · width + target``, rising"""
    weights: Array
    """[P], how often a pair occurs, or t(target | source)"""
    width: int
    """Size of the target vocabulary"""

    @property
    def sources(self) -> Array:
        """[P], the source token of each pair."""
        return self.keys // self.width

    def normalised(self) -> Table:
        """The table with the weights of each source token summing to one."""
        sources = self.sources
        totals = np.bincount(sources, self.weights)
        return replace(self, weights=self.weights / totals[sources])

    def strongest(self, count: int) -> Table:
        """The table with no more than the ``count`` heaviest pairs of each source token; of equal ones, the first."""
        kept = np.sort(self._by_weight()[self._ranks() < count])
        return replace(self, keys=self.keys[kept], weights=self.weights[kept])

    def best(self, count: int, *, sources: int, fill: int) -> Array:
        """The ``count`` heaviest target tokens of each of the ``sources`` source tokens ``[sources, count]``, heaviest
        first; ``fill`` where there are fewer."""
        order, ranks = self._by_weight(), self._ranks()
        kept = ranks < count
        found = np.full((sources, count), fill, np.int64)
        found[self.sources[order][kept], ranks[kept]] = self.keys[order][kept] % self.width
        return found

    def _by_weight(self) -> Array:
        """The pairs in order of their source, and then of falling weight."""
        return np.lexsort((-self.weights, self.sources))

    def _ranks(self) -> Array:
        """Of the pairs in that order, the places among those of the same source; from 0."""
        sources = self.sources
        return np.arange(len(sources)) - np.searchsorted(sources, sources)


def cooccurring(pairs: Pass, *, sources: int, targets: int, partners: int = 1000) -> Table:
    """How often each target token stands in the translation of each source token.

    Memory: of each source token no more than the ``partners`` most frequent target tokens are kept, so that the table
    has at most ``sources · partners`` pairs however long the text.

    Args:
        pairs: Goes through the text.
        sources: Size of the source vocabulary.
        targets: Size of the target vocabulary.
        partners: Those that a token occurs with less often than with so many others do not translate it.
    """
    table = Table(np.empty(0, np.int64), np.empty(0), targets)
    waiting: list[Array] = []
    for batch in pairs():
        keys, real = _keys(batch, targets)
        waiting.append(keys[real])
        if sum(map(len, waiting)) > AT_ONCE:
            table, waiting = _merged(table, waiting), []
            if len(table.keys) > 2 * sources * partners:
                table = table.strongest(partners)
    return _merged(table, waiting).strongest(partners)


def improved(table: Table, pairs: Pass) -> Table:
    """Translation probabilities after one more iteration of EM (Brown et al. 1993, equations 13 and 14).

    From a table of equal weights, the first iteration weighs all tokens of a source alike.

    Args:
        table: Those before it.
        pairs: Goes through the text.
    """
    counts = np.zeros(len(table.keys))
    for batch in pairs():
        keys, real = _keys(batch, table.width)
        places = np.minimum(np.searchsorted(table.keys, keys), len(table.keys) - 1)
        given = np.where(real & (table.keys[places] == keys), table.weights[places], 0.0)
        shares = given / np.maximum(given.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        np.add.at(counts, places.ravel(), shares.ravel())
    found = counts > 0
    return Table(table.keys[found], counts[found], table.width).normalised()


def translations(pairs: Pass, *, sources: int, targets: int, iterations: int) -> Table:
    """t(target | source) of all pairs of tokens that occur together, after some iterations of EM.

    Goes through the text once more than there are iterations; see ``cooccurring`` for arguments.
    """
    table = cooccurring(pairs, sources=sources, targets=targets)
    table = replace(table, weights=np.ones(len(table.keys)))
    for _ in range(iterations):
        table = improved(table, pairs)
    return table


def frequencies(targets: Iterable[Padded], size: int) -> Array:
    """How often each token of a vocabulary occurs ``[size]``."""
    counts = np.zeros(size, np.int64)
    for padded in targets:
        counts += np.bincount(padded.values[padded.mask].numpy(), minlength=size)
    return counts


def _keys(batch: Batch, width: int) -> tuple[Array, Array]:
    """The key of each pair of tokens of each sentence pair ``[B, S, T]``, and where both are real."""
    src, tgt = (side.values.numpy() for side in (batch.src, batch.tgt))
    real = batch.src.mask.numpy()[:, :, None] & batch.tgt.mask.numpy()[:, None]
    return src[:, :, None] * width + tgt[:, None], real


def _merged(table: Table, more: list[Array]) -> Table:
    """A table of counts with the occurrences of further keys added."""
    keys, counts = np.unique(np.concatenate([np.empty(0, np.int64), *more]), return_counts=True)
    whole, places = np.unique(np.concatenate([table.keys, keys]), return_inverse=True)
    return replace(table, keys=whole, weights=np.bincount(places, np.concatenate([table.weights, counts])))
