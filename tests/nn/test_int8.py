"""Products in 8 bits: exact where numbers fit, near elsewhere, and no row's business of its neighbours."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seq2seq.errors import ConfigError
from seq2seq.nn import int8
from seq2seq.nn.int8 import Int8Linear
from tests.nn.helpers import random

pytestmark = pytest.mark.skipif(not int8.available(), reason="this processor has no VNNI")


def layer(inputs: int, outputs: int, *, bias: bool = True) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(inputs, outputs, bias=bias)


@torch.inference_mode()
def test_whole_numbers_are_multiplied_exactly() -> None:
    """Rows whose largest entries are 127 have a scale of one, so that nothing is rounded."""
    linear = layer(3, 2)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[127.0, -3.0, 50.0], [-127.0, 126.0, 1.0]]))
        linear.bias.copy_(torch.tensor([0.5, -2.0]))
    inputs = torch.tensor([[127.0, 127.0, -127.0], [1.0, 0.0, -127.0], [0.0, 0.0, 0.0]])
    assert torch.equal(Int8Linear(linear)(inputs), linear(inputs))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("bounded", [True, False])
@torch.inference_mode()
def test_is_near_the_product(bias: bool, bounded: bool) -> None:
    linear, inputs = layer(96, 40, bias=bias), random(5, 7, 96)
    inputs = torch.tanh(inputs) if bounded else 30 * inputs
    expected = linear(inputs)
    error = (Int8Linear(linear, bounded=bounded)(inputs) - expected).norm() / expected.norm()
    assert error < 0.02


@torch.inference_mode()
def test_a_row_does_not_depend_on_its_neighbours() -> None:
    product, inputs = Int8Linear(layer(32, 16)), random(4, 32)
    alone = product(inputs[1:2])
    inputs[0] *= 1e4
    assert torch.equal(product(inputs)[1:2], alone)


@torch.inference_mode()
def test_rows_of_weights_have_scales_of_their_own() -> None:
    linear = layer(64, 2, bias=False)
    linear.weight[0] *= 1e-4
    inputs = random(9, 64)
    error = (Int8Linear(linear)(inputs) - linear(inputs)).norm(dim=0) / linear(inputs).norm(dim=0)
    assert error.max() < 0.02


def test_a_processor_without_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8, "available", lambda: False)
    with pytest.raises(ConfigError, match="precision=int8 needs an x86 CPU with AVX512-VNNI or AMX: choose bf16 or"):
        Int8Linear(layer(4, 4))
