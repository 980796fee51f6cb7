"""IBM Model 1 by hand, and against its definition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import pytest
import torch

from seq2seq.data.alignment import Pass, Table, cooccurring, frequencies, improved, translations
from seq2seq.types import Batch, Padded

DAS, HAUS, BUCH, EIN = range(4)
THE, HOUSE, BOOK, A = range(4)
KOEHN = [([DAS, HAUS], [THE, HOUSE]), ([DAS, BUCH], [THE, BOOK]), ([EIN, BUCH], [A, BOOK])]
"""The example of Koehn 2010, "Statistical Machine Translation", figure 4.4"""


def padded(rows: list[list[int]]) -> Padded:
    """Rows as a batch whose padding holds the token 1, which must not be counted."""
    lengths = torch.tensor([len(row) for row in rows])
    values = torch.ones(len(rows), int(lengths.max()), dtype=torch.int64)
    for values_row, row in zip(values, rows):
        values_row[: len(row)] = torch.tensor(row)
    return Padded(values, lengths)


def passes(pairs: list[tuple[list[int], list[int]]], size: int) -> Pass:
    def batches() -> Iterable[Batch]:
        for first in range(0, len(pairs), size):
            some = pairs[first : first + size]
            yield Batch(padded([src for src, _ in some]), padded([tgt for _, tgt in some]), [])

    return batches


def as_dict(table: Table) -> dict[tuple[int, int], float]:
    return {(int(k) // table.width, int(k) % table.width): float(w) for k, w in zip(table.keys, table.weights)}


@pytest.mark.parametrize("size", [1, 2, 3])
def test_one_and_two_iterations_are_those_of_the_arithmetic(size: int) -> None:
    """First every target token is shared half and half by the two tokens of its source. So "das" has 1/2 of "the" from
    either of its sentences, 1/2 of "house" and 1/2 of "book", 2 in all: t(the | das) = 1/2, t(house | das) =
    t(book | das) = 1/4. "Haus" has 1/2 of "the" and 1/2 of "house": 1/2 each.

    Then "the" is shared by "das" and "Haus" as 1/2 : 1/2, and by "das" and "Buch" as 1/2 : 1/4, "house" by "das" and
    "Haus" as 1/4 : 1/2, "book" by "das" and "Buch" as 1/4 : 1/2. So "das" has 1/2 + 2/3 of "the", 1/3 of "house" and
    1/3 of "book", 11/6 in all: t(the | das) = 7/11.
    """
    pairs = passes(KOEHN, size)
    one = as_dict(translations(pairs, sources=4, targets=4, iterations=1))
    assert one[DAS, THE] == pytest.approx(1 / 2)
    assert one[DAS, HOUSE] == one[DAS, BOOK] == pytest.approx(1 / 4)
    assert one[HAUS, THE] == one[HAUS, HOUSE] == pytest.approx(1 / 2)
    assert (DAS, A) not in one and (HAUS, BOOK) not in one
    two = as_dict(translations(pairs, sources=4, targets=4, iterations=2))
    assert two[DAS, THE] == pytest.approx(7 / 11)
    assert two[DAS, HOUSE] == pytest.approx(2 / 11)
    many = as_dict(translations(pairs, sources=4, targets=4, iterations=50))
    assert min(many[DAS, THE], many[HAUS, HOUSE], many[BUCH, BOOK], many[EIN, A]) > 0.9


def test_equals_the_loops_of_the_definition() -> None:
    generator = np.random.default_rng(1)
    pairs = [tuple(generator.integers(0, 9, generator.integers(1, 7)).tolist() for _ in "st") for _ in range(40)]
    expected: dict[tuple[int, int], float] = defaultdict(lambda: 1.0)
    for _ in range(3):
        counts: dict[tuple[int, int], float] = defaultdict(float)
        for src, tgt in pairs:
            for target in tgt:
                total = sum(expected[source, target] for source in src)
                for source in src:
                    counts[source, target] += expected[source, target] / total
        totals: dict[int, float] = defaultdict(float)
        for (source, _), count in counts.items():
            totals[source] += count
        expected = defaultdict(float, {key: count / totals[key[0]] for key, count in counts.items()})
    assert as_dict(translations(passes(pairs, 7), sources=9, targets=9, iterations=3)) == pytest.approx(dict(expected))


def test_a_table_has_so_many_partners_of_a_token_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [([0], [n % 5]) for n in range(40)] + [([0], [1]), ([0], [3]), ([1], [7])]
    table = cooccurring(passes(pairs, 4), sources=2, targets=8, partners=2)
    assert as_dict(table) == {(0, 1): 9.0, (0, 3): 9.0, (1, 7): 1.0}
    monkeypatch.setattr("seq2seq.data.alignment.AT_ONCE", 0)  # merged, and cut down, after every batch
    assert as_dict(cooccurring(passes(pairs, 4), sources=2, targets=8, partners=5)) == {
        **{(0, n): 8.0 for n in (0, 2, 4)},
        **{(0, n): 9.0 for n in (1, 3)},
        (1, 7): 1.0,
    }


def test_what_was_cut_off_explains_nothing() -> None:
    pairs = passes([([0, 1], [2, 3])], 1)
    table = Table(np.array([0 * 4 + 2, 1 * 4 + 3]), np.ones(2), 4)
    assert as_dict(improved(table, pairs)) == {(0, 2): 1.0, (1, 3): 1.0}


def test_the_best_come_first_and_gaps_are_filled() -> None:
    table = Table(np.array([1, 2, 4, 10, 13]), np.array([0.2, 0.5, 0.2, 0.3, 0.7]), 5)
    assert table.best(2, sources=4, fill=9).tolist() == [[2, 1], [9, 9], [3, 0], [9, 9]]
    assert table.best(4, sources=3, fill=9).tolist() == [[2, 1, 4, 9], [9, 9, 9, 9], [3, 0, 9, 9]]


def test_frequencies_count_no_padding() -> None:
    assert frequencies([padded([[0, 2], [2]]), padded([[2]])], 4).tolist() == [1, 0, 3, 0]
