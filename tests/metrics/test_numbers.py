"""Figures of numbers, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from seq2seq.errors import RowError
from seq2seq.metrics import numbers

PAST = np.array([[1.0], [5.0], [2.0], [6.0], [4.0]])
TOLD, CAME = [np.array([[1.0], [3.0]]), np.array([[2.0]])], [np.array([[2.0], [1.0]]), np.array([[2.0]])]


def test_errors_are_means_over_all_numbers() -> None:
    assert numbers.squared_error(TOLD, CAME) == pytest.approx(5 / 3)
    assert numbers.absolute_error(TOLD, CAME) == 1


def test_errors_are_scaled_by_the_seasonal_differences_of_the_past() -> None:
    usual = (1 + 1 + 2) / 3
    assert numbers.scaled_error(TOLD, CAME, [PAST, PAST], 2) == pytest.approx(1 / usual)
    assert numbers.scaled_error(TOLD, CAME, [PAST, 2 * PAST], 2) == pytest.approx((1 + 2) / usual / 3)


def test_the_naive_forecast_is_the_last_season_again() -> None:
    assert numbers.seasonal_naive(PAST, 2, 5).flatten().tolist() == [6, 4, 6, 4, 6]
    assert numbers.seasonal_naive(PAST, 1, 2).flatten().tolist() == [4, 4]


def test_coverage_is_the_share_within() -> None:
    lows, highs = [np.array([[1.0], [2.0]]), np.array([[2.0]])], [np.array([[3.0], [4.0]]), np.array([[2.0]])]
    assert numbers.coverage(lows, highs, CAME) == pytest.approx(200 / 3)


def test_what_cannot_be_scaled_is_told() -> None:
    with pytest.raises(RowError, match="a season of 5 steps in a past of 5: choose a shorter") as short:
        numbers.scaled_error(TOLD, CAME, [PAST, PAST], 5)
    with pytest.raises(RowError, match=r"the past repeats itself after 2 steps.*task\.season=null") as flat:
        numbers.scaled_error(TOLD, CAME, [PAST, np.ones((4, 1))], 2)
    assert (short.value.row, flat.value.row) == (0, 1)
