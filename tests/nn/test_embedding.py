"""Embeddings and the three ways in which they drop."""

from __future__ import annotations

import pytest
import torch

from seq2seq.errors import ConfigError
from seq2seq.nn.embedding import Embedding

V, D, B, T = 7, 4, 300, 5


def ones(**rates: float) -> Embedding:
    torch.manual_seed(0)
    embedding = Embedding(vocab_size=V, embedding_dim=D, **{"dropout": 0.0, **rates})
    torch.nn.init.ones_(embedding.weight)
    return embedding


TOKENS = torch.randint(V, (B, T), generator=torch.Generator().manual_seed(0))


def test_looks_rows_up() -> None:
    torch.manual_seed(0)
    embedding = Embedding(vocab_size=V, embedding_dim=D, dropout=0.5).eval()
    assert torch.equal(embedding(TOKENS), embedding.weight[TOKENS])
    assert embedding.weight.std().item() == pytest.approx(2.5 * D**-0.5, rel=0.3)


@pytest.mark.parametrize("kind", ["dropout", "variational_dropout", "token_dropout"])
def test_drops_its_share_in_training_only(kind: str) -> None:
    embedding = ones(**{kind: 0.25})
    assert ((embedding(TOKENS) == 0).float().mean().item()) == pytest.approx(0.25, abs=0.04)
    assert (embedding.eval()(TOKENS) == 1).all()


def test_dropout_is_drawn_for_every_feature() -> None:
    kept = ones(dropout=0.25)(TOKENS)
    assert kept.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert (kept != kept[:, :1]).any() and (kept != kept[..., :1]).any()


def test_variational_dropout_drops_the_same_features_of_a_whole_sequence() -> None:
    embedding = ones(variational_dropout=0.25)
    kept = embedding(TOKENS)
    assert kept.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert (kept == kept[:, :1]).all(), "the same at every step"
    assert (kept[1:] != kept[:1]).any() and (kept != kept[..., :1]).any()
    mask = embedding.mask(B)
    assert mask is not None and torch.equal(embedding(TOKENS[:, :1], mask), embedding(TOKENS[:, 1:2], mask))
    assert embedding.eval().mask(B) is None


def test_token_dropout_drops_whole_tokens() -> None:
    kept = ones(token_dropout=0.25)(TOKENS)
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    assert (kept == kept[..., :1]).all()
    assert (kept != kept[:, :1]).any(), "each token for itself"


@pytest.mark.parametrize("kind", ["dropout", "variational_dropout", "token_dropout"])
@pytest.mark.parametrize("rate", [1.0, -0.1])
def test_refuses_rates_that_are_no_shares(kind: str, rate: float) -> None:
    with pytest.raises(ConfigError, match=f"^{kind}={rate}: expected the share that is dropped"):
        ones(**{kind: rate})
