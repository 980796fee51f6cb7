"""Tokens to vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.nn.dropout import sequence_mask


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
        self.vocab_size, self.embedding_dim = vocab_size, embedding_dim
        self.dropout, self.variational_dropout, self.token_dropout = dropout, variational_dropout, token_dropout
        self.weight = nn.Parameter(torch.empty(vocab_size, embedding_dim))
        nn.init.normal_(self.weight, std=embedding_dim**-0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens ``[B, T]`` (or ``[N]``) to vectors with one more axis of ``embedding_dim``."""
        vectors = F.embedding(tokens, self.weight)
        if not self.training:
            return vectors
        vectors = F.dropout(vectors, self.dropout)
        if self.variational_dropout and tokens.dim() > 1:
            vectors = (
                vectors * sequence_mask(len(tokens), self.embedding_dim, self.variational_dropout, vectors)[:, None]
            )
        if self.token_dropout:
            keep = torch.full(tokens.shape, 1.0 - self.token_dropout, device=vectors.device)
            vectors = vectors * torch.bernoulli(keep).unsqueeze(-1)
        return vectors
