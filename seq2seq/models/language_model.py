"""The language model: a decoder without a memory, which goes on with a text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.errors import ConfigError, nearest
from seq2seq.nn.cells import CellState
from seq2seq.nn.dropout import check_rates
from seq2seq.nn.embedding import Embedding, init_table
from seq2seq.nn.recurrent import Recurrent
from seq2seq.types import Padded, State

TYINGS = ("none", "decoder")
Layers = tuple[CellState, ...]
"""The state of each layer"""


class WritingState(NamedTuple):
    """What is carried from step to step while a text is gone on with, N rows in every tensor."""

    layers: Layers
    ahead: State
    """[N, H], before the first step: what the prompt's last token has made already; ``()`` afterwards"""


class LanguageModel(nn.Module):
    """Maps a text to a distribution over what follows each of its tokens.

    Args:
        embedding: Of the tokens.
        recurrent: Makes the stack, given ``input_dim``.
        dropout: Share of the stack's output features dropped.
        tying: ``decoder`` shares one table between embedding and output layer, ``none`` has two.
    """

    def __init__(
        self, *, embedding: Embedding, recurrent: Callable[..., Recurrent], dropout: float, tying: str
    ) -> None:
        super().__init__()
        check_rates(dropout=dropout)
        self.embedding, self.dropout = embedding, dropout
        self.recurrent = recurrent(input_dim=embedding.embedding_dim)
        if self.recurrent.bidirectional:
            raise ConfigError("a language model cannot read from both ends, since it writes the other: one direction")
        self.output = nn.Linear(self.recurrent.output_dim, embedding.vocab_size)
        if tying not in TYINGS:
            raise ConfigError(f"tying={tying!r}: {nearest(tying, TYINGS)}")
        if tying == "none":
            init_table(self.output.weight)
        elif self.output.weight.shape != embedding.weight.shape:
            raise ConfigError(
                f"tying=decoder shares one table between embedding and output layer, but their features differ: "
                f"embedding_dim={embedding.embedding_dim}, hidden_dim={self.recurrent.output_dim}; make them equal"
            )
        else:
            self.output.weight = embedding.weight

    def unroll(self, tokens: Padded, state: Layers | None = None) -> tuple[Tensor, Layers]:
        """Tokens ``[B, T]`` to what the logits of those that follow are computed from, ``[B, T, H]``.

        Args:
            tokens: What is read.
            state: After the tokens before them; None where there are none.

        Returns:
            The readouts, and the state after each row's own last token.
        """
        begun = None if state is None else self.recurrent.begin(state)
        outputs, layers = self.recurrent.unroll(Padded(self.embedding(tokens.values), tokens.lengths), begun)
        return F.dropout(outputs, self.dropout, self.training), layers

    def logits(self, outputs: Tensor) -> Tensor:
        """Readouts ``[…, H]`` to logits ``[…, V]``."""
        return self.output(outputs)

    def begin(self, prompt: Padded) -> tuple[WritingStep, WritingState]:
        """Reads a prompt of one token or more for a search: the step to call, and the state to begin with.

        A search feeds one and the same token to all rows first. It is passed over, since every prompt has been read to
        its own last token.
        """
        outputs, layers = self.unroll(prompt)
        ends = prompt.lengths.to(outputs.device) - 1
        return WritingStep(self), WritingState(layers, outputs[torch.arange(len(ends), device=ends.device), ends])


@dataclass(frozen=True)
class WritingStep:
    """A language model as a search sees it (see ``types.Step``).

    Args:
        model: Whose.
        ends: [V], True for tokens that end the text as eos does; None for no others.
        eos_id: Which token is chosen in their place.
    """

    model: LanguageModel
    ends: Tensor | None = None
    eos_id: int = 0

    def __call__(self, tokens: Tensor, state: WritingState) -> tuple[Tensor, WritingState]:
        """Tokens ``[N]`` to log-probabilities ``[N, V]`` and the new state."""
        output, layers = state.ahead, state.layers
        if not isinstance(output, Tensor):
            model = self.model
            begun = model.recurrent.begin(layers)
            projected = model.recurrent.project(model.embedding(tokens.unsqueeze(1)), begun)
            output, (layers, _) = model.recurrent.step(projected.squeeze(1), begun)
        log_probs = self.model.logits(output).float().log_softmax(-1)
        if self.ends is not None:
            ending = log_probs[:, self.ends].logsumexp(1).logaddexp(log_probs[:, self.eos_id])
            log_probs = log_probs.masked_fill(self.ends, -torch.inf)
            log_probs[:, self.eos_id] = ending
        return log_probs, WritingState(layers, ())

    def until(self, ends: Tensor, eos_id: int) -> WritingStep:
        """The same step for texts that other tokens end too."""
        return replace(self, ends=ends, eos_id=eos_id)

    def keep(self, rows: Tensor) -> WritingStep:
        """The same step: it is bound to no input."""
        return self

    def coverage(self, state: WritingState) -> Tensor:
        """There is no attention."""
        raise ValueError("a language model attends to nothing, and has no coverage")
