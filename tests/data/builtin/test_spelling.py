from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from seq2seq.data.builtin.spelling import LONGEST, Spelling, pronounce
from seq2seq.errors import ConfigError, DataError

BY_HAND = [
    ("dog", "D AA K"),  # it ends in a sound that loses its voice …
    ("doge", "D OW JH"),  # … unless a silent e stands behind it, which also makes o long and g soft
    ("night", "N AY T"),  # gh says nothing and makes i long
    ("knome", "N OW M"),  # no k before n at the beginning …
    ("akno", "AE K N AX"),  # … but elsewhere
    ("wrate", "R EY T"),
    ("lamb", "L AE M"),  # no b after m at the end …
    ("lambo", "L AE M B AX"),  # … but elsewhere
    ("cat", "K AE T"),
    ("cet", "S EH T"),
    ("chip", "CH IH P"),
    ("chrip", "K R IH P"),
    ("rasa", "R EY Z AX"),  # voiced between vowels, and a long before one consonant …
    ("rassa", "R AE S AX"),  # … but not where it is doubled
    ("bathi", "B EY DH IH"),
    ("sing", "S IH NG"),
    ("tanku", "T AE NG K AH"),  # n before K, by its sound …
    ("tancu", "T AE NG K AH"),  # … however that is spelled …
    ("tancia", "T AX N S IH AX"),  # … but not before S
    ("fuxo", "F UW K S AX"),
    ("quail", "K W EY L"),
    ("polate", "P OW L EY T"),  # the last vowel but one is stressed
    ("polast", "P AX L AE S T"),  # the last one before two consonants
    ("phoo", "F UW"),
    ("le", "L EH"),  # an e that is the only vowel is not silent
]


@pytest.mark.parametrize(("word", "sounds"), BY_HAND)
def test_words_are_read_by_the_rules(word: str, sounds: str) -> None:
    assert " ".join(pronounce(word)) == sounds


@pytest.mark.parametrize("word", ["", "tst", "über", "Dog", "a b"])
def test_what_is_no_word_is_told(word: str) -> None:
    with pytest.raises(DataError, match="cannot be read aloud"):
        pronounce(word)


def test_parts_share_no_word_and_come_again_the_same() -> None:
    parts = {part: list(Spelling(part=part, size=300, seed=1)) for part in ("train", "valid", "test")}
    words = [example.src for examples in parts.values() for example in examples]
    assert len(set(words)) == len(words) == 900
    assert all(len(word) <= LONGEST for word in words)
    assert list(Spelling(part="valid", size=300, seed=1)) == parts["valid"]
    others = {example.src for example in Spelling(part="train", size=300, seed=2)}
    assert len(others & set(words)) < 30 and not others & {e.src for e in parts["valid"] + parts["test"]}


def test_a_model_that_does_not_look_ahead_cannot_read() -> None:
    """Words that begin with the same three letters begin with other sounds, by what comes after."""
    begun: dict[str, Counter[str]] = defaultdict(Counter)
    for example in Spelling(part="train", size=4000, seed=1):
        begun[example.src[:3]][" ".join(example.tgt.split()[:2])] += 1
    guessed = sum(counts.most_common(1)[0][1] for counts in begun.values())
    assert guessed < 0.9 * 4000


def test_bad_settings_are_told() -> None:
    with pytest.raises(ConfigError, match="part='dev' of the built-in spelling"):
        Spelling(part="dev", size=1, seed=1)
    with pytest.raises(ConfigError, match="size=-1 of the built-in spelling"):
        Spelling(part="train", size=-1, seed=1)


def test_a_fingerprint_follows_the_settings() -> None:
    kinds = [("train", 5, 1), ("valid", 5, 1), ("train", 6, 1), ("train", 5, 2)]
    prints = {Spelling(part=part, size=size, seed=seed).fingerprint() for part, size, seed in kinds}
    assert len(prints) == 4 and Spelling(part="train", size=5, seed=1).fingerprint() in prints
