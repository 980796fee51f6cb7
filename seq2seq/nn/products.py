"""Products of a loop: what all steps multiply by gets its gradient in a few products, not in one at every step.

A loop over steps multiplies by the same weights, and by the same memory, again and again, and left to itself autograd
makes a gradient as large as the weights at every step and adds it to the last. Here each step keeps what it multiplied
and the gradient of what came out; when the way back has passed the first step, these are joined and multiplied.
"""

from __future__ import annotations

import copy
import math
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.nn.autocast import autocast_to

ROWS = 256
"""Rows that are joined for one product with a weight's gradient; twice as many where its type is not the weight's, so
that it is a pass of its own to add it. Measured to be fastest, about what a cache holds"""

Network = TypeVar("Network", bound=nn.Module)
Uses = dict[int, tuple[Tensor, Tensor]]
"""By the number of the product: what was multiplied, and the gradient of what came out"""


class Product(nn.Module):
    """Rows ``[B, Q, K]`` times a tensor ``[B, K, M]``, or ``[B, M, K]`` where it is ``transposed``: ``[B, Q, M]``."""

    def __init__(self, *, transposed: bool) -> None:
        super().__init__()
        self.transposed = transposed

    def forward(self, rows: Tensor, operand: Tensor) -> Tensor:
        return torch.bmm(rows, operand.mT if self.transposed else operand)


def looped(module: Network) -> Network:
    """The module for the steps of one loop: the same parts and parameters, with its products as told above.

    Results and gradients are those of the module itself. To be made for each loop, and dropped with it: it keeps what
    its steps have left until their gradient is taken. Without gradients it is the module itself.
    """
    return _clone(module) if torch.is_grad_enabled() else module


def _clone(module: Any) -> Any:
    if type(module) is nn.Linear:
        return _LoopedLinear(module) if module.weight.requires_grad else module
    if type(module) is Product:
        return _LoopedProduct(module)
    clone = copy.copy(module)
    clone._modules = {name: None if child is None else _clone(child) for name, child in module._modules.items()}
    return clone


class _LoopedLinear(nn.Module):
    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self._linear = [linear]  # in a list: it is no part of this module, whose parameters are the loop's business
        self._shared: _Shared | None = None

    def forward(self, rows: Tensor) -> Tensor:
        (linear,) = self._linear
        if self._shared is None:
            self._shared = _Shared(linear.weight)
        outputs = self._shared.times(rows)
        return outputs if linear.bias is None else outputs + linear.bias.to(outputs.dtype)


class _LoopedProduct(nn.Module):
    def __init__(self, product: Product) -> None:
        super().__init__()
        self._transposed = product.transposed
        self._operand: Tensor | None = None
        self._shared: _Shared | None = None

    def forward(self, rows: Tensor, operand: Tensor) -> Tensor:
        if self._shared is None or self._operand is not operand:
            self._operand, self._shared = operand, _Shared(operand if self._transposed else operand.mT)
        return self._shared.times(rows)


class _Shared:
    """What is multiplied by, ``[M, K]`` or ``[B, M, K]``."""

    def __init__(self, operand: Tensor) -> None:
        self._uses: Uses = {}
        self._operand = _Gate.apply(operand, self._uses)
        self._count = 0

    def times(self, rows: Tensor) -> Tensor:
        """``rows @ operand.mT``"""
        self._count += 1
        return _Times.apply(rows, self._operand, self._uses, self._count)


class _Gate(torch.autograd.Function):
    """Stands between an operand and its uses: on the way back it comes after all of them, and makes the gradient."""

    @staticmethod
    def forward(ctx: Any, operand: Tensor, uses: Uses) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.uses, ctx.dtype, ctx.batched = uses, operand.dtype, operand.dim() == 3
        return autocast_to(operand).view_as(operand)

    @staticmethod
    def backward(ctx: Any, *nothing: None) -> tuple[Tensor | None, None]:
        uses = list(ctx.uses.values())
        ctx.uses.clear()
        return (_joined(uses, ctx.dtype, batched=ctx.batched) if uses else None), None


class _Times(torch.autograd.Function):
    """``rows @ operand.mT``; keeps what the operand's gradient is made of."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, operand: Tensor, uses: Uses, number: int) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.dtype, ctx.uses, ctx.number = rows.dtype, uses, number
        rows = autocast_to(rows)
        ctx.save_for_backward(rows, operand)
        return F.linear(rows, operand) if operand.dim() == 2 else torch.bmm(rows, operand.mT)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> tuple[Tensor | None, None, None, None]:
        if gradient is None:
            return None, None, None, None
        rows, operand = ctx.saved_tensors
        if ctx.needs_input_grad[1]:
            # By number: a graph that is gone through again counts once. Detached: a graph that is left half-way, since
            # memory ran out, must not be kept alive by itself.
            ctx.uses[ctx.number] = rows.detach(), gradient
        return (gradient @ operand).to(ctx.dtype) if ctx.needs_input_grad[0] else None, None, None, None


def _joined(uses: list[tuple[Tensor, Tensor]], dtype: torch.dtype, *, batched: bool) -> Tensor:
    """The gradient of an operand, ``[M, K]`` or ``[B, M, K]``."""
    if batched:
        rows, gradients = (torch.cat(parts, dim=1) for parts in zip(*uses))
        return torch.bmm(gradients.mT, rows).to(dtype)
    alike = uses[0][0].dtype == dtype
    size = math.ceil((ROWS if alike else 2 * ROWS) / uses[0][0].shape[:-1].numel())
    total = None
    for first in range(0, len(uses), size):
        rows, gradients = (_flat(part) for part in zip(*uses[first : first + size]))
        if total is None:
            total = torch.mm(gradients.T, rows).to(dtype)
        elif alike:
            total.addmm_(gradients.T, rows)
        else:
            total.add_(torch.mm(gradients.T, rows))
    assert total is not None
    return total


def _flat(parts: tuple[Tensor, ...]) -> Tensor:
    """The rows ``[…, K]`` of all parts, ``[n, K]``."""
    flat = [part.flatten(0, -2) for part in parts]
    return torch.cat(flat) if len(flat) > 1 else flat[0]
