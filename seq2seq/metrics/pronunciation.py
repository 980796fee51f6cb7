"""Metrics of pronunciations, written as sounds with single spaces between them: lower is better.

A word may have several pronunciations, of which the nearest counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from seq2seq.metrics.references import References, grouped, spread
from seq2seq.metrics.text import Score, exact_match


def word_error(predictions: Sequence[str], references: References) -> Score:
    """Percentage of words that are not pronounced in one of the right ways, sound by sound."""
    right = exact_match(predictions, references).value
    return Score(100.0 - right, f"word_error|{spread(grouped(predictions, references))}")


def phoneme_error(predictions: Sequence[str], references: References) -> Score:
    """Sounds to insert, drop or replace, in percent of those of the references; of a word's references the one with
    the fewest, and of these the longest."""
    edits = total = 0
    groups = grouped(predictions, references)
    for prediction, group in zip(predictions, groups):
        said = prediction.split()
        least, length = min((distance(said, sounds), -len(sounds)) for sounds in map(str.split, group))
        edits, total = edits + least, total - length
    return Score(100.0 * edits / max(total, 1), f"phoneme_error|{spread(groups)}")


METRICS: Mapping[str, Callable[[Sequence[str], References], Score]] = {
    "word_error": word_error,
    "phoneme_error": phoneme_error,
}


def distance(given: Sequence[str], wanted: Sequence[str]) -> int:
    """How few insertions, deletions and replacements make one sequence the other (Levenshtein 1966)."""
    row = list(range(len(wanted) + 1))
    for number, each in enumerate(given, start=1):
        before, row[0] = row[0], number
        for place, other in enumerate(wanted, start=1):
            before, row[place] = row[place], min(before + (each != other), row[place] + 1, row[place - 1] + 1)
    return row[-1]
