"""Metrics of labels, over a whole set: texts of labels in, percentages out.

A text is labels with single spaces between them, one for each step; what stands behind a tab is the label of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from seq2seq.errors import DataError
from seq2seq.metrics.references import References, grouped
from seq2seq.metrics.text import Score

Span = tuple[int, int, str]
"""First step, step after the last, kind"""


def span_f1(predictions: Sequence[str], references: References) -> Score:
    """F1 of labelled spans, all kinds together, counted as the CoNLL-2000 shared task does (Tjong Kim Sang & Buchholz).

    A span is right where its beginning, end and kind all are. The signature has precision and recall.
    """
    right = said = there = 0
    for prediction, reference in _pairs(predictions, references):
        found, wanted = set(spans(_steps(prediction))), set(spans(_steps(reference)))
        right, said, there = right + len(found & wanted), said + len(found), there + len(wanted)
    precision, recall = 100 * right / max(said, 1), 100 * right / max(there, 1)
    value = 200 * right / max(said + there, 1)
    return Score(value, f"conlleval|precision:{precision:.2f}|recall:{recall:.2f}|spans:{there}")


def tag_accuracy(predictions: Sequence[str], references: References) -> Score:
    """Percentage of steps whose label is right."""
    right = steps = 0
    for prediction, reference in _pairs(predictions, references):
        found, wanted = _steps(prediction), _steps(reference)
        right, steps = right + sum(one == other for one, other in zip(found, wanted)), steps + len(wanted)
    return Score(100 * right / max(steps, 1), f"steps:{steps}")


def intent_accuracy(predictions: Sequence[str], references: References) -> Score:
    """Percentage of inputs whose label as a whole, behind the tab, is right.

    Where several are right at once, as ``flight#airfare`` in ATIS, all have to be named.
    """
    pairs = [[text.rpartition("\t")[2] for text in texts] for texts in _pairs(predictions, references)]
    return Score(100 * sum(found == wanted for found, wanted in pairs) / len(pairs), "exact")


METRICS: Mapping[str, Callable[[Sequence[str], References], Score]] = {
    "span_f1": span_f1,
    "tag_accuracy": tag_accuracy,
    "intent_accuracy": intent_accuracy,
}


def spans(labels: Sequence[str]) -> Iterator[Span]:
    """The spans of a sequence of labels, IOB or IOBES, read as the shared task's script reads them.

    What is wrongly formed is taken for what it most likely means: I-x at the beginning, or behind another kind, begins
    a span.
    """
    first, kind = 0, None  # a kind may have no name: B, I, O
    before = "O"
    for step, label in enumerate([*labels, "O"]):
        place, _, name = label.partition("-")
        if kind is not None and (place in "BSO" or before in "ES" or name != kind):
            yield first, step, kind
            kind = None
        if kind is None and place != "O":
            first, kind = step, name
        before = place


def _pairs(predictions: Sequence[str], references: References) -> Iterator[tuple[str, str]]:
    """Each prediction with its only reference."""
    for prediction, group in zip(predictions, grouped(predictions, references)):
        if len(group) > 1:
            raise DataError(f"{len(group)} references for one input: labels are compared with one")
        yield prediction, group[0]


def _steps(text: str) -> list[str]:
    steps = text.partition("\t")[0]
    return steps.split(" ") if steps else []
