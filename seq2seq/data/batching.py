"""Which examples go together into a batch, and in which order the batches come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from seq2seq.data.permutation import Indices, Permutation
from seq2seq.errors import ConfigError


class Lengths(Protocol):
    """All that batching knows of a corpus."""

    def __len__(self) -> int: ...

    def lengths(self, indices: Indices) -> tuple[Indices, Indices]:
        """The lengths of both sides ``[N]`` of the given examples, in steps."""
        ...

    @property
    def draws(self) -> int:
        """How many examples are drawn in an epoch."""
        ...

    def draw(self, positions: Indices, *, seed: int, epoch: int) -> Indices:
        """Which examples an epoch's draws at ``positions``, each in ``0 … draws-1``, are."""
        ...


class Batches(Protocol):
    """Any way to make batches. What they hold are indices into the corpus."""

    def epoch(self, corpus: Lengths, *, seed: int, epoch: int, start: int = 0) -> Iterator[Indices]:
        """The batches of an epoch that is trained on, a pure function of (corpus, seed, epoch), from ``start`` on."""
        ...

    def in_order(self, corpus: Lengths) -> Iterator[Indices]:
        """Every example exactly once, for validation and decoding."""
        ...


class Batching:
    """Batches of examples of like length, within a budget.

    The examples are taken in pools, sorted by length inside a pool, and cut. A batch's cost in tokens is its rows times
    its longest sequence of either side, padding included, so that the budget bounds the memory that a batch takes. An
    example that alone is over the budget is a batch of its own. Memory is bounded by the pool, not by the corpus.

    Args:
        tokens: the most tokens that a batch may hold; exclusive with ``sentences``.
        sentences: the most examples that a batch may hold.
        pool: how many examples are sorted by length at a time. Larger pools waste less on padding.
    """

    def __init__(self, *, tokens: int | None = None, sentences: int | None = None, pool: int = 65536) -> None:
        if (tokens is None) == (sentences is None):
            given = "neither was given" if tokens is None else f"both were given ({tokens=}, {sentences=})"
            raise ConfigError(f"batches are cut by tokens or by sentences, exactly one of them: {given}")
        for name, value in (("tokens", tokens), ("sentences", sentences), ("pool", pool)):
            if value is not None and value < 1:
                raise ConfigError(f"batching needs {name} of at least 1, not {value}")
        self.tokens = tokens
        self.sentences = sentences
        self.pool = pool

    def epoch(self, corpus: Lengths, *, seed: int, epoch: int, start: int = 0) -> Iterator[Indices]:
        """The batches of one epoch in shuffled order, as arrays of indices into the corpus.

        Examples and batches are shuffled; the order is a pure function of (corpus, seed, epoch). ``start`` leaves out
        that many batches at the beginning, without touching their data, so that a run can go on where it stopped.
        """
        shuffle = Permutation(corpus.draws, [seed, epoch])
        for number, first in enumerate(range(0, corpus.draws, self.pool)):
            positions = np.arange(first, min(first + self.pool, corpus.draws))
            indices = corpus.draw(shuffle(positions), seed=seed, epoch=epoch)
            batches = self._cut(corpus, indices)
            if start >= len(batches):
                start -= len(batches)
                continue
            order = Permutation(len(batches), [seed, epoch, number])(np.arange(len(batches)))
            for place in order[start:]:
                yield batches[place]
            start = 0

    def in_order(self, corpus: Lengths) -> Iterator[Indices]:
        """Every example exactly once, unshuffled and unweighted: pools in the corpus's order, longest first in each.

        For validation and decoding, where one wants to know about memory early; results are put back by their indices.
        """
        for first in range(0, len(corpus), self.pool):
            indices = np.arange(first, min(first + self.pool, len(corpus)))
            yield from reversed(self._cut(corpus, indices))

    def _cut(self, corpus: Lengths, indices: Indices) -> list[Indices]:
        """Sorts a pool by length and cuts it into batches, the shortest first."""
        src, tgt = corpus.lengths(indices)
        # By target, then by source up and down in turn: where the target grows by one, the source does not jump.
        order = np.lexsort((np.where(tgt % 2 == 0, src, -src), tgt))
        indices = indices[order]
        if self.sentences is not None:
            cuts = list(range(self.sentences, len(indices), self.sentences))
        else:
            assert self.tokens is not None
            lengths = np.maximum(src, tgt)[order]
            if len(lengths) and not lengths.any():
                raise ConfigError(
                    f"batches of tokens={self.tokens}: the lengths of these examples are not known before they are "
                    "read; cut batches by their number, with trainer.batching.tokens=null and "
                    "trainer.batching.sentences=…"
                )
            cuts = _cuts(lengths.tolist(), self.tokens)
        return np.split(indices, cuts)


class Streams:
    """Batches whose rows go on from those of the batch before: for examples that are the windows of a long sequence.

    The corpus is cut into ``streams`` stretches of consecutive examples, of one length or one more, and batch t holds
    the t-th example of each: every row is where it was in the batch before, and only the last batch may lack some. The
    order is the same in every epoch, in which an example that begins a stretch goes on from the end of the one before,
    where that was in the last batch; else it begins anew.

    Args:
        streams: how many examples a batch holds.
    """

    def __init__(self, *, streams: int) -> None:
        if streams < 1:
            raise ConfigError(f"streams={streams}: expected the number of rows of a batch, 1 or more")
        self.streams = streams

    def epoch(self, corpus: Lengths, *, seed: int, epoch: int, start: int = 0) -> Iterator[Indices]:
        """The batches of one epoch, without the first ``start``; nothing is shuffled."""
        size, rows = len(corpus), min(self.streams, len(corpus))
        # The first size % rows stretches are the longer ones, so that the rows of a batch are the first of all rows.
        firsts = np.arange(rows) * (size // rows) + np.minimum(np.arange(rows), size % rows)
        for place in range(start, -(-size // rows)):
            yield firsts[: size % rows if place == size // rows else rows] + place

    def in_order(self, corpus: Lengths) -> Iterator[Indices]:
        """The same batches: every example once, after the one that it goes on from unless it begins a stretch."""
        return self.epoch(corpus, seed=0, epoch=0)


def _cuts(lengths: list[int], budget: int) -> list[int]:
    """Where to cut a sequence of lengths so that each part's rows times its longest stay within the budget."""
    cuts = []
    first = longest = 0
    for place, length in enumerate(lengths):
        longest = max(longest, length)
        if place > first and (place - first + 1) * longest > budget:
            cuts.append(place)
            first, longest = place, length
    return cuts
