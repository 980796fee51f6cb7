"""Objectives: from logits and what should have been predicted to a sum to minimise."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.errors import ConfigError
from seq2seq.nn.autocast import autocast_to

ROWS = 256
"""Tokens that are projected at once: enough for fast products, few enough for their logits to stay near the cache"""


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
        total, nll = _sums(log_probs, targets, self.label_smoothing)
        correct = (log_probs.detach().argmax(1) == targets).sum()
        return TokenLosses(total, nll.detach(), correct)

    def through(self, output: nn.Linear, readouts: Tensor, targets: Tensor) -> TokenLosses:
        """Equals ``forward(output(readouts), targets)`` for readouts ``[n, D]``, in less time and memory.

        The logits never exist all at once, neither they nor their gradient: some rows are projected, their loss and
        its gradient taken, and the logits forgotten.
        """
        given = (output.weight, output.bias, readouts, targets)
        return TokenLosses(*_Through.apply(*given, self.label_smoothing, torch.is_grad_enabled()))


class _Through(torch.autograd.Function):
    """Projection and cross-entropy together. The gradient is computed on the way forward and scaled on the way back."""

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, bias: Tensor, readouts: Tensor, targets: Tensor, smoothing: float, wanted: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        table, inputs = autocast_to(weight), autocast_to(readouts)
        total, nll, correct = weight.new_zeros(()), weight.new_zeros(()), targets.new_zeros(())
        gradients = [torch.zeros_like(weight), torch.zeros_like(bias), torch.empty_like(readouts)] if wanted else []
        product = torch.empty_like(table)  # as large as the table: made once, since fresh memory costs more than adding
        with torch.autocast(weight.device.type, enabled=False):
            for start in range(0, len(targets), ROWS):
                rows = slice(start, start + ROWS)
                log_probs = F.linear(inputs[rows], table, bias.to(table.dtype)).float().log_softmax(-1)
                sums = _sums(log_probs, targets[rows], smoothing)
                total, nll = total + sums[0], nll + sums[1]
                correct = correct + (log_probs.argmax(1) == targets[rows]).sum()
                if wanted:
                    error = log_probs.exp_().sub_(smoothing / len(weight))
                    error.scatter_add_(1, targets[rows, None], error.new_full((len(error), 1), smoothing - 1))
                    gradients[1] += error.sum(0)
                    error = error.to(table.dtype)
                    gradients[0] += torch.mm(error.T, inputs[rows], out=product)
                    gradients[2][rows] = error @ table
        ctx.save_for_backward(*gradients)
        ctx.mark_non_differentiable(nll, correct)
        return total, nll, correct

    @staticmethod
    def backward(ctx: Any, total: Tensor, *others: Tensor) -> tuple[Tensor | None, ...]:
        return *(gradient * total for gradient in ctx.saved_tensors), None, None, None


def _sums(log_probs: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """What is minimised, and the negative log-likelihood, of log-probabilities ``[n, V]``."""
    nll = -log_probs.gather(1, targets.unsqueeze(1)).sum()
    return ((1 - smoothing) * nll - smoothing * log_probs.mean(1).sum() if smoothing else nll), nll
