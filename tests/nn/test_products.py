"""The products of a loop against the same modules used plainly, in value and in gradient."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seq2seq.nn import products
from seq2seq.nn.products import Product, looped
from tests.nn.helpers import close, gradients, random, shaken

B, Q, K, S, T = 3, 2, 4, 5, 6


class Reader(nn.Module):
    """Everything that a loop multiplies by: weights with and without a bias, and a memory from both sides."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ModuleDict({"query": nn.Linear(K, K), "next": nn.Linear(K, K, bias=False)})
        self.score, self.read, self.missing = Product(transposed=True), Product(transposed=False), None

    def forward(self, rows: Tensor, memory: Tensor) -> Tensor:
        scores = self.score(self.inner["query"](rows), memory)
        return self.inner["next"](torch.tanh(self.read(scores.softmax(2).to(memory.dtype), memory)).flatten(0, 1))


def loop(reader: nn.Module, memory: Tensor, steps: int = T) -> Tensor:
    rows, outputs = random(B, Q, K), []
    for _ in range(steps):
        rows = reader(rows, memory).unflatten(0, (B, Q))
        outputs.append(rows)
    return torch.stack(outputs)


@pytest.fixture
def reader() -> Reader:
    return shaken(Reader())


@pytest.mark.parametrize("joined", [1, 12, 14, 512])
def test_a_looped_module_equals_the_module(reader: Reader, joined: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "ROWS", joined)
    memory, names = random(B, S, K, seed=1).requires_grad_(), list(reader.state_dict())
    plain, fast = loop(reader, memory), loop(looped(reader), memory)
    close(fast, plain)
    leaves = [memory, *reader.parameters()]
    close(gradients(fast.square().sum(), leaves), gradients(plain.square().sum(), leaves))
    assert list(reader.state_dict()) == names


def test_steps_that_nothing_was_learned_from_count_for_nothing(reader: Reader) -> None:
    memory = random(B, S, K, seed=1).requires_grad_()
    leaves = [memory, *reader.parameters()]
    for chosen in (0, 2):
        plain, fast = loop(reader, memory)[chosen].sum(), loop(looped(reader), memory)[chosen].sum()
        close(gradients(fast, leaves), gradients(plain, leaves))
    unused = looped(reader)(random(B, Q, K), memory).detach().sum() + memory.sum()
    close(gradients(unused, leaves)[0], torch.ones(B, S, K))


def test_gradients_add_up_over_loops_and_over_passes(reader: Reader) -> None:
    """Two loops in one graph, two graphs one after the other, and one graph gone through twice."""

    def twice(made: Callable[[nn.Module], nn.Module], net: nn.Module) -> list[Any]:
        memory = random(B, S, K, seed=1).requires_grad_()
        (loop(made(net), memory).sum() + loop(made(net), memory, 2).square().sum()).backward()
        total = loop(made(net), memory).square().sum()
        torch.autograd.grad(total, [memory], retain_graph=True)
        total.backward(retain_graph=True)
        total.backward()
        return [memory.grad, *(parameter.grad for parameter in net.parameters())]

    close(tuple(twice(looped, reader)), tuple(twice(lambda net: net, copy.deepcopy(reader))))


def test_a_weight_has_its_gradient_once(reader: Reader) -> None:
    arrived: list[int] = []
    for number, parameter in enumerate(reader.parameters()):
        parameter.register_post_accumulate_grad_hook(lambda _, number=number: arrived.append(number))
    loop(looped(reader), random(B, S, K, seed=1)).sum().backward()
    assert sorted(arrived) == list(range(len(list(reader.parameters()))))


def test_another_memory_is_another_operand(reader: Reader) -> None:
    memories = [random(B, S, K, seed=seed).requires_grad_() for seed in (1, 2)]

    def run(net: nn.Module) -> Tensor:
        rows = random(B, Q, K)
        return torch.cat([net(net(rows, memory).unflatten(0, (B, Q)), memory) for memory in memories])

    close(gradients(run(looped(reader)).sum(), memories), gradients(run(reader).sum(), memories))


def test_without_gradients_it_is_the_module_itself_and_frozen_weights_stay_plain(reader: Reader) -> None:
    with torch.no_grad():
        assert looped(reader) is reader
    reader.inner["query"].requires_grad_(False)
    total = loop(looped(reader), random(B, S, K, seed=1)).sum()
    total.backward()
    assert reader.inner["query"].weight.grad is None and reader.inner["next"].weight.grad is not None


def test_under_autocast_it_is_as_near_as_the_plain_loop(reader: Reader) -> None:
    memory = random(B, S, K, seed=1).requires_grad_()
    leaves = [memory, *reader.parameters()]
    exact = gradients(loop(reader, memory, 2).sum(), leaves)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total = loop(looped(reader), memory.bfloat16(), 2).float().sum()
    for given, expected in zip(gradients(total, leaves), exact):
        assert given.dtype == torch.float32
        assert (given - expected).norm() < 0.03 * expected.norm()
