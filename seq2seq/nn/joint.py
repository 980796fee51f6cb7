"""A label for a whole input and one for each of its steps, as one labelling."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from seq2seq.nn.independent import Labelled
from seq2seq.nn.objective import TokenLosses
from seq2seq.types import Padded


class Joint(nn.Module):
    """The first step is the whole input, with labels of its own; the others are its steps, which do not depend on it.

    The labels of the whole have the numbers from 0 on, those of the steps the numbers after them.

    Args:
        whole: From scores to the label of the whole, see ``Independent``.
        steps: From scores to those of the steps, likewise.
    """

    def __init__(self, *, whole: nn.Module, steps: nn.Module) -> None:
        super().__init__()
        first: Any = whole
        rest: Any = steps
        self.whole, self.steps, self.size = first, rest, first.size + rest.size

    def losses(self, scores: Tensor, labels: Padded) -> TokenLosses:
        """Sums over both, given scores ``[B, 1 + T, V]`` and labels ``[B, 1 + T]``; see ``Independent``."""
        first, rest = labels.lengths.clamp(max=1), labels.lengths.clamp(min=1) - 1
        whole = self.whole.losses(self._whole(scores), Padded(labels.values[:, :1], first))
        steps = self.steps.losses(
            self._steps(scores), Padded((labels.values[:, 1:] - self.whole.size).clamp(min=0), rest)
        )
        return TokenLosses(*(one + other for one, other in zip(whole, steps)))

    def best(self, scores: Tensor, lengths: Tensor, n_best: int) -> list[list[Labelled]]:
        """The likeliest pairs of both; see ``Independent``."""
        wholes = self.whole.best(self._whole(scores), lengths.clamp(max=1), n_best)
        steps = self.steps.best(self._steps(scores), lengths.clamp(min=1) - 1, n_best)
        return [self._pairs(*found)[:n_best] for found in zip(wholes, steps)]

    def probs(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """How probable each label is at each step, ``[B, 1 + T, V]``; see ``Independent``."""
        whole = self.whole.probs(self._whole(scores), lengths.clamp(max=1))
        steps = self.steps.probs(self._steps(scores), lengths.clamp(min=1) - 1)
        return beside(whole, steps)

    def _whole(self, scores: Tensor) -> Tensor:
        return scores[:, :1, : self.whole.size]

    def _steps(self, scores: Tensor) -> Tensor:
        return scores[:, 1:, self.whole.size :]

    def _pairs(self, wholes: list[Labelled], steps: list[Labelled]) -> list[Labelled]:
        pairs = [
            Labelled([*one.labels, *(label + self.whole.size for label in other.labels)], one.log_prob + other.log_prob)
            for one in wholes
            for other in steps
        ]
        return sorted(pairs, key=lambda pair: -pair.log_prob)


def beside(whole: Tensor, steps: Tensor) -> Tensor:
    """Values ``[B, 1, V]`` of the whole and ``[B, T, W]`` of its steps in one tensor ``[B, 1 + T, V + W]`` of zeros."""
    return torch.cat([nn.functional.pad(whole, (0, steps.shape[2])), nn.functional.pad(steps, (whole.shape[2], 0))], 1)
