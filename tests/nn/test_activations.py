"""The hyperbolic tangent against torch's, large and small, with and without a gradient; and log-softmax."""

from __future__ import annotations

import pytest
import torch

from seq2seq.nn.activations import SOME, log_softmax_, tanh
from tests.nn.helpers import gradients, random


@pytest.mark.parametrize("count", [7, SOME + 5])
def test_equals_torchs_in_value_and_gradient(count: int) -> None:
    x = torch.linspace(-12, 12, count).requires_grad_()
    torch.testing.assert_close(tanh(x), torch.tanh(x), rtol=0, atol=3e-7)
    weights = torch.linspace(1, 2, count)
    given, expected = ((weights * function(x)).sum() for function in (tanh, torch.tanh))
    torch.testing.assert_close(gradients(given, [x]), gradients(expected, [x]), rtol=0, atol=2e-6)
    with torch.no_grad():
        torch.testing.assert_close(tanh(x), torch.tanh(x), rtol=0, atol=3e-7)


def test_in_bfloat16_small_numbers_keep_their_digits() -> None:
    x = torch.linspace(-0.01, 0.01, SOME).bfloat16()
    torch.testing.assert_close(tanh(x), torch.tanh(x), rtol=0.01, atol=1e-6)


@pytest.mark.parametrize(("rows", "vocab"), [(0, 9), (1, 9), (259, 9), (3, 8003), (160, 1000)])
def test_logits_are_normalised_in_place_as_by_torch(rows: int, vocab: int) -> None:
    logits = 5 * random(rows, vocab)
    expected = logits.log_softmax(-1)
    assert log_softmax_(logits) is logits
    torch.testing.assert_close(logits, expected, rtol=0, atol=0)
