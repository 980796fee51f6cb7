"""Attention over a memory: scores, weights, context.

One interface serves a step (Q = 1), a beam (Q = K) and a whole teacher-forced target (Q = T): queries are
``[B, Q, D]``, and the memory keeps its B rows. Keys are projected once for each memory, by ``prepare``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seq2seq.errors import ConfigError
from seq2seq.nn.activations import tanh
from seq2seq.nn.autocast import autocast_to
from seq2seq.nn.products import Product
from seq2seq.types import Memory, State


class Keys(NamedTuple):
    """A memory made ready for queries."""

    keys: Tensor
    """[B, S, …] as the attention that made them needs them"""
    values: Tensor
    """[B, S, D]"""
    mask: Tensor
    """[B, S], True where a position is real"""


class Attention(nn.Module):
    """What every attention has in common. A subclass gives ``scores``, and ``project`` where keys are projected.

    Args:
        query_dim: Features of a query (the decoder's hidden state).
        memory_dim: Features of the memory, and of the context.
    """

    feeds_back = False
    """Whether a step needs the attention of the steps before it"""
    constant = False
    """Whether it gives the same whatever it is asked"""
    beside: tuple[int, ...] = ()
    """Parts of the top cell's state that a query holds after the hidden state, ``query_dim`` features each"""

    def __init__(self, *, query_dim: int, memory_dim: int) -> None:
        super().__init__()
        self.query_dim, self.memory_dim = query_dim, memory_dim
        self.score, self.read = Product(transposed=True), Product(transposed=False)

    def prepare(self, memory: Memory) -> Keys:
        """Projects the keys, once for each memory."""
        values = autocast_to(memory.values)
        return Keys(self.project(values), values, memory.mask)

    def project(self, values: Tensor) -> Tensor:
        """The keys of a memory's values ``[B, S, memory_dim]``."""
        return values

    def start(self, keys: Keys, rows: int) -> State:
        """What the attention remembers from step to step, before the first; ``()`` where it remembers nothing."""
        return ()

    def scores(self, queries: Tensor, keys: Keys, state: State) -> Tensor:
        """``[B, Q, query_dim] -> [B, Q, S]``, before the softmax."""
        raise NotImplementedError

    def forward(self, queries: Tensor, keys: Keys, state: State) -> tuple[Tensor, Tensor, State]:
        """Queries ``[B, Q, query_dim]`` to context ``[B, Q, memory_dim]``, attention ``[B, Q, S]`` and new state."""
        attention = masked_softmax(self.scores(queries, keys, state), keys.mask)
        return self.read(attention.to(keys.values.dtype), keys.values), attention, state


class Dot(Attention):
    """score(q, k) = q · k (Luong et al. 2015, eq. 8), divided by √D where ``scaled`` (Vaswani et al. 2017, eq. 1)."""

    def __init__(self, *, query_dim: int, memory_dim: int, scaled: bool) -> None:
        super().__init__(query_dim=query_dim, memory_dim=memory_dim)
        if query_dim != memory_dim:
            raise ConfigError(
                f"dot attention needs decoder states and memory of one size, not {query_dim} and {memory_dim}: "
                "set the decoder's hidden_dim to the encoder's output, or use general attention"
            )
        self.scale = 1 / math.sqrt(query_dim) if scaled else 1.0

    def scores(self, queries: Tensor, keys: Keys, state: State) -> Tensor:
        return self.score(queries * self.scale, keys.keys)


class General(Attention):
    """score(q, k) = q · W k (Luong et al. 2015, eq. 8)."""

    def __init__(self, *, query_dim: int, memory_dim: int) -> None:
        super().__init__(query_dim=query_dim, memory_dim=memory_dim)
        self.key = nn.Linear(memory_dim, query_dim, bias=False)

    def project(self, values: Tensor) -> Tensor:
        return self.key(values)

    def scores(self, queries: Tensor, keys: Keys, state: State) -> Tensor:
        return self.score(queries.to(keys.keys.dtype), keys.keys)


class Additive(Attention):
    """score(q, k) = v · tanh(W q + U k) (Bahdanau et al. 2015, appendix A.1.2).

    With ``coverage``, a term w·c enters the tanh, c being the attention that the position has received in all earlier
    steps (See et al. 2017, eq. 11), so that the decoder knows what it has already translated.
    """

    def __init__(self, *, query_dim: int, memory_dim: int, attention_dim: int, coverage: bool) -> None:
        super().__init__(query_dim=query_dim, memory_dim=memory_dim)
        self.query = nn.Linear(query_dim, attention_dim, bias=False)
        self.key = nn.Linear(memory_dim, attention_dim)
        self.energy = nn.Linear(attention_dim, 1, bias=False)
        self.coverage = nn.Linear(1, attention_dim, bias=False) if coverage else None
        self.feeds_back = coverage

    def project(self, values: Tensor) -> Tensor:
        return self.key(values)

    def start(self, keys: Keys, rows: int) -> State:
        if self.coverage is None:
            return ()
        return keys.values.new_zeros(rows, keys.values.shape[1], dtype=torch.float32)

    def scores(self, queries: Tensor, keys: Keys, state: State) -> Tensor:
        inside = self.query(queries).unsqueeze(2) + keys.keys.unsqueeze(1)
        if self.coverage is not None:
            inside = inside + self.coverage(state.view(*queries.shape[:2], -1, 1))
        return self.energy(tanh(inside)).squeeze(3)

    def forward(self, queries: Tensor, keys: Keys, state: State) -> tuple[Tensor, Tensor, State]:
        context, attention, state = super().forward(queries, keys, state)
        if self.coverage is not None:
            state = state + attention.reshape(state.shape)
        return context, attention, state


class MultiHead(Attention):
    """Scaled dot attention in several subspaces, joined and projected (Vaswani et al. 2017, section 3.2.2).

    The attention it reports is the mean over heads.
    """

    def __init__(self, *, query_dim: int, memory_dim: int, num_heads: int) -> None:
        super().__init__(query_dim=query_dim, memory_dim=memory_dim)
        if num_heads < 1 or memory_dim % num_heads:
            raise ConfigError(
                f"num_heads={num_heads} does not divide the memory's {memory_dim} features: choose 1 or more that does"
            )
        self.num_heads = num_heads
        self.query = nn.Linear(query_dim, memory_dim, bias=False)
        self.key = nn.Linear(memory_dim, memory_dim, bias=False)
        self.value = nn.Linear(memory_dim, memory_dim, bias=False)
        self.join = nn.Linear(memory_dim, memory_dim, bias=False)

    def prepare(self, memory: Memory) -> Keys:
        return Keys(self.key(memory.values), self.value(memory.values), memory.mask)

    def forward(self, queries: Tensor, keys: Keys, state: State) -> tuple[Tensor, Tensor, State]:
        query, key, value = (self._heads(x) for x in (self.query(queries), keys.keys, keys.values))
        scores = query @ key.transpose(2, 3) / math.sqrt(key.shape[3])
        attention = masked_softmax(scores, keys.mask.unsqueeze(1))
        context = (attention.to(value.dtype) @ value).transpose(1, 2).flatten(2)
        return self.join(context), attention.mean(1), state

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis in fp32; positions where ``mask [B, S]`` (or ``[B, 1, S]``) is False get exactly 0."""
    return scores.float().masked_fill(~mask.unsqueeze(-2), -torch.inf).softmax(-1)
