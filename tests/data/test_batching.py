"""Batches hold every example once, within their budget, in an order that depends on nothing but seed and epoch."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from seq2seq.data.batching import Batching, Streams
from seq2seq.data.permutation import Permutation
from seq2seq.errors import ConfigError


class Sizes:
    """A corpus of which there is nothing but lengths."""

    def __init__(self, src: np.ndarray, tgt: np.ndarray) -> None:
        self.src, self.tgt = src, tgt
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self.src)

    @property
    def draws(self) -> int:
        return len(self)

    def draw(self, positions: np.ndarray, *, seed: int, epoch: int) -> np.ndarray:
        return positions

    def lengths(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.asked.append(len(indices))
        return self.src[indices], self.tgt[indices]


def sizes(count: int, seed: int = 0) -> Sizes:
    """Lengths like those of sentences of about 13 words and their translations."""
    random = np.random.default_rng(seed)
    src = np.clip(random.lognormal(2.5, 0.35, count), 2, 80).astype(np.int64)
    return Sizes(src, np.maximum(2, src + random.integers(-3, 4, count)))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 16, 17, 100, 1000, 4097])
def test_a_permutation_is_one(size: int) -> None:
    everything = np.arange(size)
    permutation = Permutation(size, [3, 1])
    assert sorted(permutation(everything)) == list(range(size))
    # Each position is computed by itself.
    assert [int(permutation(np.array([place]))[0]) for place in everything[:20]] == permutation(everything)[
        :20
    ].tolist()


def test_permutations_are_about_uniform() -> None:
    # All orders of 4, from 4,800 keys: about 200 each (standard deviation 14).
    orders: dict[tuple[int, ...], int] = {}
    for key in range(4800):
        order = tuple(Permutation(4, [key])(np.arange(4)).tolist())
        orders[order] = orders.get(order, 0) + 1
    assert len(orders) == 24
    assert min(orders.values()) > 120 and max(orders.values()) < 280


def test_a_large_permutation_has_no_order_left() -> None:
    places = Permutation(100_000, [1, 2])(np.arange(100_000)).astype(float)
    assert abs(np.corrcoef(places[:-1], places[1:])[0, 1]) < 0.02
    assert abs(np.corrcoef(np.arange(100_000), places)[0, 1]) < 0.02


def test_a_permutation_is_the_same_on_every_machine() -> None:
    assert Permutation(10, [7, 0])(np.arange(10)).tolist() == [3, 8, 9, 4, 0, 6, 7, 5, 2, 1]


@pytest.mark.parametrize("batching", [Batching(tokens=300), Batching(sentences=7), Batching(tokens=300, pool=100)])
def test_every_example_once_and_within_the_budget(batching: Batching) -> None:
    corpus = sizes(1003)
    for batches in (list(batching.epoch(corpus, seed=1, epoch=0)), list(batching.in_order(corpus))):
        assert sorted(np.concatenate(batches).tolist()) == list(range(1003))
        for batch in batches:
            longest = max(corpus.src[batch].max(), corpus.tgt[batch].max())
            if batching.tokens is not None:
                assert len(batch) * longest <= batching.tokens
            else:
                assert len(batch) <= 7
    assert max(corpus.asked) <= batching.pool


def test_an_example_over_the_budget_is_alone() -> None:
    corpus = Sizes(np.array([5, 500, 5, 5]), np.array([5, 5, 5, 600]))
    batches = [sorted(batch.tolist()) for batch in Batching(tokens=20).in_order(corpus)]
    assert sorted(batches) == [[0, 2], [1], [3]]


def test_the_order_follows_seed_and_epoch_and_nothing_else() -> None:
    batching, corpus = Batching(tokens=200, pool=250), sizes(600)

    def order(seed: int, epoch: int) -> list[list[int]]:
        return [batch.tolist() for batch in batching.epoch(corpus, seed=seed, epoch=epoch)]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1) != order(2, 1)
    # It is the examples that are shuffled too: batches of one epoch are not those of the other in another order.
    assert len({frozenset(batch) for batch in order(1, 0)} & {frozenset(batch) for batch in order(1, 1)}) < 5


def test_lengths_come_in_no_order() -> None:
    corpus = sizes(20_000)
    longest = [corpus.tgt[batch].max() for batch in Batching(tokens=500).epoch(corpus, seed=1, epoch=0)]
    assert abs(np.corrcoef(np.arange(len(longest)), longest)[0, 1]) < 0.1


def test_start_goes_on_where_it_stopped() -> None:
    batching, corpus = Batching(tokens=200, pool=150), sizes(600)
    whole = [batch.tolist() for batch in batching.epoch(corpus, seed=4, epoch=2)]
    for start in range(len(whole) + 2):
        rest = [batch.tolist() for batch in batching.epoch(corpus, seed=4, epoch=2, start=start)]
        assert rest == whole[start:]


def test_in_order_puts_the_longest_first() -> None:
    corpus = sizes(500)
    longest = [int(corpus.tgt[batch].max()) for batch in Batching(sentences=16).in_order(corpus)]
    assert longest == sorted(longest, reverse=True)


def test_little_is_wasted_on_padding() -> None:
    corpus = sizes(50_000)
    real = padded = 0
    for batch in Batching(tokens=4096).epoch(corpus, seed=0, epoch=0):
        for side in (corpus.src[batch], corpus.tgt[batch]):
            real, padded = real + int(side.sum()), padded + len(batch) * int(side.max())
    assert 1 - real / padded < 0.05


@pytest.mark.parametrize(
    "options", [{}, {"tokens": 10, "sentences": 2}, {"tokens": 0}, {"sentences": -1}, {"tokens": 10, "pool": 0}]
)
def test_budgets_that_cannot_work(options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=r"exactly one|at least 1"):
        Batching(**options)


def test_lengths_that_nobody_knows_are_no_budget() -> None:
    nothing = np.zeros(5, dtype=np.int64)
    with pytest.raises(ConfigError, match="cut batches by their number"):
        list(Batching(tokens=100).epoch(Sizes(nothing, nothing), seed=1, epoch=0))
    assert [len(batch) for batch in Batching(sentences=4).in_order(Sizes(nothing, nothing))] == [1, 4]


@pytest.mark.parametrize(("count", "streams"), [(20, 3), (20, 4), (7, 7), (5, 9), (1, 1), (23, 8)])
def test_every_row_of_a_stream_goes_on_from_the_one_before(count: int, streams: int) -> None:
    corpus = sizes(count)
    batches = list(Streams(streams=streams).epoch(corpus, seed=1, epoch=0))
    assert sorted(np.concatenate(batches).tolist()) == list(range(count))
    assert len(batches[0]) == min(count, streams)
    for before, after in pairwise(batches):
        assert (after == before[: len(after)] + 1).all()
    assert all(len(batch) == len(batches[0]) for batch in batches[:-1])
    assert len(batches) == -(-count // min(count, streams))


def test_streams_go_on_where_they_stopped_and_are_the_same_everywhere() -> None:
    corpus, made = sizes(23), Streams(streams=4)
    batches = [batch.tolist() for batch in made.epoch(corpus, seed=1, epoch=0)]
    for start in range(len(batches) + 2):
        assert [batch.tolist() for batch in made.epoch(corpus, seed=2, epoch=5, start=start)] == batches[start:]
    assert [batch.tolist() for batch in made.in_order(corpus)] == batches
    with pytest.raises(ConfigError, match="streams=0"):
        Streams(streams=0)
