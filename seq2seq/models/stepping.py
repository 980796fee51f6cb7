"""What decoders have in common: one private step, used by ``unroll`` for whole targets and by ``step`` in a search."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.errors import ConfigError
from seq2seq.models.recorded import Recorded
from seq2seq.nn.activations import tanh
from seq2seq.nn.attention import Attention, Keys
from seq2seq.nn.bridge import FirstInput
from seq2seq.nn.dropout import check_rates
from seq2seq.nn.embedding import Embedding, init_table
from seq2seq.nn.products import looped
from seq2seq.nn.recurrent import Recurrent, RecurrentState
from seq2seq.types import Memory, Padded, State, select


class Unrolled(NamedTuple):
    """A decoder run over whole targets."""

    outputs: Tensor
    """[B, T, readout_dim], what the logits are computed from"""
    attention: Tensor | None
    """[B, T, S]; None where there is no attention"""


class StepDecoder(nn.Module):
    """A decoder that is told by what it does in one step.

    A subclass gives ``start`` and ``_advance``, and ``_parallel`` where it can do without steps.

    Args:
        embedding: The target embedding.
        recurrent: The stack that reads the words.
        attention: Asked by the stack; None for a decoder that does not attend.
        bridge: From a memory's summary to the first state.
        read_dim: Features of what the readout reads.
        readout_dim: Features of the readout; the output table can only be tied to embeddings of this size.
        dropout: Share of the readout's features dropped.
    """

    input_feed = attends_first = False
    feeds_back = True
    """Whether a step needs results of the one before it beyond the recurrence itself"""

    def __init__(
        self,
        *,
        embedding: Embedding,
        recurrent: Recurrent,
        attention: Attention | None,
        bridge: nn.Module,
        read_dim: int,
        readout_dim: int,
        dropout: float,
    ) -> None:
        super().__init__()
        check_rates(dropout=dropout)
        if recurrent.bidirectional:
            raise ConfigError("a decoder cannot read from both ends, since it writes the other: bidirectional=false")
        if attention is not None and max(attention.beside, default=0) >= recurrent.parts:
            raise ConfigError(
                "adaptive attention needs a cell that makes a sentinel: recurrent.cell={_target_: "
                "seq2seq.nn.cells.SentinelLSTM, _partial_: true}, or choose another attention"
            )
        self.dropout, self.readout_dim = dropout, readout_dim
        self.first_input: FirstInput | None = None
        self.recorded: Recorded | None = None
        """On a GPU, by ``models.recorded.use_graphs``"""
        self.embedding, self.recurrent, self.attention, self.bridge = embedding, recurrent, attention, bridge
        self.readout = nn.Linear(read_dim, readout_dim, bias=False)
        self.output = nn.Linear(readout_dim, embedding.vocab_size)
        init_table(self.output.weight)

    def prepare(self, memory: Memory) -> Keys:
        """Makes a memory ready to be attended to, once."""
        return self.attention.prepare(memory) if self.attention else Keys(memory.values, memory.values, memory.mask)

    def start(self, memory: Memory, keys: Keys) -> State:
        """The state before the first token, one row for each input. Its field ``recurrent`` is the stack's."""
        raise NotImplementedError

    def step(
        self, tokens: Tensor, state: State, keys: Keys, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None, State]:
        """One token for each row ``[N]`` to readouts ``[N, readout_dim]``, attention ``[N, S]`` and the new state.

        ``mask [N, embedding_dim]`` is the embedding's variational dropout, drawn once for all steps of a sequence.
        """
        if self.recorded is not None and not torch.is_grad_enabled():
            return self.recorded.step(tokens, state, keys)
        return self.stepped(tokens, state, keys, mask)

    def stepped(
        self, tokens: Tensor, state: State, keys: Keys, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None, State]:
        """``step``, kernel by kernel."""
        projected = self.recurrent.project(self.embedding(tokens.unsqueeze(1), mask), state.recurrent)
        told, attention, state = self._advance(projected.squeeze(1), state, keys)
        output = self._read(told)
        return output, attention, state._replace(feed=output) if self.input_feed else state

    def unroll(
        self, tgt_in: Padded, memory: Memory, choose: Callable[[Tensor, Tensor], Tensor] | None = None
    ) -> Unrolled:
        """Teacher forcing: targets ``[N, T]`` that begin with bos to the readouts that predict what follows each.

        Each input of the memory has one target, or as many as every other: N = B·K, the K of the first input first.
        Equals looping ``step``. Where nothing feeds back, recurrence, attention and readout run over all steps at once.

        Args:
            tgt_in: The decoder's inputs.
            memory: What the encoder left.
            choose: For scheduled sampling: given the next gold tokens ``[N]`` and the logits ``[N, V]`` of the step
                before them, returns the tokens to feed. None feeds the gold ones.
        """
        if self.recorded is not None and self.feeds_back and choose is None and torch.is_grad_enabled():
            return Unrolled(*self.recorded.unroll(tgt_in, memory))
        keys, state = self.begun(memory, len(tgt_in.values))
        if choose is not None:
            return looped(self)._sampled(tgt_in.values, state, keys, choose)
        embedded = self.embedding(tgt_in.values)
        if not self.feeds_back:
            return self._parallel(Padded(embedded, tgt_in.lengths), state, keys)
        return self.loop(self.recurrent.project(embedded, state.recurrent), state, keys)

    def begun(self, memory: Memory, rows: int) -> tuple[Keys, State]:
        """The keys of a memory, and the state that ``rows`` targets of its inputs begin with."""
        keys = self.prepare(memory)
        state = self.start(memory, keys)
        if rows > len(memory.mask):
            owners = torch.arange(len(memory.mask), device=memory.mask.device)
            state = select(state, owners.repeat_interleave(rows // len(owners)))
        return keys, state

    def loop(self, projected: Tensor, state: State, keys: Keys) -> Unrolled:
        """Step after step over targets that the stack has projected, ``[N, T, gates·H]``."""
        decoder, steps = looped(self), list[tuple[Tensor, Tensor | None]]()
        for each in projected.unbind(1):
            told, attention, state = decoder._advance(each, state, keys)
            if self.input_feed:
                told = decoder._read(told)
                state = state._replace(feed=told)
            steps.append((told, attention))
        unrolled = _stack(steps)
        return unrolled if self.input_feed else unrolled._replace(outputs=self._read(unrolled.outputs))

    def logits(self, outputs: Tensor) -> Tensor:
        """Readouts ``[…, readout_dim]`` to logits ``[…, V]``."""
        return self.output(outputs)

    def _sampled(self, tokens: Tensor, state: State, keys: Keys, choose: Callable) -> Unrolled:
        steps: list[tuple[Tensor, Tensor | None]] = []
        mask = self.embedding.mask(len(tokens))
        for t, gold in enumerate(tokens.unbind(1)):
            fed = gold if t == 0 else choose(gold, self.logits(steps[-1][0].detach()))
            output, attention, state = self.step(fed, state, keys, mask)
            steps.append((output, attention))
        return _stack(steps)

    def _advance(self, projected: Tensor, state: State, keys: Keys) -> tuple[Tensor, Tensor | None, State]:
        """A step, whose token the stack has projected: what the readout reads ``[N, read_dim]``, the attention and the
        new state. With ``input_feed`` the state has a ``feed``, into which the readout is put afterwards."""
        raise NotImplementedError

    def _parallel(self, embedded: Padded, state: State, keys: Keys) -> Unrolled:
        """All steps at once, for decoders that do not feed back."""
        raise NotImplementedError

    def _query(self, top: Tensor, state: RecurrentState) -> Tensor:
        """What the attention is asked with: the stack's output ``[N, H]``, and what else of its state it wants."""
        assert self.attention is not None
        beside = [state.layers[-1][part] for part in self.attention.beside]
        return torch.cat([top, *beside], dim=1) if beside else top

    def _attend(self, query: Tensor, keys: Keys, state: State) -> tuple[Tensor, Tensor, State]:
        """Attends with one query for each row ``[N, H]``; the rows of one input share its row of the memory."""
        assert self.attention is not None
        inputs = len(keys.mask)
        context, attention, state = self.attention(query.view(inputs, -1, query.shape[1]), keys, state)
        return context.flatten(0, 1), attention.flatten(0, 1), state

    def _read(self, told: Tensor) -> Tensor:
        return F.dropout(tanh(self.readout(told)), self.dropout, self.training)


def _stack(steps: list[tuple[Tensor, Tensor | None]]) -> Unrolled:
    outputs, attentions = zip(*steps)
    attention = None if attentions[0] is None else torch.stack(attentions, dim=1)
    return Unrolled(torch.stack(outputs, dim=1), attention)
