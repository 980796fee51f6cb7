"""Penalties by arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seq2seq.errors import ConfigError
from seq2seq.search.scoring import GNMT, Average, NoLengthPenalty, coverage_score


def test_length_penalties_by_hand() -> None:
    log_probs, lengths = np.array([-6.0, -6.0]), np.array([1, 7])
    assert NoLengthPenalty().score(log_probs, lengths).tolist() == [-6, -6]
    assert Average().score(log_probs, lengths) == pytest.approx([-6, -6 / 7])
    assert GNMT(alpha=1.0).score(log_probs, lengths) == pytest.approx([-6, -3])
    assert GNMT(alpha=0.5).score(log_probs, lengths) == pytest.approx([-6, -6 / 2**0.5])
    assert GNMT(alpha=0.0).score(log_probs, lengths) == pytest.approx([-6, -6])


@pytest.mark.parametrize("penalty", [NoLengthPenalty(), Average(), GNMT(alpha=0.7)])
def test_bound_is_never_below_a_score_that_can_be_reached(penalty) -> None:
    reachable = [penalty.score(np.array(-3.0 - lost), np.array(n)) for lost in (0.0, 0.1, 2.0) for n in range(4, 13)]
    assert penalty.bound(np.array(-3.0), np.array(12)) == max(reachable)


@pytest.mark.parametrize("alpha", [-0.1, float("nan"), float("inf")])
def test_a_length_penalty_that_rewards_short_outputs_is_refused(alpha: float) -> None:
    with pytest.raises(ConfigError, match="alpha of the length penalty"):
        GNMT(alpha=alpha)


def test_coverage_by_hand() -> None:
    """Positions count up to 1, and none is minus infinity: log 0.5 + log 0.25 = log 0.125."""
    coverage = torch.tensor([[0.5, 0.25, 1.7], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    scores = coverage_score(coverage, 0.2)
    assert scores[:2].tolist() == pytest.approx([0.2 * np.log(0.125), 0.0])
    assert -50 < float(scores[2]) < -10
