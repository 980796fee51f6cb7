"""What the tests of networks share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn

from seq2seq.types import State

torch.set_num_threads(1)  # the tensors of these tests are small, and the tests themselves run side by side

Network = TypeVar("Network", bound=nn.Module)


def shaken(module: Network, seed: int = 0) -> Network:
    """The module in evaluation mode, its weights drawn large enough that every part shows in the results."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.7 * torch.randn(parameter.shape, generator=generator))
    return module.eval()


def random(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers that are the same in every run."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def tensors(state: State) -> Iterator[Tensor]:
    """All tensors of a nest of tuples, in order."""
    if isinstance(state, Tensor):
        yield state
    else:
        for part in state:
            yield from tensors(part)


def close(given: State, expected: State, tolerance: float = 1e-5) -> None:
    """Asserts that two nests hold the same numbers, to rounding."""
    pairs = list(tensors(given)), list(tensors(expected))
    assert len(pairs[0]) == len(pairs[1])
    for left, right in zip(*pairs):
        torch.testing.assert_close(left, right, rtol=tolerance, atol=tolerance)


def gradients(total: Tensor, parameters: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """The gradient of each parameter, zeros where it has none."""
    return torch.autograd.grad(total, list(parameters), materialize_grads=True)
