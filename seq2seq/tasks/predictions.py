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

    def __str__(self) -> str:
        return self.text


class Continuation(Prediction):
    """What may come after a prompt. Printed, it is one line: a newline is written ``\\n``, a backslash ``\\\\``."""

    def __str__(self) -> str:
        return self.text.replace("\\", "\\\\").replace("\n", "\\n")
