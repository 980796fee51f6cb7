"""The schedules of scheduled sampling by arithmetic (Bengio et al. 2015, section 2.4)."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest

from seq2seq.errors import ConfigError
from seq2seq.tasks.teacher_forcing import Always, Exponential, InverseSigmoid, Linear


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Always(), {0: 1, 10**9: 1}),
        (Linear(floor=0.25, slope=0.001), {0: 1, 100: 0.9, 500: 0.5, 750: 0.25, 10**9: 0.25}),
        (Linear(floor=0, slope=0), {0: 1, 10**9: 1}),
        (Exponential(k=0.99), {0: 1, 1: 0.99, 100: 0.99**100, 10**9: 0}),
        (InverseSigmoid(k=100), {0: 100 / 101, 100: 100 / (100 + math.e), 10**9: 0}),
    ],
)
def test_probabilities(schedule: Callable[[int], float], expected: dict[int, float]) -> None:
    assert {update: schedule(update) for update in expected} == pytest.approx(expected)


def test_the_inverse_sigmoid_reaches_a_half_after_k_ln_k_updates() -> None:
    assert InverseSigmoid(k=1000)(round(1000 * math.log(1000))) == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(Linear, floor=1.5, slope=0), "floor=1.5: expected from 0 to 1"),
        (partial(Linear, floor=0, slope=-1), r"slope=-1: expected 0 or more \(a share per update\)"),
        (partial(Exponential, k=1), "k=1: expected more than 0 and less than 1"),
        (partial(Exponential, k=0), "k=0: expected more than 0 and less than 1"),
        (partial(InverseSigmoid, k=0.5), "k=0.5: expected 1 or more"),
    ],
)
def test_refuses_what_is_no_schedule(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError, match=f"teacher forcing with {message}"):
        make()
