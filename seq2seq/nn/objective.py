"""Objectives: from logits and what should have been predicted to a sum to minimise."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from seq2seq.errors import ConfigError


class TokenLosses(NamedTuple):
    """Sums over the given tokens."""

    total: Tensor
    """What is minimised"""
    nll: Tensor
    """Negative log-likelihood in nats, without smoothing"""
    correct: Tensor
    """How many tokens were the most probable ones"""


class CrossEntropy(nn.Module):
    """Cross-entropy with label smoothing (Szegedy et al. 2016, section 7).

    Args:
        label_smoothing: Share ε of the target's probability that is spread evenly over the whole vocabulary.
    """

    def __init__(self, *, label_smoothing: float) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ConfigError(f"label_smoothing={label_smoothing}: expected 0 or more, and less than 1")
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, targets: Tensor) -> TokenLosses:
        """Logits ``[n, V]`` of real tokens alone and their targets ``[n]``; the softmax is computed in fp32."""
        log_probs = logits.float().log_softmax(-1)
        nll = -log_probs.gather(1, targets.unsqueeze(1)).sum()
        total = nll
        if self.label_smoothing:
            total = (1 - self.label_smoothing) * nll - self.label_smoothing * log_probs.mean(1).sum()
        correct = (log_probs.detach().argmax(1) == targets).sum()
        return TokenLosses(total, nll.detach(), correct)
