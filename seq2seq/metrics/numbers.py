"""What predicted numbers are worth. All take arrays of one shape, in the units in which the numbers came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seq2seq.errors import RowError

Tables = Sequence[NDArray[Any]]
"""For each example its numbers [T, features]"""


def squared_error(predictions: Tables, references: Tables) -> float:
    """The mean squared error over all numbers."""
    return float(np.mean(np.square(_differences(predictions, references))))


def absolute_error(predictions: Tables, references: Tables) -> float:
    """The mean absolute error over all numbers."""
    return float(np.mean(np.abs(_differences(predictions, references))))


def scaled_error(predictions: Tables, references: Tables, pasts: Tables, season: int) -> float:
    """The mean absolute scaled error (Hyndman & Koehler 2006): each example's errors are divided by the mean absolute
    difference, in its own past, of numbers a season apart. Under 1 is better than what that forecast does there.

    Args:
        predictions, references: What was foretold, and what came.
        pasts: What was known of each example.
        season: In steps; 1 for data without one.

    Raises:
        RowError: A past is no longer than a season, or repeats itself exactly.
    """
    errors = []
    for row, (predicted, came, past) in enumerate(zip(predictions, references, pasts)):
        if len(past) <= season:
            raise RowError(
                f"no error is scaled by a season of {season} steps in a past of {len(past)}: choose a shorter "
                "season (task.season) or a longer window, or no scaled error (task.season=null)",
                row,
            )
        usual = np.abs(past[season:] - past[:-season]).mean(0)
        if not usual.all():
            raise RowError(
                f"the past repeats itself after {season} step{'s' * (season > 1)}, so that no error can be scaled: "
                "leave such stretches out, or ask for no scaled error (task.season=null)",
                row,
            )
        errors.append(np.abs(predicted - came) / usual)
    return float(np.mean(np.concatenate(errors)))


def seasonal_naive(past: NDArray[Any], season: int, length: int) -> NDArray[Any]:
    """The plainest forecast: the last season of a past of one or more again, as often as ``length`` steps take."""
    return past[len(past) - season + np.arange(length) % season]


def coverage(lows: Tables, highs: Tables, references: Tables) -> float:
    """The share of numbers, in percent, that lie within their intervals."""
    within = [(low <= came) & (came <= high) for low, high, came in zip(lows, highs, references)]
    return 100 * float(np.mean(np.concatenate(within)))


def _differences(predictions: Tables, references: Tables) -> NDArray[Any]:
    return np.concatenate(predictions) - np.concatenate(references)
