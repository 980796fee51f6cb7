"""The attention decoder: one private step, used by ``unroll`` for whole targets and by ``step`` in a search."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.errors import ConfigError, nearest
from seq2seq.nn.attention import Attention, Keys
from seq2seq.nn.dropout import check_rates
from seq2seq.nn.embedding import Embedding, init_table
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


class Unrolled(NamedTuple):
    """A decoder run over whole targets."""

    outputs: Tensor
    """[B, T, readout_dim], what the logits are computed from"""
    attention: Tensor | None
    """[B, T, S]; None where there is no attention"""


class Decoder(nn.Module):
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
    ) -> None:
        super().__init__()
        check_rates(dropout=dropout)
        if order not in ORDERS:
            raise ConfigError(f"order={order!r}: {nearest(order, ORDERS)}")
        self.attends_first = order == "bahdanau"
        if attention is None and self.attends_first:
            raise ConfigError("Bahdanau's order feeds a context to the recurrence, so choose an attention")
        self.input_feed, self.dropout, self.readout_dim = input_feed, dropout, readout_dim
        feedback_dim = readout_dim * input_feed + memory_dim * self.attends_first
        self.embedding = embedding
        self.recurrent = recurrent(input_dim=embedding.embedding_dim, feedback_dim=feedback_dim)
        if self.recurrent.bidirectional:
            raise ConfigError("a decoder cannot read from both ends, since it writes the other: bidirectional=false")
        hidden_dim = self.recurrent.hidden_dim
        self.attention = attention(query_dim=hidden_dim, memory_dim=memory_dim) if attention else None
        self.bridge = bridge(
            summary_dim=summary_dim,
            hidden_dim=hidden_dim,
            num_layers=self.recurrent.num_layers,
            parts=self.recurrent.parts,
        )
        self.readout = nn.Linear(hidden_dim + (memory_dim if self.attention else 0), readout_dim, bias=False)
        self.output = nn.Linear(readout_dim, embedding.vocab_size)
        init_table(self.output.weight)

    @property
    def feeds_back(self) -> bool:
        """Whether a step needs results of the one before it beyond the recurrence itself."""
        return self.input_feed or self.attends_first or (self.attention is not None and self.attention.feeds_back)

    def prepare(self, memory: Memory) -> Keys:
        """Makes a memory ready to be attended to, once."""
        return self.attention.prepare(memory) if self.attention else Keys(memory.values, memory.values, memory.mask)

    def start(self, memory: Memory, keys: Keys) -> DecoderState:
        """The state before the first token, one row for each input."""
        recurrent = self.recurrent.begin(self.bridge(memory.summary))
        top = recurrent.layers[-1][0]
        feed = top.new_zeros(len(top), self.readout_dim) if self.input_feed else ()
        return DecoderState(recurrent, top, feed, self.attention.start(keys, len(top)) if self.attention else ())

    def step(
        self, tokens: Tensor, state: DecoderState, keys: Keys, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None, DecoderState]:
        """One token for each row ``[N]`` to readouts ``[N, readout_dim]``, attention ``[N, S]`` and the new state.

        ``mask [N, embedding_dim]`` is the embedding's variational dropout, drawn once for all steps of a sequence.
        """
        projected = self.recurrent.project(self.embedding(tokens.unsqueeze(1), mask), state.recurrent)
        return self._advance(projected.squeeze(1), state, keys)

    def unroll(
        self, tgt_in: Padded, memory: Memory, choose: Callable[[Tensor, Tensor], Tensor] | None = None
    ) -> Unrolled:
        """Teacher forcing: targets ``[B, T]`` that begin with bos to the readouts that predict what follows each.

        Equals looping ``step``. Where nothing feeds back, recurrence, attention and readout run over all steps at once.

        Args:
            tgt_in: The decoder's inputs.
            memory: What the encoder left.
            choose: For scheduled sampling: given the next gold tokens ``[B]`` and the logits ``[B, V]`` of the step
                before them, returns the tokens to feed. None feeds the gold ones.
        """
        keys = self.prepare(memory)
        state = self.start(memory, keys)
        if choose is not None:
            return self._sampled(tgt_in.values, state, keys, choose)
        embedded = self.embedding(tgt_in.values)
        if not self.feeds_back:
            return self._parallel(Padded(embedded, tgt_in.lengths), state, keys)
        steps: list[tuple[Tensor, Tensor | None]] = []
        for projected in self.recurrent.project(embedded, state.recurrent).unbind(1):
            output, attention, state = self._advance(projected, state, keys)
            steps.append((output, attention))
        return _stack(steps)

    def logits(self, outputs: Tensor) -> Tensor:
        """Readouts ``[…, readout_dim]`` to logits ``[…, V]``."""
        return self.output(outputs)

    def _sampled(self, tokens: Tensor, state: DecoderState, keys: Keys, choose: Callable) -> Unrolled:
        steps: list[tuple[Tensor, Tensor | None]] = []
        mask = self.embedding.mask(len(tokens))
        for t, gold in enumerate(tokens.unbind(1)):
            fed = gold if t == 0 else choose(gold, self.logits(steps[-1][0].detach()))
            output, attention, state = self.step(fed, state, keys, mask)
            steps.append((output, attention))
        return _stack(steps)

    def _parallel(self, embedded: Padded, state: DecoderState, keys: Keys) -> Unrolled:
        hidden, _ = self.recurrent.unroll(embedded, state.recurrent)
        if self.attention is None:
            return Unrolled(self._read(hidden, None), None)
        context, attention, _ = self.attention(hidden, keys, state.attention)
        return Unrolled(self._read(hidden, context), attention)

    def _advance(
        self, projected: Tensor, state: DecoderState, keys: Keys
    ) -> tuple[Tensor, Tensor | None, DecoderState]:
        context = attention = None
        remembered = state.attention
        feedback = [state.feed] if self.input_feed else []
        if self.attends_first:
            context, attention, remembered = self._attend(state.top, keys, remembered)
            feedback.append(context)
        fed = torch.cat(feedback, dim=1) if len(feedback) > 1 else feedback[0] if feedback else None
        top, recurrent = self.recurrent.step(projected, state.recurrent, fed)
        if self.attention is not None and not self.attends_first:
            context, attention, remembered = self._attend(top, keys, remembered)
        output = self._read(top, context)
        return output, attention, DecoderState(recurrent, top, output if self.input_feed else (), remembered)

    def _attend(self, query: Tensor, keys: Keys, state: State) -> tuple[Tensor, Tensor, State]:
        """Attends with one query for each row ``[N, H]``; the rows of one input share its row of the memory."""
        assert self.attention is not None
        inputs = len(keys.mask)
        context, attention, state = self.attention(query.view(inputs, -1, query.shape[1]), keys, state)
        return context.flatten(0, 1), attention.flatten(0, 1), state

    def _read(self, hidden: Tensor, context: Tensor | None) -> Tensor:
        joined = hidden if context is None else torch.cat([hidden, context.to(hidden.dtype)], dim=-1)
        return F.dropout(torch.tanh(self.readout(joined)), self.dropout, self.training)


def _stack(steps: list[tuple[Tensor, Tensor | None]]) -> Unrolled:
    outputs, attentions = zip(*steps)
    attention = None if attentions[0] is None else torch.stack(attentions, dim=1)
    return Unrolled(torch.stack(outputs, dim=1), attention)
