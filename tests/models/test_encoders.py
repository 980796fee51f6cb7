"""Encoders: law 1, and a memory of the size they promise."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from seq2seq.errors import ConfigError
from seq2seq.models.encoders import RecurrentEncoder
from seq2seq.nn import pooling
from seq2seq.nn.cells import CELLS
from seq2seq.types import select
from tests.models.networks import DEPTHS, D, encoder, real, row, table, tokens
from tests.nn.helpers import close, tensors


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_padding_changes_nothing(cell: str, bidirectional: bool, depth: tuple[int, bool]) -> None:
    built, src = encoder(cell=cell, bidirectional=bidirectional, depth=depth), tokens(4, 1, 6)
    memory, longer = built(src), built(tokens(4, 1, 6, longest=9))
    assert built.memory_dim == memory.values.shape[2] == D
    assert {part.shape for part in tensors(memory.summary)} == {(3, built.summary_dim)}
    assert torch.equal(memory.mask, src.mask) and memory.mask.sum(1).tolist() == [4, 1, 6]
    close((real(memory.values, src), memory.summary), (real(longer.values, src), longer.summary))
    for number in range(3):
        alone = built(row(src, number))
        close(alone.values[0], memory.values[number, : src.lengths[number]])
        close(alone.summary, select(memory.summary, torch.tensor([number])))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_an_empty_input_is_a_step_of_padding(bidirectional: bool) -> None:
    """Attention has to look somewhere; what it finds does not depend on the others, alone or not."""
    built, src = encoder(bidirectional=bidirectional), tokens(4, 0, 6)
    memory, longer, alone = built(src), built(tokens(4, 0, 6, longest=9)), built(row(src, 1))
    assert memory.mask.sum(1).tolist() == [4, 1, 6] and alone.mask.tolist() == [[True]]
    close((longer.values[1, :1], longer.summary), (memory.values[1, :1], memory.summary))
    close((alone.values[0], alone.summary), (memory.values[1, :1], select(memory.summary, torch.tensor([1]))))


def test_a_state_goes_on_in_one_direction_only() -> None:
    built, src = encoder(bidirectional=True), tokens(4, 3)
    with pytest.raises(ConfigError, match="a state is carried on in one direction"):
        built(src, built(src).summary)


@pytest.mark.parametrize("kind", [pooling.Last, pooling.Mean, pooling.Max])
def test_a_pooled_memory_is_one_vector_whatever_the_padding(kind: Callable[..., nn.Module]) -> None:
    plain, src = encoder(bidirectional=True), tokens(4, 1, 6)
    built = RecurrentEncoder(
        embedding=plain.embedding, recurrent=lambda input_dim: plain.recurrent, dropout=0.0, pooling=kind
    )
    memory, expected = built(src), kind(memory_dim=D, summary_dim=D)(plain(src)).values
    assert memory.mask.tolist() == [[True]] * 3 and built.memory_dim == built.summary_dim == D
    close((memory.values[:, 0], memory.summary), (expected, ((expected,),)))
    close(built(tokens(4, 1, 6, longest=9)).values, memory.values)


def test_dropout_acts_on_the_memory_in_training_only() -> None:
    built, src = encoder(dropout=0.5), tokens(6, 6)
    plain = built(src)
    dropped = built.train()(src)
    kept = dropped.values != 0
    assert 0.2 < kept.float().mean() < 0.8
    close(dropped.values[kept], 2 * plain.values[kept])
    close(dropped.summary, plain.summary)


def test_refuses_rates_that_are_no_shares() -> None:
    with pytest.raises(ConfigError, match=r"dropout=1\.5: expected the share that is dropped"):
        encoder(dropout=1.5)
    with pytest.raises(ConfigError, match="token_dropout=2: expected the share that is dropped"):
        encoder(embedding=table(token_dropout=2))
