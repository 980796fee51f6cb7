"""Labels that do not depend on each other: a softmax for every step."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from seq2seq.nn.objective import CrossEntropy, TokenLosses
from seq2seq.types import Padded


class Labelled(NamedTuple):
    """The labels of one input."""

    labels: list[int]
    log_prob: float
    """In nats, of all of them together"""


class Independent(nn.Module):
    """The most plain way from scores to labels: each step has a softmax of its own.

    Args:
        size: The number of labels.
        label_smoothing: See ``CrossEntropy``.
    """

    def __init__(self, *, size: int, label_smoothing: float) -> None:
        super().__init__()
        self.size, self.objective = size, CrossEntropy(label_smoothing=label_smoothing)

    def losses(self, scores: Tensor, labels: Padded) -> TokenLosses:
        """Sums over the real steps, given scores ``[B, T, V]`` and labels ``[B, T]``.

        A label of V or more is one that training has not seen: wrong, whatever is predicted, and in no loss.
        """
        known = labels.mask & (labels.values < self.size)
        return self.objective(scores[known], labels.values[known])

    def best(self, scores: Tensor, lengths: Tensor, n_best: int) -> list[list[Labelled]]:
        """The ``n_best`` likeliest labellings of each input, likeliest first; fewer where there are no more.

        Args:
            scores: ``[B, T, V]``.
            lengths: ``[B]``, in steps.
            n_best: How many.
        """
        log_probs = scores.float().log_softmax(-1)
        if n_best == 1:
            values, labels = log_probs.max(-1)
            real = torch.arange(scores.shape[1], device=scores.device) < lengths.unsqueeze(1).to(scores.device)
            sums = values.masked_fill(~real, 0.0).sum(1).tolist()
            rows = zip(labels.tolist(), lengths.tolist(), sums)
            return [[Labelled(row[:length], total)] for row, length, total in rows]
        return [self._several(row[:length].cpu(), n_best) for row, length in zip(log_probs, lengths.tolist())]

    def probs(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """How probable each label is at each step, ``[B, T, V]``."""
        return scores.float().softmax(-1)

    def _several(self, log_probs: Tensor, n_best: int) -> list[Labelled]:
        """Since steps add up, the best of the first steps are all that the best of one step more can begin with."""
        found: list[Labelled] = [Labelled([], 0.0)]
        for step in log_probs:
            totals = torch.tensor([each.log_prob for each in found], dtype=torch.float64).unsqueeze(1) + step
            values, places = totals.flatten().topk(min(n_best, totals.numel()))
            pairs = zip(values.tolist(), (places // len(step)).tolist(), (places % len(step)).tolist())
            found = [Labelled([*found[before].labels, label], value) for value, before, label in pairs]
        return found
