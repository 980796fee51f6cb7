"""The two recurrences of Anderson et al. 2018, "Bottom-Up and Top-Down Attention": one attends, one writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seq2seq.models.stepping import StepDecoder
from seq2seq.nn.attention import Attention, Keys
from seq2seq.nn.embedding import Embedding
from seq2seq.nn.recurrent import Recurrent, RecurrentState
from seq2seq.types import Memory, State


class UpDownState(NamedTuple):
    """What the decoder carries from step to step, N rows in every tensor."""

    recurrent: RecurrentState
    """Of the stack that attends"""
    language: RecurrentState
    """Of the stack that writes"""
    top: Tensor
    """[N, H], the last output of the stack that writes"""
    summary: Tensor
    """[N, summary_dim], the same at every step"""
    attention: State
    """What the attention remembers; ``()`` for most"""


class UpDown(StepDecoder):
    """A decoder of two stacks (Anderson et al. 2018, section 3.2).

    The first reads [h² of the step before; the summary; the word] (eq. 2) and its output h¹ asks the attention (eq. 3
    and 4); the second reads [the attended; h¹] (eq. 6). For a picture the summary is the mean of its regions. Where the
    paper's logits are a linear map of h² (eq. 7), the readout tanh(W h²) stands between, as in every decoder here.

    Args:
        embedding: The target embedding.
        recurrent: Makes a stack, given ``input_dim``, ``hidden_dim`` and ``feedback_dim``; called for each of the two.
        attention: Makes the attention, given ``query_dim`` and ``memory_dim``.
        bridge: Makes the bridge, given ``summary_dim``, ``hidden_dim``, ``num_layers`` (of both stacks together, those
            of the first before those of the second) and ``parts``.
        hidden_dim: Features of the hidden states of both.
        readout_dim: Features of the readout; the output table can only be tied to embeddings of this size.
        dropout: Share of the readout's features dropped.
        memory_dim: Features of the memory.
        summary_dim: Features of the memory's summary.
    """

    def __init__(
        self,
        *,
        embedding: Embedding,
        recurrent: Callable[..., Recurrent],
        attention: Callable[..., Attention],
        bridge: Callable[..., nn.Module],
        hidden_dim: int,
        readout_dim: int,
        dropout: float,
        memory_dim: int,
        summary_dim: int,
    ) -> None:
        attending = recurrent(
            input_dim=embedding.embedding_dim, hidden_dim=hidden_dim, feedback_dim=hidden_dim + summary_dim
        )
        language = recurrent(input_dim=memory_dim + hidden_dim, hidden_dim=hidden_dim)
        super().__init__(
            embedding=embedding,
            recurrent=attending,
            attention=attention(query_dim=hidden_dim, memory_dim=memory_dim),
            bridge=bridge(
                summary_dim=summary_dim,
                hidden_dim=hidden_dim,
                num_layers=attending.num_layers + language.num_layers,
                parts=attending.parts,
            ),
            read_dim=hidden_dim,
            readout_dim=readout_dim,
            dropout=dropout,
        )
        self.language = language

    def start(self, memory: Memory, keys: Keys) -> UpDownState:
        """The state before the first token, one row for each input."""
        assert self.attention is not None
        layers = self.bridge(memory.summary)
        below = self.recurrent.num_layers
        recurrent, language = self.recurrent.begin(layers[:below]), self.language.begin(layers[below:])
        top = language.layers[-1][0]
        return UpDownState(recurrent, language, top, memory.summary[-1][0], self.attention.start(keys, len(top)))

    def _advance(self, projected: Tensor, state: UpDownState, keys: Keys) -> tuple[Tensor, Tensor, UpDownState]:
        fed = torch.cat([state.top, state.summary.to(state.top.dtype)], dim=1)
        hidden, recurrent = self.recurrent.step(projected, state.recurrent, fed)
        context, attention, remembered = self._attend(self._query(hidden, recurrent), keys, state.attention)
        told = torch.cat([context.to(hidden.dtype), hidden], dim=1).unsqueeze(1)
        top, language = self.language.step(self.language.project(told, state.language).squeeze(1), state.language)
        new = UpDownState(recurrent, language, top, state.summary, remembered)
        return top, attention, new
