"""The objective against torch's, and its fast path against its plain twin."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from seq2seq.errors import ConfigError
from seq2seq.nn import objective
from seq2seq.nn.objective import CrossEntropy
from tests.nn.helpers import close, gradients, random, shaken

N, D, V = 23, 5, 11
TARGETS = torch.randint(V, (N,), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_equals_torchs_cross_entropy(smoothing: float) -> None:
    logits = (3 * random(N, V)).requires_grad_()
    given = CrossEntropy(label_smoothing=smoothing)(logits, TARGETS)
    expected = F.cross_entropy(logits, TARGETS, reduction="sum", label_smoothing=smoothing)
    close(given.total, expected)
    close(gradients(given.total, [logits]), gradients(expected, [logits]))
    close(given.nll, F.cross_entropy(logits, TARGETS, reduction="sum"))
    assert not given.nll.requires_grad
    assert int(given.correct) == sum(row.argmax() == target for row, target in zip(logits, TARGETS))


@pytest.mark.parametrize("rows", [4, 23, 256])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_through_the_output_layer_equals_its_plain_twin(
    smoothing: float, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objective, "ROWS", rows)
    output, readouts = shaken(nn.Linear(D, V)), random(N, D).requires_grad_()
    entropy, leaves = CrossEntropy(label_smoothing=smoothing), [output.weight, output.bias, readouts]
    plain, fast = entropy(output(readouts), TARGETS), entropy.through(output, readouts, TARGETS)
    close(tuple(fast), tuple(plain))
    close(gradients(fast.total / 7, leaves), gradients(plain.total / 7, leaves))
    with torch.no_grad():
        close(tuple(entropy.through(output, readouts, TARGETS)), tuple(plain))


def test_rows_count_for_their_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objective, "ROWS", 4)
    output, readouts, weights = shaken(nn.Linear(D, V)), random(N, D).requires_grad_(), random(N, seed=2)
    entropy, leaves = CrossEntropy(label_smoothing=0.1), [output.weight, output.bias, readouts]
    fast = entropy.through(output, readouts, TARGETS, weights)
    losses = F.cross_entropy(output(readouts), TARGETS, reduction="none", label_smoothing=0.1)
    expected = (weights * losses).sum()
    close(fast.total, expected)
    close(gradients(fast.total, leaves), gradients(expected, leaves))
    close(fast.nll, entropy(output(readouts), TARGETS).nll)


def test_through_under_autocast_is_as_near_as_its_plain_twin() -> None:
    output, readouts = shaken(nn.Linear(D, V)), random(N, D).requires_grad_()
    entropy, leaves = CrossEntropy(label_smoothing=0.1), [output.weight, output.bias, readouts]
    exact = entropy(output(readouts), TARGETS).total
    with torch.autocast("cpu", dtype=torch.bfloat16):
        fast = entropy.through(output, readouts, TARGETS).total
    assert fast.dtype == torch.float32
    close(fast, exact, 0.01)
    for given, expected in zip(gradients(fast, leaves), gradients(exact, leaves)):
        assert (given - expected).norm() < 0.02 * expected.norm()


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_refuses_a_smoothing_that_is_no_share(smoothing: float) -> None:
    with pytest.raises(ConfigError, match=f"label_smoothing={smoothing}: expected 0 or more, and less than 1"):
        CrossEntropy(label_smoothing=smoothing)


def test_an_output_layer_that_was_made_for_use_is_called() -> None:
    class Faster(nn.Module):
        def __init__(self, linear: nn.Linear) -> None:
            super().__init__()
            self.weight, self.bias = linear.weight.detach().bfloat16(), linear.bias.detach().bfloat16()

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return F.linear(inputs.bfloat16(), self.weight, self.bias).float()

    output, readouts, entropy = shaken(nn.Linear(D, V)), random(N, D), CrossEntropy(label_smoothing=0.1)
    faster: nn.Module = Faster(output)
    found = entropy.through(faster, readouts, TARGETS)
    close(tuple(found), tuple(entropy(faster(readouts), TARGETS)))
    torch.testing.assert_close(found.total, entropy.through(output, readouts, TARGETS).total, rtol=0.02, atol=0.0)
