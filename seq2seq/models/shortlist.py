"""Lexical shortlists: an output layer computed for those target tokens only that a source can be expected to need
(Jean et al. 2015, "On Using Very Large Target Vocabulary for Neural Machine Translation", section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from seq2seq.models.encoder_decoder import DecodingStep
from seq2seq.nn.activations import log_softmax_
from seq2seq.types import Hypothesis, Padded, State

MULTIPLE = 128
"""Kernels are made for each new size of a product when it is first met, so that few sizes shall occur."""


@dataclass(frozen=True)
class Shortlist:
    """For every source, the target tokens that its output may be made of.

    The list of a source is a function of its own tokens. Probabilities are normalised over the list, so that an output
    made of its tokens has a greater log-probability than without one, and than ``score`` prints.
    """

    always: Tensor
    """[A], target tokens of every list; bos and eos are among them"""
    likely: Tensor
    """[source vocabulary, L], target tokens that a source token brings along; where it has fewer than L, some of
    ``always`` stand there too"""
    size: int
    """Of the target vocabulary, V"""

    def to(self, device: torch.device) -> Shortlist:
        """The same lists on a device."""
        return replace(self, always=self.always.to(device), likely=self.likely.to(device))

    def lists(self, src: Padded) -> Tensor:
        """Which target tokens are in the list of each source, ``[B, V]``, bool."""
        brought = self.likely[src.values].masked_fill(~src.mask.unsqueeze(2), int(self.always[0]))
        listed = torch.zeros(len(brought), self.size, dtype=torch.bool, device=brought.device)
        listed[:, self.always] = True
        return listed.scatter_(1, brought.flatten(1), True)

    def bind(self, step: DecodingStep, src: Padded) -> ListedStep:
        """A step that a search can be given instead of a decoder's own, for the sources that it was begun with."""
        listed = self.lists(src)
        tokens = listed.any(0).nonzero().squeeze(1)
        spare = -len(tokens) % MULTIPLE
        tokens = torch.cat([tokens, tokens[-1:].expand(spare)])
        barred = listed.index_select(1, tokens).logical_not()
        barred[:, len(tokens) - spare :] = True
        output = step.decoder.output
        return ListedStep(
            step=step,
            tokens=tokens,
            barred=torch.zeros(barred.shape, device=barred.device).masked_fill_(barred, -torch.inf),
            weight=output.weight.index_select(0, tokens),
            bias=None if output.bias is None else output.bias.index_select(0, tokens),
        )


@dataclass(frozen=True)
class ListedStep:
    """A decoder's step over the U tokens that are in the list of any source of a batch (see ``types.Step``).

    A search sees a vocabulary of U tokens: it is fed, and chooses, their places among them. For each source only
    those of its own list are possible, so that no source depends on its neighbours.
    """

    step: DecodingStep
    tokens: Tensor
    """[U], which they are, rising; the last may be repeated"""
    barred: Tensor
    """[B, U], 0 for a source's own tokens and -inf for others"""
    weight: Tensor
    """[U, readout_dim], their rows of the output layer"""
    bias: Tensor | None
    """[U]"""

    def __call__(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Places ``[N]`` of tokens to log-probabilities ``[N, U]``, normalised over each source's list, and the new
        state."""
        output, state = self.step.advance(self.tokens[tokens], state)
        logits = F.linear(output.to(self.weight.dtype), self.weight, self.bias).float()
        logits.view(len(self.barred), -1, len(self.tokens)).add_(self.barred.unsqueeze(1))
        return log_softmax_(logits), state

    def keep(self, rows: Tensor) -> ListedStep:
        """The same step for some of the inputs."""
        return replace(self, step=self.step.keep(rows), barred=self.barred.index_select(0, rows))

    def coverage(self, state: State) -> Tensor:
        """The attention received so far, ``[N, S]``; 1 at padding."""
        return self.step.coverage(state)

    def place(self, token: int) -> int:
        """Where a token of every list stands among the U."""
        return int(torch.searchsorted(self.tokens, token))

    def named(self, found: list[list[Hypothesis]]) -> list[list[Hypothesis]]:
        """What a search has found, with tokens instead of their places."""
        names = self.tokens.tolist()
        return [[replace(each, tokens=[names[place] for place in each.tokens]) for each in best] for best in found]
