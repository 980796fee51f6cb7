"""Lengths by arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from seq2seq.errors import ConfigError
from seq2seq.search.limits import Limits


def test_limits_by_hand() -> None:
    limits = Limits(max_ratio=1.5, max_extra=2, min_ratio=0.5)
    lengths = np.array([0, 1, 2, 5, 10])
    assert limits.maxima(lengths).tolist() == [2, 3, 5, 9, 17]
    assert limits.minima(lengths).tolist() == [1, 1, 1, 3, 5]


def test_rounding_is_not_upset_by_binary_fractions() -> None:
    assert Limits(max_ratio=1.1, max_extra=0).maxima(np.array([10, 30])).tolist() == [11, 33]
    assert Limits(max_ratio=2, max_extra=0, min_ratio=1.1).minima(np.array([10, 30])).tolist() == [11, 33]


def test_the_maximum_is_at_least_one_and_never_below_the_minimum() -> None:
    limits = Limits(max_ratio=0.1, max_extra=0, min_ratio=0.9)
    assert limits.maxima(np.array([1, 20])).tolist() == [1, 2]
    assert limits.minima(np.array([1, 20])).tolist() == [1, 2]


@pytest.mark.parametrize("settings", [
    {"max_ratio": -1.0, "max_extra": 2},
    {"max_ratio": 1.0, "max_extra": -2},
    {"max_ratio": 0.0, "max_extra": 0},
    {"max_ratio": 1.0, "max_extra": 0, "min_ratio": float("nan")},
])  # fmt: skip
def test_limits_that_cannot_work_are_refused(settings) -> None:
    with pytest.raises(ConfigError, match=r"max_ratio|max_extra|min_ratio"):
        Limits(**settings)
