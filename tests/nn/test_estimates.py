"""Estimates: losses by hand, intervals that hold what they say, and what moving and joining outputs means."""

from __future__ import annotations

import math

import pytest
import torch

from seq2seq.errors import ConfigError
from seq2seq.nn.estimates import Gaussian, Squared
from seq2seq.types import Padded


def test_squared_errors_by_hand_and_padding_is_in_none() -> None:
    values = torch.tensor([[[1.0], [5.0]], [[2.0], [9.0]]])
    targets = Padded(torch.tensor([[[0.0], [7.0]], [[5.0], [0.0]]]), torch.tensor([2, 1]))
    assert float(Squared(size=1).losses(values, targets)) == 1 + 4 + 9
    assert Squared(size=1).estimate(values).low is None


def test_the_likelihood_is_that_of_a_normal_distribution() -> None:
    torch.manual_seed(0)
    values, truth = torch.randn(3, 4, 4), torch.randn(3, 4, 2)
    lengths = torch.tensor([4, 2, 3])
    mean, log_std = values.chunk(2, -1)
    each = -torch.distributions.Normal(mean, log_std.exp()).log_prob(truth)
    wanted = sum(float(each[row, :length].sum()) for row, length in enumerate(lengths))
    assert float(Gaussian(size=2, interval=0.9).losses(values, Padded(truth, lengths))) == pytest.approx(
        wanted, rel=1e-5
    )


def test_an_interval_holds_the_share_that_it_says() -> None:
    torch.manual_seed(0)
    structure = Gaussian(size=1, interval=0.8)
    values = torch.tensor([3.0, math.log(2.0)])
    mean, low, high = structure.estimate(values)
    drawn = structure.draw(values, torch.randn(20000, 1))
    assert low is not None and high is not None and float(mean) == 3
    assert float(((low <= drawn) & (drawn <= high)).float().mean()) == pytest.approx(0.8, abs=0.01)


def test_moved_outputs_mean_moved_numbers() -> None:
    torch.manual_seed(0)
    values, shift, scale = torch.randn(5, 4), torch.randn(5, 2), torch.rand(5, 2) + 0.5
    for structure in (Gaussian(size=2, interval=0.9), Squared(size=4)):
        if isinstance(structure, Squared):
            shift, scale = torch.randn(5, 4), torch.rand(5, 4) + 0.5
        before, after = structure.estimate(values), structure.estimate(structure.moved(values, shift, scale))
        for one, other in zip(before, after):
            assert one is None or torch.allclose(one * scale + shift, other, atol=1e-5)


def test_joined_outputs_have_the_mean_and_the_variance_of_the_mixture() -> None:
    torch.manual_seed(0)
    structure = Gaussian(size=1, interval=0.9)
    values = torch.tensor([[0.0, math.log(0.5)], [4.0, math.log(1.5)]])
    drawn = structure.draw(values.unsqueeze(1), torch.randn(2, 50000, 1))
    mean, log_std = structure.joined(values)
    assert float(mean) == pytest.approx(float(drawn.mean()), abs=0.02)
    assert float(log_std.exp()) == pytest.approx(float(drawn.std()), abs=0.02)


def test_an_interval_must_be_a_share() -> None:
    with pytest.raises(ConfigError, match="interval=90"):
        Gaussian(size=1, interval=90)
