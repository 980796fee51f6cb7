"""The training loop."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from seq2seq.data.batching import Batching
from seq2seq.errors import ConfigError, TrainingError, nearest
from seq2seq.training.checkpoint import Checkpoints, read_training
from seq2seq.training.interrupt import Interrupt
from seq2seq.training.logging import RunLog
from seq2seq.training.optim import MovingAverage, Schedule
from seq2seq.training.stopping import Best
from seq2seq.training.validation import Dataset, Validation, told, validate
from seq2seq.types import Batch, Loss

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16}


class Task(Protocol):
    """All that the trainer knows of what a model is for."""

    def loss(self, model: nn.Module, batch: Batch, update: int = 0) -> Loss:
        """The loss of a batch, not yet divided; ``update`` is for what changes as training goes on."""
        ...

    def predict(self, model: nn.Module, batch: Batch) -> list[Any]:
        """The outputs for a batch, best first for each example."""
        ...

    def score(self, predictions: list[Any], references: list[Any]) -> dict[str, float]:
        """Figures of a whole set of predictions."""
        ...


@dataclass
class Progress:
    """Where a run stands: with the seed, it says which batch comes next."""

    update: int = 0
    epoch: int = 0
    batch: int = 0
    """Batches of the epoch that are done"""


class Trainer:
    """Minimises a task's loss, validates, keeps checkpoints, and resumes bit by bit where it was stopped.

    Args:
        max_updates: Where to end; None for no such end.
        max_epochs: Likewise, in passes over the data.
        accumulate: Batches whose gradients are added up for an update.
        clip_norm: Largest norm of the gradient; None for no clipping.
        precision: ``fp32``, or ``bf16`` (autocast: weights, losses and the optimizer stay in fp32).
        validate_every: Updates between two validations.
        checkpoint_every: Updates between two checkpoints (a validation makes one too).
        keep_last: How many of the last checkpoints to keep.
        keep_best: How many of the best to keep besides.
        metric: Which figure of a validation says what is best.
        mode: ``min`` or ``max``.
        patience: Validations without improvement after which to stop; None for never.
        average: Decay of the moving average of the weights that is validated and saved; None for none.
        examples: How many examples each validation prints.
        batching: How training batches are made.
    """

    def __init__(
        self,
        *,
        max_updates: int | None,
        max_epochs: int | None,
        accumulate: int,
        clip_norm: float | None,
        precision: str,
        validate_every: int,
        checkpoint_every: int,
        keep_last: int,
        keep_best: int,
        metric: str,
        mode: str,
        patience: int | None,
        average: float | None,
        examples: int,
        batching: Batching,
    ) -> None:
        if max_updates is None and max_epochs is None and patience is None:
            raise ConfigError("nothing would end the training: set max_updates, max_epochs or patience")
        if precision not in PRECISIONS:
            raise ConfigError(f"precision={precision!r}: {nearest(precision, PRECISIONS)}")
        if accumulate < 1 or validate_every < 1 or checkpoint_every < 1:
            raise ConfigError("accumulate, validate_every and checkpoint_every must be at least 1")
        self.max_updates, self.max_epochs = max_updates, max_epochs
        self.accumulate, self.clip_norm, self.precision = accumulate, clip_norm, precision
        self.validate_every, self.checkpoint_every = validate_every, checkpoint_every
        self.keep_last, self.keep_best = keep_last, keep_best
        self.metric, self.mode, self.patience = metric, mode, patience
        self.average, self.examples, self.batching = average, examples, batching

    def checkpoints(self, run: Path) -> Checkpoints:
        """The checkpoints of a run that this trainer makes or has made."""
        return Checkpoints(
            run / "checkpoints", keep_last=self.keep_last, keep_best=self.keep_best, metric=self.metric, mode=self.mode
        )

    def fit(
        self,
        *,
        model: nn.Module,
        task: Task,
        train: Dataset,
        valid: Dataset,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        run: Path,
        log: RunLog,
        write: Callable[[Path], None],
        seed: int,
    ) -> Path:
        """Trains to the end, from the run's last checkpoint where it has one; returns the best checkpoint.

        Args:
            model: Trained in place.
            task: Says what the loss is and what predictions are worth.
            train: What is learned from.
            valid: What is validated on.
            optimizer: Over the model's parameters.
            schedule: Of its learning rate.
            run: The run's folder.
            log: Where it is told.
            write: Puts a usable model into the folder of a checkpoint.
            seed: Of the order of the examples and of what is sampled from them.
        """
        loop = _Loop(self, model, task, train, optimizer, schedule, log, write, seed, self.checkpoints(run))
        loop.resume()
        with Interrupt() as interrupt:
            while not self._ended(loop):
                epoch = self.batching.epoch(train, seed=seed, epoch=loop.progress.epoch, start=loop.progress.batch)
                group: list[np.ndarray] = []
                for indices in epoch:
                    group.append(indices)
                    if len(group) < self.accumulate:
                        continue
                    loop.update(group)
                    group = []
                    if loop.progress.update % self.validate_every == 0:
                        loop.validate(valid)
                    elif loop.progress.update % self.checkpoint_every == 0 or interrupt.asked:
                        loop.save({})
                    if interrupt.asked:
                        raise KeyboardInterrupt
                    if self._ended(loop):
                        break
                else:
                    if group:  # the last batches of an epoch may be fewer than a whole group
                        loop.update(group)
                    loop.progress = Progress(loop.progress.update, loop.progress.epoch + 1, 0)
            if loop.progress.update % self.validate_every:
                loop.validate(valid)
        return loop.checkpoints.best()[0]

    def _ended(self, loop: _Loop) -> bool:
        if loop.best.exhausted:
            return True
        if self.max_epochs is not None and loop.progress.epoch >= self.max_epochs:
            return True
        return self.max_updates is not None and loop.progress.update >= self.max_updates


class _Loop:
    """What changes while a trainer runs."""

    def __init__(
        self,
        trainer: Trainer,
        model: nn.Module,
        task: Task,
        train: Dataset,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        log: RunLog,
        write: Callable[[Path], None],
        seed: int,
        checkpoints: Checkpoints,
    ) -> None:
        self.trainer, self.model, self.task, self.train = trainer, model, task, train
        self.optimizer, self.schedule, self.log = optimizer, schedule, log
        self.write, self.seed, self.checkpoints = write, seed, checkpoints
        self.progress = Progress()
        self.best = Best(metric=trainer.metric, mode=trainer.mode, patience=trainer.patience)
        self.average = None if trainer.average is None else MovingAverage(model, decay=trainer.average)
        self.rates = [group["lr"] for group in optimizer.param_groups]

    def update(self, group: list[np.ndarray]) -> None:
        """One step of the optimizer on the batches of a group."""
        number = self.progress.update + 1
        factor = self.schedule(number)
        for parameters, rate in zip(self.optimizer.param_groups, self.rates):
            parameters["lr"] = rate * factor
        count, figures = self._gradients(list(group), number)
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                parameter.grad.div_(count)
        limit = self.trainer.clip_norm if self.trainer.clip_norm is not None else torch.inf
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), limit)
        if not torch.isfinite(norm):
            self._not_finite("gradient", float(norm), np.concatenate(group))
        self.optimizer.step()
        if self.average is not None:
            self.average.update()
        self.progress = Progress(number, self.progress.epoch, self.progress.batch + len(group))
        shown = {name: value / count for name, value in figures.items()}
        self.log.update(number, {**shown, "norm": float(norm), "lr": self.rates[0] * factor}, tokens=count)

    def validate(self, valid: Dataset) -> None:
        """Validates the weights that would be saved, and saves them."""
        with self.log.aside("validating"), self.average.applied() if self.average else nullcontext():
            seen = validate(self.model, self.task, valid, self.trainer.batching)
        self._tell(seen, valid)
        self.schedule.observe(seen.figures)
        self.best.observe(seen.figures)
        self.save(seen.figures)

    def save(self, figures: dict[str, float]) -> None:
        """Writes a checkpoint."""
        training = {
            "progress": asdict(self.progress),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "best": self.best.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        with self.log.aside("saving"), self.average.applied() if self.average else nullcontext():
            self.checkpoints.save(self.progress.update, write=self.write, training=training, figures=figures)

    def resume(self) -> None:
        """Goes back to the last checkpoint, where there is one."""
        latest = self.checkpoints.latest()
        if latest is None:
            return
        training = read_training(latest)
        self.progress = Progress(**training["progress"])
        self.model.load_state_dict(training["model"])
        self.optimizer.load_state_dict(training["optimizer"])
        self.schedule.load_state_dict(training["schedule"])
        self.best.load_state_dict(training["best"])
        if self.average is not None and training["average"] is not None:
            self.average.load_state_dict(training["average"])
        torch.set_rng_state(training["random"])
        if torch.cuda.is_available() and training["random_cuda"]:
            torch.cuda.set_rng_state_all(training["random_cuda"])
        self.log.truncate(self.progress.update)
        self.log.say(f"resumed at update {self.progress.update}, from {latest}")

    def _gradients(self, group: list[np.ndarray], number: int) -> tuple[int, dict[str, float]]:
        """Fills the gradients with sums over a group; returns what to divide by, and sums for the log."""
        while True:
            self.optimizer.zero_grad(set_to_none=True)
            count, figures = 0, {"loss": 0.0}
            for position, indices in enumerate(group):
                try:
                    loss = self._loss(indices, number)
                    if not torch.isfinite(loss.total):
                        self._not_finite("loss", float(loss.total), indices)
                    loss.total.backward()
                except (RuntimeError, MemoryError) as error:
                    if not _out_of_memory(error):
                        raise
                    # A backward cut short leaves part of its gradients behind, so the whole group begins anew.
                    group[position : position + 1] = self._halves(indices, number, error)
                    break
                count += loss.count
                figures["loss"] += float(loss.total.detach())
                for name, value in loss.figures.items():
                    figures[name] = figures.get(name, 0.0) + value
            else:
                return count, figures

    def _loss(self, indices: np.ndarray, number: int) -> Loss:
        self.model.train()
        # The number of the update seeds what is sampled from a batch, so that a resumed run samples the same.
        batch = self.train.batch(indices, seed=hash((self.seed, number, int(indices[0]))) % 2**31)
        dtype, device = PRECISIONS[self.trainer.precision], next(self.model.parameters()).device
        with torch.autocast(device.type, dtype=dtype) if dtype else nullcontext():
            return self.task.loss(self.model, batch.to(device), number)

    def _halves(self, indices: np.ndarray, number: int, error: Exception) -> list[np.ndarray]:
        where = self.train.where(int(indices[0]))
        if len(indices) == 1:
            raise TrainingError(
                f"out of memory at update {number} on one example alone, {where}: use a smaller model, or leave out "
                "long examples by data.filters.max_length"
            ) from error
        self.log.say(f"update {number}: out of memory on {len(indices)} examples ({where} and others); split in two")
        middle = len(indices) // 2
        return [indices[:middle], indices[middle:]]

    def _not_finite(self, what: str, value: float, indices: np.ndarray) -> None:
        places = ", ".join(self.train.where(int(index)) for index in indices)
        latest = self.checkpoints.latest()
        kept = f"the last good checkpoint is {latest}" if latest else "there is no checkpoint yet"
        raise TrainingError(
            f"the {what} became {value} at update {self.progress.update + 1}; {kept}; lower the learning rate or "
            f"trainer.clip_norm, or look at the batch's lines: {places}"
        )

    def _tell(self, seen: Validation, valid: Dataset) -> None:
        self.log.say(f"validation at update {self.progress.update}: {told(seen.figures)}")
        self.log.metrics(self.progress.update, "valid", seen.figures)
        for index in range(min(self.trainer.examples, len(valid))):
            example, best = valid.example(index), seen.predictions[index][0]
            self.log.say(f"    source     {example.src}\n    reference  {example.tgt}\n    output     {best}")


def _out_of_memory(error: Exception) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text
