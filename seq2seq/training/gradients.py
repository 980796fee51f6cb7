"""The gradient of an update: summed over a group of batches, divided once, clipped."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from seq2seq.data.datasets import Dataset
from seq2seq.errors import ConfigError, nearest
from seq2seq.training.memory import halves, out_of_memory
from seq2seq.types import Batch, Loss

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16}


class Task(Protocol):
    """All that training knows of what a model is for."""

    def loss(self, model: nn.Module, batch: Batch, update: int = 0) -> Loss:
        """The loss of a batch, not yet divided; ``update`` is for what changes as training goes on."""
        ...

    def predict(self, model: nn.Module, batch: Batch) -> list[Any]:
        """The outputs for a batch, best first for each example."""
        ...

    def score(self, predictions: list[Any], references: list[Any]) -> dict[str, float]:
        """Figures of a whole set of predictions."""
        ...


class NotFinite(Exception):
    """A loss or a gradient became infinite or no number.

    Args:
        what: Which of them.
        value: What it became.
        indices: Of the examples that it came from.
    """

    def __init__(self, what: str, value: float, indices: np.ndarray) -> None:
        super().__init__(f"the {what} became {value}")
        self.indices = indices


@dataclass
class Sums:
    """What the batches of a group add up to."""

    count: int = 0
    """What to divide by: tokens, labels or values"""
    figures: dict[str, float] = field(default_factory=dict)

    def add(self, loss: Loss) -> None:
        """Adds a batch."""
        self.count += loss.count
        for name, value in {"loss": float(loss.total), **loss.figures}.items():
            self.figures[name] = self.figures.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        """The figures, divided."""
        return {name: value / self.count for name, value in self.figures.items()}


class Gradients:
    """Fills the gradients of a model.

    Args:
        model: Its parameters' ``grad`` are filled.
        task: Gives the loss.
        data: The examples to learn from.
        clip_norm: Largest norm of the gradient; None for no clipping.
        precision: ``fp32``, or ``bf16`` (autocast).
        seed: Of what is sampled from the examples.
        say: Is told when a batch must be split.
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        task: Task,
        data: Dataset,
        clip_norm: float | None,
        precision: str,
        seed: int,
        say: Callable[[str], None],
    ) -> None:
        if precision not in PRECISIONS:
            raise ConfigError(f"precision={precision!r}: {nearest(precision, PRECISIONS)}")
        self.model, self.task, self.data = model, task, data
        self.clip_norm = torch.inf if clip_norm is None else clip_norm
        self.precision, self.seed, self.say = precision, seed, say

    def fill(self, group: list[np.ndarray], update: int) -> tuple[Sums, float]:
        """The gradient of the mean loss over all batches of a group, clipped.

        Args:
            group: The examples of each batch.
            update: The number of the update.

        Returns:
            The sums over the group, and the norm that the gradient had before it was clipped.

        Raises:
            NotFinite: A loss or the gradient is infinite or no number.
            TrainingError: A single example does not fit into memory.
        """
        self.model.train()
        sums = self._summed(list(group), update)
        # Divided by the count of the whole group, so that it does not matter how the group is cut into batches.
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                parameter.grad.div_(sums.count)
        norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm))
        if not np.isfinite(norm):
            raise NotFinite("gradient", norm, np.concatenate(group))
        return sums, norm

    def _summed(self, batches: list[np.ndarray], update: int) -> Sums:
        """Adds up gradients and losses. A batch that memory runs out on is replaced by its halves."""
        while True:
            self.model.zero_grad(set_to_none=True)
            sums = Sums()
            for position, indices in enumerate(batches):
                try:
                    sums.add(self._backward(indices, update))
                except (RuntimeError, MemoryError) as error:
                    if not out_of_memory(error):
                        raise
                    batches[position : position + 1] = halves(
                        indices, error, during=f"update {update}", where=self.data.where, say=self.say
                    )
                    break  # a backward cut short leaves part of its gradients behind, so the whole group begins anew
            else:
                return sums

    def _backward(self, indices: np.ndarray, update: int) -> Loss:
        """Adds the gradient of one batch; its loss comes back without its graph."""
        # What is sampled depends on the update and the batch alone, so that a resumed run samples the same. crc32 is
        # the same in every process and version of Python, which hash() does not promise to be.
        seed = zlib.crc32(f"{self.seed} {update} {indices[0]}".encode())
        batch = self.data.batch(indices, seed=seed)
        dtype, device = PRECISIONS[self.precision], next(self.model.parameters()).device
        with torch.autocast(device.type, dtype=dtype) if dtype else nullcontext():
            loss = self.task.loss(self.model, batch.to(device), update)
        if not torch.isfinite(loss.total):
            raise NotFinite("loss", float(loss.total.detach()), indices)
        loss.total.backward()
        return Loss(loss.total.detach(), loss.count, loss.figures)
