"""Encoders: from one side of an example to a ``Memory``.

Every encoder says how large its memory is, so that whatever reads it can be built to fit: ``memory_dim``, the features
of a position, and ``summary_dim``, the features of each tensor of the summary.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from seq2seq.errors import ConfigError
from seq2seq.nn.dropout import check_rates
from seq2seq.nn.embedding import Embedding
from seq2seq.nn.recurrent import Recurrent
from seq2seq.types import Memory, Padded, State


class RecurrentEncoder(nn.Module):
    """Embeds tokens and runs a recurrent stack over them; the memory has one position for each token.

    Args:
        embedding: The source embedding.
        recurrent: Makes the stack, given ``input_dim``.
        dropout: Share of the memory's features dropped.
        pooling: Makes of the memory one vector, given ``memory_dim`` and ``summary_dim`` (see ``nn.pooling``), which
            is then its only position and its summary; None leaves it as it is.
    """

    def __init__(
        self,
        *,
        embedding: Embedding,
        recurrent: Callable[..., Recurrent],
        dropout: float,
        pooling: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        check_rates(dropout=dropout)
        self.embedding = embedding
        self.recurrent = recurrent(input_dim=embedding.embedding_dim)
        self.dropout = dropout
        size = self.recurrent.output_dim
        self.pooling = pooling(memory_dim=size, summary_dim=size) if pooling is not None else None
        self.memory_dim = self.summary_dim = size if self.pooling is None else self.pooling.output_dim

    def forward(self, src: Padded, state: State = None) -> Memory:
        """Tokens ``[B, S]``, or whatever the embedding takes, to a memory of ``[B, S, memory_dim]``.

        ``state`` is the summary of what came before in the same sequences, which is not known of a pooled memory; None
        begins them.
        """
        if state is not None and (self.pooling is not None or self.recurrent.bidirectional):
            raise ConfigError("a state is carried on in one direction, by bidirectional=false and pooling=null")
        src = src.readable()
        begun = None if state is None else self.recurrent.begin(state)
        outputs, summary = self.recurrent.unroll(Padded(self.embedding(src.values), src.lengths), begun)
        memory = Memory(F.dropout(outputs, self.dropout, self.training), src.mask, summary)
        if self.pooling is None:
            return memory
        vectors = self.pooling(memory).values
        return Memory(vectors.unsqueeze(1), torch.ones_like(src.mask[:, :1]), ((vectors,),))
