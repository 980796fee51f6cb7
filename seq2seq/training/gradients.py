"""The gradient of an update: summed over a group of batches and all processes, divided once, clipped."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from seq2seq.data.datasets import Dataset
from seq2seq.errors import ConfigError, RowError, UserError, nearest
from seq2seq.training.ahead import Ahead
from seq2seq.training.carry import Carry, States
from seq2seq.training.distributed import Processes
from seq2seq.training.memory import halves, out_of_memory
from seq2seq.training.randomness import random_state, restore
from seq2seq.training.reduction import Reduction
from seq2seq.types import Batch, Example, Loss

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16}


class Task(Protocol):
    """All that training knows of what a model is for."""

    def loss(self, model: nn.Module, batch: Batch, update: int = 0) -> Loss:
        """The loss of a batch, not yet divided; ``update`` is for what changes as training goes on."""
        ...

    def predict(self, model: nn.Module, batch: Batch) -> list[Any]:
        """The outputs for a batch, best first for each example."""
        ...

    def score(self, predictions: list[Any], examples: list[Example]) -> dict[str, float]:
        """Figures of a whole set of predictions, one for each example."""
        ...


class NotFinite(Exception):
    """A loss or a gradient became infinite or no number.

    Args:
        what: Which of them.
        value: What it became.
        indices: Of the examples that it came from.
    """

    def __init__(self, what: str, value: float, indices: np.ndarray) -> None:
        super().__init__(what, value, indices)  # as they are, so that it can go from one process to another
        self.what, self.value, self.indices = what, value, indices

    def __str__(self) -> str:
        return f"the {self.what} became {self.value}"


@dataclass
class Sums:
    """What the batches of a group add up to."""

    count: int = 0
    """What to divide by: tokens, labels or values"""
    figures: dict[str, float] = field(default_factory=dict)

    def add(self, loss: Loss) -> None:
        """Adds a batch."""
        figures = {"loss": loss.total, **loss.figures}
        self.join(Sums(loss.count, {name: float(value) for name, value in figures.items()}))

    def join(self, other: Sums) -> None:
        """Adds other sums."""
        self.count += other.count
        for name, value in other.figures.items():
            self.figures[name] = self.figures.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        """The figures, divided."""
        return {name: value / self.count for name, value in self.figures.items()}


@dataclass
class Report:
    """How a try at the gradients of an update went in one process."""

    sums: Sums = field(default_factory=Sums)
    failure: NotFinite | UserError | None = None
    """What must stop all of them"""
    said: list[str] = field(default_factory=list)
    """What was split because memory ran out; all try again then"""
    had: list[bool | None] = field(default_factory=list)
    """Which parameters had a gradient; see ``Reduction.finish``"""
    kept: States = field(default_factory=dict)
    """The states to carry on; see ``Carry``"""


class Gradients:
    """Fills the gradients of a model.

    Args:
        model: Its parameters' ``grad`` are filled.
        task: Gives the loss.
        data: The examples to learn from.
        clip_norm: Largest norm of the gradient; None for no clipping.
        precision: ``fp32``, or ``bf16`` (autocast).
        seed: Of what is sampled from the examples.
        processes: Among whom each batch is dealt out.
        say: Is told when a batch must be split.
        carry: The states that batches begin with.
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
        processes: Processes,
        say: Callable[[str], None],
        carry: Carry | None = None,
    ) -> None:
        if precision not in PRECISIONS:
            raise ConfigError(f"precision={precision!r}: {nearest(precision, PRECISIONS)}")
        self.model, self.task, self.data = model, task, data
        self.clip_norm = torch.inf if clip_norm is None else clip_norm
        self.precision, self.seed, self.processes, self.say = precision, seed, processes, say
        self.carry = carry or Carry()
        self._reduction = Reduction(model.parameters(), processes=processes)
        self._ahead = Ahead(lambda indices, seed: self.data.batch(indices, seed=seed))

    def fill(self, group: list[np.ndarray], update: int, following: Sequence[np.ndarray] = ()) -> tuple[Sums, float]:
        """The gradient of the mean loss over all batches of a group, clipped; the same in all processes.

        Args:
            group: The examples of each batch.
            update: The number of the update.
            following: The batches of the next update, to be made meanwhile.

        Returns:
            The sums over the group, and the norm that the gradient had before it was clipped.

        Raises:
            NotFinite: A loss or the gradient is infinite or no number.
            TrainingError: A single example does not fit into memory.
        """
        self.model.train()
        shares = self._shares(group)
        coming = [(share, self._seed(update + 1)) for share in self._shares(following)]
        self._ahead.expect([(share, self._seed(update)) for share in shares], coming)
        sums = self._summed(shares, update)
        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        # Divided by the count of the whole group, so that it does not matter how the group is cut into batches; and
        # clipped in the same pass, since gradients are as large as the model however small a process's share is.
        norm = float(nn.utils.get_total_norm(gradients)) / sums.count
        torch._foreach_mul_(gradients, min(self.clip_norm / (norm + 1e-6), 1.0) / sums.count)
        if not np.isfinite(norm):
            raise NotFinite("gradient", norm, np.concatenate(group))
        return sums, norm

    def _shares(self, group: Sequence[np.ndarray]) -> list[np.ndarray]:
        """What this process has of each batch, where it has any."""
        same = self.data.carries  # who has a row has the next one too, which goes on from it
        shares = [self.processes.deal(batch, 0 if same else number) for number, batch in enumerate(group)]
        return [share for share in shares if len(share)]

    def _seed(self, update: int) -> int:
        # What is sampled from an example depends on the update and the example alone: a resumed run samples the same,
        # and so do any number of processes. crc32 is the same in every process, which hash() does not promise to be.
        return zlib.crc32(f"{self.seed} {update}".encode())

    def _summed(self, batches: list[np.ndarray], update: int) -> Sums:
        """Adds up gradients and losses over batches and processes. All begin anew where memory ran out in one of them.

        A backward cut short leaves part of its gradients behind, which is why the whole group begins anew. So does an
        update at which parameters have begun to learn, with the same random numbers: a run that is resumed after it
        meets them at its first update.
        """
        before = random_state()
        while True:
            report = self._tried(batches, update)
            report.had = self._reduction.finish()
            reports = self.processes.gather(report)
            for text in (text for each in reports for text in each.said):
                self.say(text)
            for each in reports:
                if each.failure is not None:
                    raise each.failure
            whole = self._reduction.whole([each.had for each in reports])
            if whole and not any(each.said for each in reports):
                self.carry.settle(each.kept for each in reports)
                sums = Sums()
                for each in reports:
                    sums.join(each.sums)
                return sums
            restore(before)

    def _tried(self, batches: list[np.ndarray], update: int) -> Report:
        """Fills this process's gradients. A batch that memory runs out on is replaced by its halves."""
        self.model.zero_grad(set_to_none=True)
        self.carry.begin()
        report = Report(kept=self.carry.fresh)
        try:
            for position, indices in enumerate(batches):
                last = position == len(batches) - 1
                with self._reduction.overlapping() if last else nullcontext():
                    report.sums.add(self._backward(indices, update))
        except RowError as failure:
            report.failure = failure.placed(self.data.where(int(indices[failure.row])))
        except (NotFinite, UserError) as failure:
            report.failure = failure
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            try:
                batches[position : position + 1] = halves(
                    indices, error, during=f"update {update}", where=self.data.where, say=report.said.append
                )
            except UserError as failure:
                report.failure = failure
        return report

    def _backward(self, indices: np.ndarray, update: int) -> Loss:
        """Adds the gradient of one batch; its loss comes back without its graph."""
        batch = self.carry.onto(self._ahead.take(indices, self._seed(update)))
        dtype, device = PRECISIONS[self.precision], next(self.model.parameters()).device
        with torch.autocast(device.type, dtype=dtype) if dtype else nullcontext():
            loss = self.task.loss(self.model, batch.to(device), update)
        loss.total.backward()
        if not torch.isfinite(loss.total):  # asked late, since a GPU is waited for
            raise NotFinite("loss", float(loss.total.detach()), indices)
        self.carry.keep(batch.indices, loss.state)
        return Loss(loss.total.detach(), loss.count, loss.figures)
