"""Errors of pronunciations, counted by hand."""

from __future__ import annotations

import pytest

from seq2seq.errors import DataError
from seq2seq.metrics.pronunciation import distance, phoneme_error, word_error

PREDICTIONS = ["K AE T", "D AO G", "T AH M EY T OW", ""]
REFERENCES = [["K AE T"], ["D AA G"], ["T AH M AA T OW", "T AH M EY T OW"], ["AH"]]


def test_a_word_is_right_if_any_of_its_pronunciations_is() -> None:
    score = word_error(PREDICTIONS, REFERENCES)
    assert score.value == 50 and score.signature == "word_error|nrefs:var"
    assert word_error(["K AE T"], ["K AE T"]).value == 0
    assert word_error(["K AE"], ["K AE T"]).value == 100


def test_sounds_are_counted_against_the_nearest_pronunciation() -> None:
    """One replaced of 3 + 3 + 6, and one of 1 missing."""
    assert phoneme_error(PREDICTIONS, REFERENCES).value == pytest.approx(100 * 2 / 13)
    assert phoneme_error(["A B"], [["A B C", "A"]]).value == pytest.approx(100 / 3), "equally near: the longer one"
    assert phoneme_error(["A B"], [""]).value == 200


@pytest.mark.parametrize(
    ("given", "wanted", "edits"),
    [("", "", 0), ("abc", "abc", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)],
)
def test_distances(given: str, wanted: str, edits: int) -> None:
    assert distance(given, wanted) == edits


def test_a_word_without_pronunciations_is_told() -> None:
    with pytest.raises(DataError, match="example 1 of 1 has no references"):
        phoneme_error(["K"], [[]])
