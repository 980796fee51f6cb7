from __future__ import annotations

from collections import Counter

import pytest

from seq2seq.data.builtin.recall import KEYS, NOISE, Recall
from seq2seq.errors import ConfigError


def test_the_first_letter_is_what_is_asked_for() -> None:
    examples = list(Recall(part="train", size=800, shortest=20, length=20, seed=1))
    assert all(example.src[0] == example.tgt and len(example.src) == 20 for example in examples)
    assert {letter for example in examples for letter in example.src[1:]} == set(NOISE)
    counts = Counter(example.tgt for example in examples)
    assert set(counts) == set(KEYS) and min(counts.values()) > 70, "guessing is right one time in eight"


def test_lengths_come_equally_often() -> None:
    counts = Counter(len(each.src) for each in Recall(part="train", size=1000, shortest=2, length=6, seed=1))
    assert set(counts) == set(range(2, 7)) and min(counts.values()) > 150


def test_parts_and_seeds_are_other_sequences() -> None:
    kinds = [("train", 1), ("valid", 1), ("test", 1), ("train", 2)]
    drawn = [[e.src for e in Recall(part=part, size=50, shortest=2, length=30, seed=seed)] for part, seed in kinds]
    assert len({src for each in drawn for src in each}) == 200
    assert len({Recall(part=p, size=50, shortest=2, length=30, seed=s).fingerprint() for p, s in kinds}) == 4


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"part": "dev"}, "part='dev'"),
        ({"size": -1}, "size=-1"),
        ({"shortest": 3}, "shortest=3 and length=2 .*2 steps or more"),
    ],
)
def test_bad_settings_are_told(options: dict[str, object], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        Recall(**{"part": "train", "size": 1, "shortest": 2, "length": 2, "seed": 1, **options})
