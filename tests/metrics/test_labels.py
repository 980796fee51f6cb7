"""Metrics of labels, by cases that are worked by hand."""

from __future__ import annotations

import pytest

from seq2seq.errors import DataError
from seq2seq.metrics.labels import intent_accuracy, span_f1, spans, tag_accuracy


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("O B-a I-a O B-b", [(1, 3, "a"), (4, 5, "b")]),
        ("B-a B-a I-a", [(0, 1, "a"), (1, 3, "a")]),
        ("I-a I-a O I-b", [(0, 2, "a"), (3, 4, "b")]),  # without a beginning
        ("B-a I-b I-b", [(0, 1, "a"), (1, 3, "b")]),  # another kind begins another span
        ("O I-a B-a", [(1, 2, "a"), (2, 3, "a")]),
        ("B-a I-a E-a S-a I-a", [(0, 3, "a"), (3, 4, "a"), (4, 5, "a")]),  # IOBES
        ("B-a-x I-a-x I-a", [(0, 2, "a-x"), (2, 3, "a")]),
        ("O B I O B", [(1, 3, ""), (4, 5, "")]),  # one kind, without a name
        ("O O", []),
        ("", []),
    ],
)
def test_spans_are_read_as_the_shared_task_reads_them(labels: str, expected: list[tuple[int, int, str]]) -> None:
    assert list(spans(labels.split())) == expected


def test_the_f1_of_spans() -> None:
    references = ["O B-a I-a O", "B-b O", "O B-a"]
    predictions = ["O B-a I-a B-a", "B-a O", "O B-a"]
    # Said are 4 and there are 3, of which 2 are right: precision 1/2, recall 2/3, F1 2·2/(4 + 3).
    score = span_f1(predictions, references)
    assert score.value == pytest.approx(100 * 4 / 7)
    assert score.signature == "conlleval|precision:50.00|recall:66.67|spans:3"
    assert span_f1(["B-a O"], ["B-a I-a"]).value == 0, "half a span is none"
    assert span_f1(["O"], ["O"]).value == 0, "as the script has it"
    assert span_f1(["B-a\tx"], ["B-a\ty"]).value == 100


def test_what_stands_behind_the_tab_is_the_label_of_the_whole() -> None:
    assert intent_accuracy(["O\tx", "O\ty", "x#y"], ["B-a\tx", "O\tx#y", "x#y"]).value == pytest.approx(200 / 3)


def test_the_accuracy_of_steps() -> None:
    assert tag_accuracy(["O B-a\tx", "", "O"], ["O I-a\ty", "O O", "O"]).value == pytest.approx(40)
    with pytest.raises(DataError, match="2 references for one input"):
        tag_accuracy(["O"], [["O", "O"]])
