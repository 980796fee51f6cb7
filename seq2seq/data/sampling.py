"""Segmentations drawn at random: subword regularisation and BPE-dropout, as pure functions of model, texts and seed.

SentencePiece can draw too, but from a generator whose state is a process's own, so that a run that was stopped and goes
on in another process would see other pieces. Here each call has its own generator. Words are worked out once and kept,
since the same ones come again and again: a draw costs little more than its random numbers.
"""

from __future__ import annotations

import heapq
import math
from abc import ABC, abstractmethod
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, chain, repeat
from random import Random
from typing import Any

import numpy as np

from seq2seq.data.pieces import PieceTable
from seq2seq.errors import ConfigError

_MOST_KEPT = 600_000  # arcs of the words that are kept, or as much in other things: some 100 MB


def sampler(table: PieceTable, *, sampling: float, nbest_size: int, where: str) -> Sampler:
    """What draws segmentations from a model; see ``SentencePiece`` for the settings.

    Raises:
        ConfigError: the model is neither unigram nor BPE.
    """
    if table.model_type == "bpe":
        return MergeDropout(table, rate=sampling)
    if table.model_type == "unigram":
        return AllPaths(table, alpha=sampling) if nbest_size < 0 else BestPaths(table, alpha=sampling, count=nbest_size)
    raise ConfigError(
        f"{where}: sampling is {sampling}, but a {table.model_type} model has one segmentation of each text; "
        "set sampling=0, or take a unigram or bpe model"
    )


class Sampler(ABC):
    """Draws a segmentation of each text."""

    def __init__(self, table: PieceTable) -> None:
        self._table = table
        self._kept: dict[str, Any] = {}
        self._size = 0

    def __call__(self, normalised: Iterable[str], seed: int) -> list[list[int]]:
        """The ids of each text, given as SentencePiece normalises it; nothing but the text and the seed decides."""
        words, joined = self._table.words, self._table.joined
        # Of all generators this one promises the same numbers in every release, and single ones are cheap.
        return [joined(self._draw(words(text), Random(f"{seed} {text}").random)) for text in normalised]

    @abstractmethod
    def _draw(self, words: list[str], random: Callable[[], float]) -> list[int]:
        """The ids of a text."""

    @abstractmethod
    def _work_out(self, word: str) -> tuple[Any, int]:
        """All that is worth keeping of a word, and its size."""

    def _keep(self, word: str) -> Any:
        result, size = self._work_out(word)
        self._size += size
        if self._size > _MOST_KEPT:
            self._kept.clear()  # the frequent words are soon back
            self._size = size
        self._kept[word] = result
        return result


class AllPaths(Sampler):
    """Subword regularisation over all segmentations x of a text: P(x) ∝ p(x)^α (Kudo 2018, arXiv:1804.10959, 3.1).

    Forward filtering and backward sampling, as there, but the sums run from the end so that pieces are drawn in order.
    A word is a list of positions; of each, the bounds that a random number falls between, and what then follows: the
    ids of a piece, and the position behind it.
    """

    def __init__(self, table: PieceTable, *, alpha: float) -> None:
        super().__init__(table)
        self._alpha = alpha

    def _draw(self, words: list[str], random: Callable[[], float]) -> list[int]:
        ids: list[int] = []
        kept = self._kept
        for word in words:
            positions = kept.get(word) or self._keep(word)
            at, end = 0, len(positions)
            while at < end:
                bounds, pieces, ends = positions[at]
                drawn = bisect(bounds, random()) if bounds else 0
                ids += pieces[drawn]
                at = ends[drawn]
        return ids

    def _work_out(self, word: str) -> tuple[list[Any], int]:
        lattice = _lattice(self._table, word)
        positions: list[Any] = [None] * len(lattice)
        logs = [0.0] * (len(lattice) + 1)
        for at in reversed(range(len(lattice))):
            if not lattice[at]:
                continue  # inside a user-defined symbol
            scores, pieces, ends = zip(*lattice[at])
            weights = [self._alpha * score + logs[end] for score, end in zip(scores, ends)]
            most = max(weights)
            sums = list(accumulate([math.exp(weight - most) for weight in weights]))
            logs[at] = most + math.log(sums[-1])
            positions[at] = tuple([partial / sums[-1] for partial in sums[:-1]]), pieces, ends
        return positions, sum(map(len, lattice))


class BestPaths(Sampler):
    """Subword regularisation over the ``count`` best segmentations x of a text: P(x) ∝ p(x)^α (Kudo 2018, 3.1).

    The best of a text are put together from the best of its words: only the i-th best of the text so far with the
    j-th best of the next word where i · j ≤ count can be among them.
    """

    def __init__(self, table: PieceTable, *, alpha: float, count: int) -> None:
        super().__init__(table)
        self._alpha, self._count = alpha, count
        pairs = [(i, j) for i in range(count) for j in range(count // (i + 1))]
        self._left, self._right = np.array(pairs).T

    def _draw(self, words: list[str], random: Callable[[], float]) -> list[int]:
        scores, came = np.zeros(1), []
        for word in words:
            added, segmentations = self._kept.get(word) or self._keep(word)
            left, right = self._left, self._right
            if len(scores) < self._count or len(added) < self._count:
                possible = (left < len(scores)) & (right < len(added))
                left, right = left[possible], right[possible]
            sums = scores[left] + added[right]
            best = np.argsort(-sums, kind="stable")[: self._count]
            scores = sums[best]
            came.append((left[best], right[best], segmentations))
        weights = np.cumsum(np.exp(self._alpha * (scores - scores[0])))
        at = min(int(np.searchsorted(weights, random() * weights[-1], side="right")), len(weights) - 1)
        chosen = []
        for left, right, segmentations in reversed(came):
            chosen.append(segmentations[right[at]])
            at = left[at]
        return [index for ids in reversed(chosen) for index in ids]

    def _work_out(self, word: str) -> tuple[tuple[np.ndarray, list[tuple[int, ...]]], int]:
        lattice = _lattice(self._table, word)
        # A path is its score and a chain (ids, the chain behind them), so that paths share their ends.
        paths: list[list[tuple[float, Any]]] = [[] for _ in lattice] + [[(0.0, None)]]
        for at in reversed(range(len(lattice))):
            found = ((score + rest, (ids, way)) for score, ids, to in lattice[at] for rest, way in paths[to])
            paths[at] = sorted(found, key=lambda path: -path[0])[: self._count]
        segmentations = [tuple(chain.from_iterable(_links(way))) for _, way in paths[0]]
        return (np.array([score for score, _ in paths[0]]), segmentations), 1 + sum(map(len, segmentations)) // 4


class MergeDropout(Sampler):
    """BPE-dropout: each merge is left out with probability ``rate`` (Provilkov et al. 2020, arXiv:1910.13267, 3.1).

    The merges of a word come in BPE's order, best score first, and each possible one is drawn when its turn comes, as
    SentencePiece does it: what was left out is not tried again.
    """

    def __init__(self, table: PieceTable, *, rate: float) -> None:
        super().__init__(table)
        self._rate = rate
        self._ids = {**table.ids, **table.unused}
        self._unused = set(table.unused)

    def _draw(self, words: list[str], random: Callable[[], float]) -> list[int]:
        ids: list[int] = []
        kept, rate = self._kept, self._rate
        for word in words:
            whole, merges = kept.get(word) or self._keep(word)
            for taken in range(merges):
                if random() < rate:
                    # Until the first one left out all goes as it does without any.
                    more = (random() < rate for _ in repeat(None))
                    ids += self._merged(word, chain(repeat(False, taken), (True,), more))[0]
                    break
            else:
                ids += whole
        return ids

    def _work_out(self, word: str) -> tuple[tuple[list[int], int], int]:
        ids, merges = self._merged(word, repeat(False))
        return (ids, merges), 1 + len(ids)

    def _merged(self, word: str, left_out: Iterator[bool]) -> tuple[list[int], int]:
        """The ids of a word and how many merges were possible, given which of them to leave out."""
        ids: list[int] = []
        merges = 0
        for part, symbol in self._table.parts(word):
            if symbol is not None:
                ids.append(symbol)
                continue
            pieces, halves, possible = self._merge(part, left_out)
            merges += possible
            for piece in self._split(pieces, halves):
                ids += (self._ids[piece],) if piece in self._ids else self._table.spelled(piece)
        return ids, merges

    def _merge(self, part: str, left_out: Iterator[bool]) -> tuple[list[str], dict[str, tuple[str, str]], int]:
        pieces, size = list(part), len(part)  # a piece stands where it begins, and "" where it goes on
        before, after = list(range(-1, size - 1)), list(range(1, size + 1))
        waiting: list[tuple[float, int, int, str]] = []
        halves: dict[str, tuple[str, str]] = {}
        merges = 0

        def consider(left: int, right: int) -> None:
            if left < 0 or right >= size:
                return
            both = pieces[left] + pieces[right]
            index = self._ids.get(both)
            if index is not None:
                heapq.heappush(waiting, (-self._table.scores[index], left, right, both))
                if both in self._unused:
                    halves[both] = pieces[left], pieces[right]

        for at in range(1, size):
            consider(at - 1, at)
        while waiting:
            _, left, right, both = heapq.heappop(waiting)
            if not pieces[left] or not pieces[right] or pieces[left] + pieces[right] != both:
                continue  # one of them has become part of another piece
            merges += 1
            if next(left_out):
                continue
            pieces[left], pieces[right] = both, ""
            after[left] = after[right]
            if after[left] < size:
                before[after[left]] = left
            consider(before[left], left)
            consider(left, after[left])
        return [piece for piece in pieces if piece], halves, merges

    def _split(self, pieces: list[str], halves: dict[str, tuple[str, str]]) -> Iterator[str]:
        """Takes pieces that are not to be used apart again."""
        ahead = pieces[::-1]
        while ahead:
            piece = ahead.pop()
            if piece in halves:
                ahead += reversed(halves[piece])
            else:
                yield piece


def _lattice(table: PieceTable, word: str) -> list[list[tuple[float, tuple[int, ...], int]]]:
    """All the pieces of a word by the position of their first character: score, ids, and the position behind them."""
    lattice: list[list[tuple[float, tuple[int, ...], int]]] = []
    for part, symbol in table.parts(word):
        start, end = len(lattice), len(lattice) + len(part)
        if symbol is not None:
            lattice += [[(0.0, (symbol,), end)], *([] for _ in part[1:])]
            continue
        pieces, size = table.pieces, len(part)
        for at in range(size):
            longest = min(at + table.longest, size) - at
            found = [(to, piece) for to in range(at + 1, at + longest + 1) if (piece := pieces.get(part[at:to]))]
            arcs = [(score, ids, start + to) for to, (score, ids) in found]
            if part[at] not in pieces:
                arcs.append((table.unknown_score, table.spelled(part[at]), start + at + 1))
            lattice.append(arcs)
    return lattice


def _links(chained: Any) -> Iterator[tuple[int, ...]]:
    while chained is not None:
        ids, chained = chained
        yield ids
