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
    """How many tokens were as probable as the most probable one"""


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
        chosen = log_probs.gather(1, targets.unsqueeze(1)).squeeze(1)
        correct = (chosen == log_probs.amax(1)).sum()
        total = _smoothed(chosen.sum(), log_probs.mean(1).sum(), self.label_smoothing)
        return TokenLosses(total, -chosen.detach().sum(), correct)

    def through(self, output: Any, readouts: Tensor, targets: Tensor, weights: Tensor | None = None) -> TokenLosses:
        """Equals ``forward(output(readouts), targets)`` for readouts ``[n, D]``, in less time and memory.

        The logits never exist all at once, neither they nor their gradient: some rows are projected, their loss and
        its gradient taken, and the logits forgotten. ``weights [n]`` are what each row counts for in the total.
        """
        if type(output) is not nn.Linear and weights is None:  # one that was made faster, and is only used
            return self(output(readouts), targets)
        given = (output.weight, output.bias, readouts, targets, weights)
        return TokenLosses(*_Through.apply(*given, self.label_smoothing, torch.is_grad_enabled()))


class DoublyStochastic(nn.Module):
    """Wants every region to be looked at about once: λ Σ_i (1 - Σ_t α_ti)² (Xu et al. 2015, eq. 14).

    Args:
        weight: λ.
    """

    def __init__(self, *, weight: float) -> None:
        super().__init__()
        if weight < 0:
            raise ConfigError(f"weight={weight}: expected 0 or more, what the penalty of attention counts for")
        self.weight = weight

    def forward(self, attention: Tensor, steps: Tensor, regions: Tensor) -> Tensor:
        """The penalty, summed over targets.

        Args:
            attention: ``[B, T, S]``.
            steps: ``[B, T]``, True where a target is real.
            regions: ``[B, S]``, True where a memory is.
        """
        received = (attention.float() * steps.unsqueeze(2)).sum(1)
        return self.weight * (1 - received).square().masked_fill(~regions, 0.0).sum()


class _Through(torch.autograd.Function):
    """Projection and cross-entropy together. The gradient is computed on the way forward and scaled on the way back."""

    @staticmethod
    def forward(
        ctx: Any,
        weight: Tensor,
        bias: Tensor,
        readouts: Tensor,
        targets: Tensor,
        weights: Tensor | None,
        smoothing: float,
        wanted: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        table, inputs = autocast_to(weight), autocast_to(readouts)
        total, nll, correct = weight.new_zeros(()), weight.new_zeros(()), targets.new_zeros(())
        gradients = [torch.zeros_like(weight), torch.zeros_like(bias), torch.empty_like(readouts)] if wanted else []
        # As large as the table: made once, since fresh memory costs more than adding. A product in the table's own type
        # is added as it is made.
        product = None if table.dtype == weight.dtype else torch.empty_like(table)
        with torch.autocast(weight.device.type, enabled=False):
            for start in range(0, len(targets), ROWS):
                rows = slice(start, start + ROWS)
                chosen = targets[rows, None]
                logits = F.linear(inputs[rows], table, bias.to(table.dtype)).float()
                probs, top = logits.softmax(-1), logits.amax(1)
                # The largest probability is at least 1 / V, so that its logarithm is exact. One exponential of each
                # logit is most of what is not a product here; log_softmax would need a second one for the gradient.
                norms, of_chosen = top - probs.amax(1).log(), logits.gather(1, chosen).squeeze(1)
                log_probs, means = of_chosen - norms, logits.mean(1) - norms
                nll -= log_probs.sum()
                if weights is not None:
                    log_probs, means = log_probs * weights[rows], means * weights[rows]
                total += _smoothed(log_probs.sum(), means.sum(), smoothing)
                correct += (of_chosen == top).sum()
                if wanted:
                    error = probs.sub_(smoothing / len(weight))
                    error.scatter_add_(1, chosen, error.new_full((len(error), 1), smoothing - 1))
                    if weights is not None:
                        error *= weights[rows, None]
                    gradients[1] += error.sum(0)
                    error = error.to(table.dtype)
                    if product is None:
                        gradients[0].addmm_(error.T, inputs[rows])
                    else:
                        gradients[0] += torch.mm(error.T, inputs[rows], out=product)
                    gradients[2][rows] = error @ table
        ctx.save_for_backward(*gradients)
        ctx.mark_non_differentiable(nll, correct)
        return total, nll, correct

    @staticmethod
    def backward(ctx: Any, total: Tensor, *others: Tensor) -> tuple[Tensor | None, ...]:
        return *(gradient * total for gradient in ctx.saved_tensors), None, None, None, None


def _smoothed(log_prob: Tensor, mean_log_prob: Tensor, smoothing: float) -> Tensor:
    """What is minimised, given the log-probability of the targets and the mean of those of all tokens."""
    return -(1 - smoothing) * log_prob - smoothing * mean_log_prob
