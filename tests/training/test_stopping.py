"""What is best, and when patience ends."""

from __future__ import annotations

import math

import pytest

from seq2seq.errors import ConfigError
from seq2seq.training.stopping import Best


def test_smaller_or_larger_is_better() -> None:
    low, high = Best(metric="x", mode="min", patience=None), Best(metric="x", mode="max", patience=None)
    assert [low.observe({"x": x}) for x in (3.0, 4.0, 2.0, 2.0)] == [True, False, True, False]
    assert [high.observe({"x": x}) for x in (3.0, 4.0, 2.0, 4.0)] == [True, True, False, False]
    assert (low.value, high.value) == (2.0, 4.0)


def test_patience_counts_validations_in_a_row() -> None:
    best = Best(metric="x", mode="min", patience=2)
    seen = []
    for x in (3.0, 4.0, 2.0, 2.0, 5.0):
        best.observe({"x": x})
        seen.append(best.exhausted)
    assert seen == [False, False, False, False, True]


def test_no_patience_never_ends() -> None:
    best = Best(metric="x", mode="min", patience=None)
    for _ in range(100):
        best.observe({"x": 1.0})
    assert not best.exhausted


def test_what_is_no_number_is_no_improvement() -> None:
    best = Best(metric="x", mode="max", patience=1)
    assert not best.observe({"x": math.nan})
    assert best.exhausted


def test_what_was_said_of_another_figure_is_forgotten() -> None:
    old = Best(metric="loss", mode="min", patience=3)
    for loss in (1.0, 2.0):
        old.observe({"loss": loss})
    same, other = Best(metric="loss", mode="min", patience=3), Best(metric="bleu", mode="max", patience=3)
    for best in (same, other):
        best.load_state_dict(old.state_dict())
    assert (same.value, same.waited) == (1.0, 1)
    assert (other.value, other.waited) == (-math.inf, 0)


def test_mistakes() -> None:
    with pytest.raises(ConfigError, match="mode='maximum' for bleu: did you mean 'max'"):
        Best(metric="bleu", mode="maximum", patience=1)
    with pytest.raises(ConfigError, match=r"'blue'.*did you mean 'bleu'"):
        Best(metric="blue", mode="max", patience=1).observe({"bleu": 1.0})
