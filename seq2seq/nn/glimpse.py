"""Attention as captioning has it: to all regions alike, gated, or with a sentinel beside the regions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from seq2seq.errors import ConfigError
from seq2seq.nn.activations import tanh
from seq2seq.nn.attention import Attention, Keys, masked_softmax
from seq2seq.types import Memory, State


class Mean(Attention):
    """The mean of the memory at every step, whatever is asked.

    In Bahdanau's order it is an input of the recurrence beside every word (Donahue et al. 2015, section 4.1, the
    unfactored variant); in Luong's it meets the recurrence's output in the readout, as in the multimodal layer
    of Mao et al. 2015, eq. 2.
    """

    constant = True

    def prepare(self, memory: Memory) -> Keys:
        """Takes the mean, once for each memory: the keys are it, ``[B, 1, memory_dim]``."""
        shares = _shares(memory.mask).to(memory.values.dtype)
        return Keys(torch.bmm(shares, memory.values), memory.values, memory.mask)

    def forward(self, queries: Tensor, keys: Keys, state: State) -> tuple[Tensor, Tensor, State]:
        """Queries ``[B, Q, query_dim]`` to context ``[B, Q, memory_dim]``, attention ``[B, Q, S]`` and the state."""
        asked = queries.shape[1]
        return keys.keys.expand(-1, asked, -1), _shares(keys.mask).expand(-1, asked, -1), state


class Gated(Attention):
    """Another attention, whose context is multiplied by β = σ(w · q + b) (Xu et al. 2015, section 4.2.1): how much of
    the picture a step lets in. The attention that it reports is that of the other, ungated.

    Args:
        query_dim: Features of a query (the decoder's hidden state).
        memory_dim: Features of the memory, and of the context.
        attention: Makes the other attention, given these two.
    """

    def __init__(self, *, query_dim: int, memory_dim: int, attention: Callable[..., Attention]) -> None:
        super().__init__(query_dim=query_dim, memory_dim=memory_dim)
        self.attention = attention(query_dim=query_dim, memory_dim=memory_dim)
        self.gate = nn.Linear(query_dim, 1)
        self.feeds_back, self.beside = self.attention.feeds_back, self.attention.beside

    def prepare(self, memory: Memory) -> Keys:
        """As the other attention does."""
        return self.attention.prepare(memory)

    def start(self, keys: Keys, rows: int) -> State:
        """What the other attention remembers."""
        return self.attention.start(keys, rows)

    def forward(self, queries: Tensor, keys: Keys, state: State) -> tuple[Tensor, Tensor, State]:
        """Queries ``[B, Q, query_dim]`` to context ``[B, Q, memory_dim]``, attention ``[B, Q, S]`` and new state."""
        context, attention, state = self.attention(queries, keys, state)
        return context * torch.sigmoid(self.gate(queries[..., : self.query_dim])), attention, state


class Adaptive(Attention):
    """Additive attention to the memory and to a sentinel, which stands for what the decoder knows without looking
    (Lu et al. 2017, eq. 6 to 13; the sentinel itself is made by ``SentinelLSTM``).

    With the hidden state h and the sentinel s, the weights are softmax([v · tanh(U k_i + W h) …, v · tanh(W_s s +
    W h)]), and the context is Σ α_i k_i + β s, β being the sentinel's weight. Luong's order is the paper's. The
    attention that it reports is that of the memory alone, which sums to 1 - β.

    Args:
        query_dim: Features of the hidden state and of the sentinel, which follows it in a query.
        memory_dim: Features of the memory, and of the context.
        attention_dim: Features inside the tanh.
    """

    beside = (2,)

    def __init__(self, *, query_dim: int, memory_dim: int, attention_dim: int) -> None:
        super().__init__(query_dim=query_dim, memory_dim=memory_dim)
        if query_dim != memory_dim:
            raise ConfigError(
                f"adaptive attention mixes the sentinel with the memory, so their features must be as many, not "
                f"{query_dim} and {memory_dim}: set the decoder's hidden_dim to the encoder's output"
            )
        self.query = nn.Linear(query_dim, attention_dim, bias=False)
        self.key = nn.Linear(memory_dim, attention_dim)
        self.sentinel = nn.Linear(query_dim, attention_dim)
        self.energy = nn.Linear(attention_dim, 1, bias=False)

    def project(self, values: Tensor) -> Tensor:
        return self.key(values)

    def forward(self, queries: Tensor, keys: Keys, state: State) -> tuple[Tensor, Tensor, State]:
        """Queries ``[B, Q, 2·query_dim]`` to context ``[B, Q, memory_dim]``, attention ``[B, Q, S]`` and the state."""
        hidden, sentinel = queries.split(self.query_dim, dim=2)
        asked = self.query(hidden)
        of_memory = self.energy(tanh(asked.unsqueeze(2) + keys.keys.unsqueeze(1))).squeeze(3)
        of_sentinel = self.energy(tanh(asked + self.sentinel(sentinel)))
        mask = torch.cat([keys.mask, keys.mask.new_ones(len(keys.mask), 1)], dim=1)
        weights = masked_softmax(torch.cat([of_memory, of_sentinel], dim=2), mask)
        attention, kept = weights[..., :-1], weights[..., -1:].to(keys.values.dtype)
        return self.read(attention.to(keys.values.dtype), keys.values) + kept * sentinel, attention, state


def _shares(mask: Tensor) -> Tensor:
    """``[B, S]`` to equal weights of what is real, ``[B, 1, S]``, fp32."""
    real = mask.unsqueeze(1).float()
    return real / real.sum(2, keepdim=True).clamp(min=1)
