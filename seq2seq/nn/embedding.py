"""Tokens, or whatever else a step is, to vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.nn.dropout import check_rates, sequence_mask


class Embedding(nn.Module):
    """A table of vectors, with dropout on what is looked up.

    Args:
        vocab_size: Rows of the table.
        embedding_dim: Features of a row.
        dropout: Share of features dropped, anew for every token.
        variational_dropout: Share of features dropped, the same ones for every token of a sequence
            (Gal & Ghahramani 2016).
        token_dropout: Share of tokens whose whole vector is dropped.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        embedding_dim: int,
        dropout: float,
        variational_dropout: float = 0.0,
        token_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_rates(dropout=dropout, variational_dropout=variational_dropout, token_dropout=token_dropout)
        self.vocab_size, self.embedding_dim = vocab_size, embedding_dim
        self.dropout, self.variational_dropout, self.token_dropout = dropout, variational_dropout, token_dropout
        self.weight = nn.Parameter(torch.empty(vocab_size, embedding_dim))
        init_table(self.weight)

    def mask(self, rows: int) -> Tensor | None:
        """Draws the features ``[rows, embedding_dim]`` that sequences keep; None where there is nothing to draw."""
        if not (self.training and self.variational_dropout):
            return None
        return sequence_mask(rows, self.embedding_dim, self.variational_dropout, self.weight)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Tokens ``[B, T]`` to vectors ``[B, T, embedding_dim]``.

        ``mask`` is what ``mask`` drew for the sequences that the tokens continue; without it they are whole sequences.
        """
        vectors = F.embedding(tokens, self.weight)
        if not self.training:
            return vectors
        vectors = F.dropout(vectors, self.dropout)
        mask = self.mask(len(tokens)) if mask is None else mask
        if mask is not None:
            vectors = vectors * mask.unsqueeze(1)
        if self.token_dropout:
            keep = torch.full(tokens.shape, 1.0 - self.token_dropout, device=vectors.device)
            vectors = vectors * torch.bernoulli(keep).unsqueeze(-1)
        return vectors


class Numbers(nn.Module):
    """Numbers, which are vectors already, where tokens would be looked up.

    Args:
        features: Of a step.
    """

    def __init__(self, *, features: int) -> None:
        super().__init__()
        self.embedding_dim = features

    def forward(self, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """``[B, T, features]`` as they are."""
        return values


def init_table(table: Tensor) -> None:
    """Draws a table of token vectors ``[V, D]``, of an embedding or an output layer, from N(0, (2.5 / √D)²).

    Measured on Multi30k: from smaller tables (1 / √D, or an output layer as torch draws it) a model needs several times
    as many updates until it has learned to attend.
    """
    nn.init.normal_(table, std=2.5 * table.shape[1] ** -0.5)
