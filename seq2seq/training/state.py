"""All of a run that changes from update to update, and so all that a resumed run must know."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from seq2seq.training.carry import Carry
from seq2seq.training.distributed import Processes
from seq2seq.training.optim import MovingAverage, Schedule
from seq2seq.training.randomness import random_state, restore
from seq2seq.training.stopping import Best


class Progress(NamedTuple):
    """Where a run stands: with the seed, it says which batch comes next."""

    update: int = 0
    """Updates that are done"""
    epoch: int = 0
    """Epochs that are done"""
    batch: int = 0
    """Batches of the present epoch that are done"""


class TrainingState:
    """The changing parts of a run.

    Args:
        model: Trained in place.
        optimizer: Over its parameters.
        schedule: Of its learning rate.
        best: Follows the validations.
        average: Follows the weights; None where they are validated and saved as they are.
        processes: Whose random states belong to it too.
        carry: The states that the next batches go on from.
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        best: Best,
        average: MovingAverage | None,
        processes: Processes,
        carry: Carry | None = None,
    ) -> None:
        self.model, self.optimizer, self.schedule, self.best, self.average = model, optimizer, schedule, best, average
        self.processes, self.carry = processes, carry or Carry()
        self.progress = Progress()
        self._rates = [group["lr"] for group in optimizer.param_groups]

    def step(self, after: Progress) -> float:
        """Applies the gradients that the model has; gives the learning rate that was used."""
        factor = self.schedule(after.update)
        for group, rate in zip(self.optimizer.param_groups, self._rates):
            group["lr"] = rate * factor
        self.optimizer.step()
        if self.average is not None:
            self.average.update()
        self.progress = after
        return self._rates[0] * factor

    def size(self) -> float:
        """The norm of all weights that learn together."""
        learning = [weight.detach() for weight in self.model.parameters() if weight.requires_grad]
        return float(nn.utils.get_total_norm(learning))

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Within it, the model has the weights that are validated and saved for use."""
        if self.average is None:
            yield
        else:
            with self.average.applied():
                yield

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values; the tensors are the living ones, so write them before training goes on."""
        return {
            "progress": tuple(self.progress),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "best": self.best.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "carry": self.carry.state_dict(),
            "random": self.processes.gather(random_state()),
        }

    def load_state_dict(self, state: dict[str, Any], *, seed: int) -> bool:
        """Restores what ``state_dict`` gave. Settings that were changed in between (weight decay …) stay changed.

        Args:
            state: The same in all processes.
            seed: Of the random numbers, where the number of processes has changed in between.

        Returns:
            Whether that number is still the same, so that nothing at all differs from a run that was not stopped.
        """
        self.progress = Progress(*state["progress"])
        self.model.load_state_dict(state["model"])
        chosen = [{k: v for k, v in group.items() if k != "params"} for group in self.optimizer.param_groups]
        groups = [{**old, **new} for old, new in zip(state["optimizer"]["param_groups"], chosen)]
        self.optimizer.load_state_dict({**state["optimizer"], "param_groups": groups})
        self.schedule.load_state_dict(state["schedule"])
        self.best.load_state_dict(state["best"])
        if self.average is not None:
            if state["average"] is None:  # it was switched on in between
                self.average.restart()
            else:
                self.average.load_state_dict(state["average"])
        self.carry.load_state_dict(state.get("carry", {}))
        same = len(state["random"]) == self.processes.size
        if same:
            restore(state["random"][self.processes.rank])
        else:
            self.reseed(seed)
        return same

    def reseed(self, seed: int) -> None:
        """Gives every process random numbers of its own."""
        number = zlib.crc32(f"{seed} {self.progress.update} {self.processes.rank}".encode())
        random.seed(number)
        np.random.seed(number)
        torch.manual_seed(number)
