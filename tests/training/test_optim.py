"""Schedules by hand arithmetic, and the moving average."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from seq2seq.errors import ConfigError
from seq2seq.training.optim import Constant, Cosine, InverseSqrt, MovingAverage, Plateau, Schedule, StepDecay


def plateau(**changes: object) -> Plateau:
    settings = {"warmup": 0, "metric": "loss", "mode": "min", "factor": 0.5, "patience": 2, "floor": 0.2, **changes}
    return Plateau(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        (Constant(warmup=0), {1: 1.0, 1000: 1.0}),
        (Constant(warmup=4), {1: 0.25, 2: 0.5, 3: 0.75, 4: 1.0, 5: 1.0}),
        (InverseSqrt(warmup=4), {1: 0.25, 3: 0.75, 4: 1.0, 16: 0.5, 100: 0.2}),
        (InverseSqrt(warmup=0), {1: 1.0, 4: 0.5}),
        (Cosine(warmup=0, total=10, floor=0.0), {5: 0.5, 10: 0.0, 11: 0.0}),
        # From 1 at the warm-up's end to 0.1 at the end; at a third of the way the cosine is a half.
        (Cosine(warmup=4, total=10, floor=0.1), {2: 0.5, 4: 1.0, 6: 0.1 + 0.9 * 0.75, 7: 0.55, 10: 0.1, 99: 0.1}),
        (StepDecay(warmup=2, start=10, every=5, factor=0.5), {1: 0.5, 9: 1.0, 10: 0.5, 14: 0.5, 15: 0.25, 20: 0.125}),
    ],
)
def test_factors(schedule: Schedule, factors: dict[int, float]) -> None:
    assert {update: schedule(update) for update in factors} == pytest.approx(factors)


def test_a_validation_means_nothing_to_most_schedules() -> None:
    schedule = InverseSqrt(warmup=4)
    schedule.observe({"anything": 1.0})
    assert schedule(16) == 0.5
    assert schedule.state_dict() == {}


def test_plateau_falls_when_nothing_has_improved_for_its_patience_and_waits_anew() -> None:
    schedule, factors = plateau(), []
    for loss in (5.0, 4.0, 4.0, 4.5, 4.1, 3.0, 3.0, 3.0, 3.0, 3.0):
        schedule.observe({"loss": loss})
        factors.append(schedule(100))
    # The fourth is the second without improvement; 3.0 improves once more; two and four later it falls, to the floor.
    assert factors == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2]


def test_plateau_on_a_figure_that_should_grow() -> None:
    schedule = plateau(metric="bleu", mode="max", patience=1)
    for bleu in (10.0, 20.0, 19.0):
        schedule.observe({"bleu": bleu, "loss": 1.0})
    assert schedule(1) == 0.5


def test_plateau_warms_up_all_the_same() -> None:
    schedule = plateau(warmup=10, patience=1)
    for _ in range(2):
        schedule.observe({"loss": 1.0})
    assert (schedule(5), schedule(10)) == (0.5, 0.5)


def test_plateau_remembers() -> None:
    one, other = plateau(), plateau()
    for loss in (5.0, 6.0, 6.0, 6.0):
        one.observe({"loss": loss})
    other.load_state_dict(one.state_dict())
    for schedule in (one, other):
        schedule.observe({"loss": 6.0})
    assert one(1) == other(1) == 0.25
    assert one.state_dict() == other.state_dict()


def test_plateau_names_the_nearest_figure() -> None:
    with pytest.raises(ConfigError, match=r"'perplexty'.*did you mean 'perplexity'"):
        plateau(metric="perplexty").observe({"loss": 1.0, "perplexity": 2.0})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(warmup=-1), "warmup=-1"),
        (lambda: Cosine(warmup=5, total=5, floor=0.0), "total=5.*warmup=5"),
        (lambda: StepDecay(warmup=0, start=1, every=0, factor=0.5), "every=0"),
        (lambda: plateau(mode="minimum"), "did you mean 'min'"),
    ],
)
def test_mistakes(make: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()  # type: ignore[operator]


def test_the_average_by_hand() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    average = MovingAverage(model, decay=0.2)
    expected = 1.0
    for update, value in enumerate((2.0, 4.0, 8.0), start=1):
        nn.init.constant_(model.weight, value)
        average.update()
        decay = min(0.2, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * value
    assert decay == 0.2
    with average.applied():
        assert model.weight.item() == pytest.approx(expected)
    assert model.weight.item() == 8.0


def test_what_does_not_learn_is_its_own_average() -> None:
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    average = MovingAverage(model, decay=0.5)
    nn.init.constant_(model.weight, 3.0)
    average.update()
    assert torch.equal(average.weights["bias"], model.bias)
    model.bias.requires_grad_(True)
    nn.init.constant_(model.bias, 3.0)
    average.update()
    assert not torch.equal(average.weights["bias"], model.bias) and average.weights["bias"].mean() > 1


def test_applying_the_average_gives_the_very_weights_back_even_after_an_error() -> None:
    model = nn.Linear(3, 3)
    average = MovingAverage(model, decay=0.5)
    model.weight.data.add_(math.pi)
    before = model.weight.detach().clone()
    average.update()
    with pytest.raises(RuntimeError), average.applied():
        assert not torch.equal(model.weight, before)
        raise RuntimeError
    assert torch.equal(model.weight, before)
