"""Bridges from summaries of any depth and kind to the states of decoders."""

from __future__ import annotations

import pytest
import torch

from seq2seq.errors import ConfigError
from seq2seq.nn.bridge import Last, Projected, Zero
from tests.nn.helpers import close, random, shaken

B, D = 2, 4
LSTM = tuple(tuple(random(B, D, seed=2 * layer + part) for part in range(2)) for layer in range(2))
GRU = tuple(layer[:1] for layer in LSTM)


@pytest.mark.parametrize("summary", [LSTM, GRU])
def test_zero_starts_from_zeros(summary: tuple) -> None:
    close(Zero(summary_dim=D, hidden_dim=3, num_layers=3, parts=2)(summary), ((torch.zeros(B, 3),) * 2,) * 3)


def test_last_hands_over_layer_by_layer() -> None:
    bridge = Last(summary_dim=D, hidden_dim=D, num_layers=2, parts=2)
    close(bridge(LSTM), LSTM)
    close(Last(summary_dim=D, hidden_dim=D, num_layers=1, parts=2)(LSTM), LSTM[:1])


def test_what_a_summary_lacks_comes_from_its_last_layer_and_its_hidden_state() -> None:
    deeper = Last(summary_dim=D, hidden_dim=D, num_layers=3, parts=2)
    close(deeper(LSTM), (*LSTM, LSTM[1]))
    close(deeper(GRU), tuple((hidden, hidden) for (hidden,) in (*GRU, GRU[1])))
    close(Last(summary_dim=D, hidden_dim=D, num_layers=2, parts=1)(LSTM), GRU)


def test_projected_learns_a_map_for_every_tensor() -> None:
    """Bahdanau et al. 2015, appendix A.2.2."""
    bridge = shaken(Projected(summary_dim=D, hidden_dim=3, num_layers=2, parts=2))
    state = bridge(LSTM)
    for layer in range(2):
        for part in range(2):
            linear = bridge.projections[2 * layer + part]
            close(state[layer][part], torch.tanh(LSTM[layer][part] @ linear.weight.T + linear.bias))


def test_last_refuses_sizes_that_differ() -> None:
    with pytest.raises(ConfigError, match=r"encoder's state of 8 features to a decoder of 6: .* projected bridge"):
        Last(summary_dim=8, hidden_dim=6, num_layers=1, parts=1)
