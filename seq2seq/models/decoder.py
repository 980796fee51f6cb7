"""The attention decoder: a recurrence, and attention before or after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seq2seq.errors import ConfigError, nearest
from seq2seq.models.stepping import StepDecoder, Unrolled
from seq2seq.nn.attention import Attention, Keys
from seq2seq.nn.bridge import FirstInput
from seq2seq.nn.embedding import Embedding
from seq2seq.nn.recurrent import Recurrent, RecurrentState
from seq2seq.types import Memory, Padded, State

ORDERS = ("luong", "bahdanau")


class DecoderState(NamedTuple):
    """What a decoder carries from step to step, N rows in every tensor."""

    recurrent: RecurrentState
    top: Tensor
    """[N, H], the last output of the recurrent stack: Bahdanau's query"""
    feed: State
    """[N, readout_dim], the last readout, where it is fed back; else ``()``"""
    attention: State
    """What the attention remembers; ``()`` for most"""


class Decoder(StepDecoder):
    """A recurrent decoder that attends to a memory.

    In Luong's order (Luong et al. 2015, section 3) a step runs the recurrence first and attends with its new state; in
    Bahdanau's (Bahdanau et al. 2015, section 3.1) it attends with the old state and feeds the context to the
    recurrence. In both the readout is tanh(W [hidden; context]) (Luong's eq. 5), and the logits are
    a linear map of it.

    Args:
        embedding: The target embedding.
        recurrent: Makes the stack, given ``input_dim`` and ``feedback_dim``.
        attention: Makes the attention, given ``query_dim`` and ``memory_dim``; None for a decoder that sees no more
            of the input than the state that the bridge starts it from.
        bridge: Makes the bridge, given ``summary_dim``, ``hidden_dim``, ``num_layers`` and ``parts``.
        readout_dim: Features of the readout; the output table can only be tied to embeddings of this size.
        order: ``luong`` or ``bahdanau``.
        input_feed: Feeds the readout of each step to the next (Luong et al. 2015, section 3.3).
        dropout: Share of the readout's features dropped.
        memory_dim: Features of the memory.
        summary_dim: Features of the memory's summary.
        first_input: Makes what is fed before bos, given ``summary_dim`` and ``embedding_dim``; None for nothing.
    """

    def __init__(
        self,
        *,
        embedding: Embedding,
        recurrent: Callable[..., Recurrent],
        attention: Callable[..., Attention] | None,
        bridge: Callable[..., nn.Module],
        readout_dim: int,
        order: str,
        input_feed: bool,
        dropout: float,
        memory_dim: int,
        summary_dim: int,
        first_input: Callable[..., FirstInput] | None = None,
    ) -> None:
        if order not in ORDERS:
            raise ConfigError(f"order={order!r}: {nearest(order, ORDERS)}")
        attends_first = order == "bahdanau"
        if attention is None and attends_first:
            raise ConfigError("Bahdanau's order feeds a context to the recurrence, so choose an attention")
        feedback_dim = readout_dim * input_feed + memory_dim * attends_first
        stack = recurrent(input_dim=embedding.embedding_dim, feedback_dim=feedback_dim)
        hidden_dim = stack.hidden_dim
        super().__init__(
            embedding=embedding,
            recurrent=stack,
            attention=attention(query_dim=hidden_dim, memory_dim=memory_dim) if attention else None,
            bridge=bridge(
                summary_dim=summary_dim, hidden_dim=hidden_dim, num_layers=stack.num_layers, parts=stack.parts
            ),
            read_dim=hidden_dim + (memory_dim if attention else 0),
            readout_dim=readout_dim,
            dropout=dropout,
        )
        self.input_feed, self.attends_first = input_feed, attends_first
        if first_input is not None:
            self.first_input = first_input(summary_dim=summary_dim, embedding_dim=embedding.embedding_dim)

    @property
    def feeds_back(self) -> bool:  # type: ignore[override]
        """Whether a step needs more of the one before it, or of its own recurrence, than the outputs of that."""
        if self.attention is None:
            return self.input_feed
        asks_first = self.attends_first and not self.attention.constant
        return self.input_feed or asks_first or self.attention.feeds_back or bool(self.attention.beside)

    def start(self, memory: Memory, keys: Keys) -> DecoderState:
        """The state before the first token, one row for each input."""
        recurrent = self.recurrent.begin(self.bridge(memory.summary))
        if self.first_input is not None:
            projected = self.recurrent.project(self.first_input(memory.summary).unsqueeze(1), recurrent)
            _, recurrent = self.recurrent.step(projected.squeeze(1), recurrent)
        top = recurrent.layers[-1][0]
        feed = top.new_zeros(len(top), self.readout_dim) if self.input_feed else ()
        return DecoderState(recurrent, top, feed, self.attention.start(keys, len(top)) if self.attention else ())

    def _parallel(self, embedded: Padded, state: DecoderState, keys: Keys) -> Unrolled:
        if self.attends_first:  # to what is the same at each step
            context, attention, _ = self._attend(self._query(state.top, state.recurrent), keys, state.attention)
            hidden, _ = self.recurrent.unroll(embedded, state.recurrent, context)
            context, attention = (each.unsqueeze(1).expand(-1, hidden.shape[1], -1) for each in (context, attention))
            return Unrolled(self._read(_joined(hidden, context)), attention)
        hidden, _ = self.recurrent.unroll(embedded, state.recurrent)
        if self.attention is None:
            return Unrolled(self._read(hidden), None)
        queries = hidden.reshape(len(keys.mask), -1, hidden.shape[2])  # those of one input side by side
        context, attention, _ = self.attention(queries, keys, state.attention)
        shape = hidden.shape[:2]
        told = _joined(hidden, context.reshape(*shape, -1))
        return Unrolled(self._read(told), attention.reshape(*shape, -1))

    def _advance(
        self, projected: Tensor, state: DecoderState, keys: Keys
    ) -> tuple[Tensor, Tensor | None, DecoderState]:
        context = attention = None
        remembered = state.attention
        feedback = [state.feed] if self.input_feed else []
        if self.attends_first:
            context, attention, remembered = self._attend(self._query(state.top, state.recurrent), keys, remembered)
            feedback.append(context)
        fed = torch.cat(feedback, dim=1) if len(feedback) > 1 else feedback[0] if feedback else None
        top, recurrent = self.recurrent.step(projected, state.recurrent, fed)
        if self.attention is not None and not self.attends_first:
            context, attention, remembered = self._attend(self._query(top, recurrent), keys, remembered)
        told = top if context is None else _joined(top, context)
        return told, attention, DecoderState(recurrent, top, (), remembered)


def _joined(hidden: Tensor, context: Tensor) -> Tensor:
    return torch.cat([hidden, context.to(hidden.dtype)], dim=-1)
