"""A stack that remembers nothing, where a recurrent one would stand."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from seq2seq.errors import ConfigError
from seq2seq.models.encoders import RecurrentEncoder
from seq2seq.nn.embedding import Numbers
from seq2seq.nn.feedforward import Feedforward
from seq2seq.types import Padded


def test_it_stands_where_a_recurrent_stack_does_and_no_step_knows_of_another() -> None:
    torch.manual_seed(0)
    stack = partial(Feedforward, hidden_dim=5, num_layers=2, dropout=0.0)
    encoder = RecurrentEncoder(embedding=Numbers(features=2), recurrent=stack, dropout=0.0)  # type: ignore[arg-type]
    values = torch.randn(2, 4, 2)
    memory = encoder(Padded(values, torch.tensor([4, 3])))
    assert memory.values.shape == (2, 4, 5)
    assert torch.equal(memory.summary[-1][0], torch.stack([memory.values[0, 3], memory.values[1, 2]]))
    shuffled = encoder(Padded(values[:, [2, 0, 3, 1]], torch.tensor([4, 4])), memory.summary)
    assert torch.allclose(shuffled.values, memory.values[:, [2, 0, 3, 1]], atol=1e-6)


def test_its_size_is_checked() -> None:
    with pytest.raises(ConfigError, match="num_layers=0"):
        Feedforward(input_dim=1, hidden_dim=1, num_layers=0, dropout=0.0)
