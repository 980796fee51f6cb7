"""Predictions: what a task says of one input, as the world reads it."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Prediction:
    """One output. Printed, it is its text."""

    text: str
    pieces: list[str]
    """The tokens' spelling, eos included; or the labels"""
    log_prob: float
    """In nats, eos included"""
    score: float
    """What it was ranked by"""
    attention: Tensor | None = None
    """[len(pieces), S] over the memory's positions; None unless it was asked for and there is one"""
    probs: list[float] | None = field(default=None)
    """How probable each piece is, whatever the others are; None where that is not computed"""
    marks: list[str] | None = field(default=None)
    """The label of each piece of the input; None where they have none"""

    def __str__(self) -> str:
        return self.text
