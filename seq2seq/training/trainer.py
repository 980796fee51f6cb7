"""The training loop."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from seq2seq.data.batching import Batches
from seq2seq.data.datasets import Dataset
from seq2seq.errors import ConfigError, TrainingError, nearest
from seq2seq.training.carry import Carry
from seq2seq.training.checkpoint import Checkpoints, read_training
from seq2seq.training.distributed import ALONE, Processes, ProcessLost
from seq2seq.training.gradients import PRECISIONS, Gradients, NotFinite, Task
from seq2seq.training.interrupt import Interrupt
from seq2seq.training.logging import RunLog
from seq2seq.training.optim import MovingAverage, Schedule
from seq2seq.training.state import Progress, TrainingState
from seq2seq.training.stopping import Best
from seq2seq.training.validation import Validation, one_line, told, validate


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
        validate_first: Validates before the first update too.
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
        validate_first: bool,
        batching: Batches,
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
        self.validate_first = validate_first

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
        processes: Processes = ALONE,
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
            processes: Those that train together. Their number changes no update but by rounding.

        Raises:
            KeyboardInterrupt: Ctrl-C was heard; a checkpoint has been made after the update that was going on.
            TrainingError: It cannot go on: not finite, out of memory, no room on the disk.
        """
        processes.share(list(model.state_dict().values()))
        best = Best(metric=self.metric, mode=self.mode, patience=self.patience)
        average = None if self.average is None else MovingAverage(model, decay=self.average)
        carry = Carry()
        state = TrainingState(
            model=model,
            optimizer=optimizer,
            schedule=schedule,
            best=best,
            average=average,
            processes=processes,
            carry=carry,
        )
        gradients = Gradients(
            model=model,
            task=task,
            data=train,
            clip_norm=self.clip_norm,
            precision=self.precision,
            seed=seed,
            processes=processes,
            say=log.say,
            carry=carry,
        )
        work = _Work(self, state, gradients, valid, self.checkpoints(run), log, write)
        work.begin()
        groups = self._groups(train, seed, state.progress)
        coming = next(groups)
        with Interrupt(tells=processes.first) as interrupt, work.together():
            while not (self._at_end(state.progress) or state.best.exhausted):
                (group, after), coming = coming, next(groups)
                work.update(group, after, coming[0])
                stop = any(processes.gather(interrupt.asked))
                if after.update % self.validate_every == 0 or self._at_end(after):
                    work.validate()
                elif after.update % self.checkpoint_every == 0 or stop:
                    work.save({})
                if stop:
                    raise KeyboardInterrupt
        if not processes.once(work.checkpoints.best):  # resumed, and past its end before its first validation
            work.validate()
        return processes.once(work.checkpoints.best)[0]

    def _groups(self, data: Dataset, seed: int, start: Progress) -> Iterator[tuple[list[np.ndarray], Progress]]:
        """The batches of each update from a place on, epoch after epoch without end, and the place after each.

        An epoch's last group may be smaller than the others. One group is looked ahead, to know which that is.
        """
        update, _, batch = start
        for epoch in itertools.count(start.epoch):
            batches = iter(self.batching.epoch(data, seed=seed, epoch=epoch, start=batch))
            group = list(itertools.islice(batches, self.accumulate))
            while group:
                following = list(itertools.islice(batches, self.accumulate))
                update, batch = update + 1, batch + len(group)
                yield group, Progress(update, epoch, batch) if following else Progress(update, epoch + 1, 0)
                group = following
            batch = 0

    def _at_end(self, progress: Progress) -> bool:
        if self.max_epochs is not None and progress.epoch >= self.max_epochs:
            return True
        return self.max_updates is not None and progress.update >= self.max_updates


class _Work:
    """What the loop does: its verbs."""

    def __init__(
        self,
        trainer: Trainer,
        state: TrainingState,
        gradients: Gradients,
        valid: Dataset,
        checkpoints: Checkpoints,
        log: RunLog,
        write: Callable[[Path], None],
    ) -> None:
        self.trainer, self.state, self.gradients, self.valid = trainer, state, gradients, valid
        self.checkpoints, self.log, self.write = checkpoints, log, write
        self.processes = gradients.processes

    def begin(self) -> None:
        """Goes back to the last checkpoint, where there is one."""
        latest = self.processes.once(self.checkpoints.latest)
        if latest is None:
            if not self.processes.first:  # the first goes on with the numbers that it has
                self.state.reseed(self.gradients.seed)
            if self.trainer.validate_first:
                self.validate()
            return
        training = self.processes.once(lambda: read_training(latest))
        same = self.state.load_state_dict(training, seed=self.gradients.seed)
        self.log.truncate(self.state.progress.update)
        self.log.say(f"resumed at update {self.state.progress.update}, from {latest}")
        if not same:
            before, now = len(training["random"]), self.processes.size
            self.log.say(
                f"processes: {before} before, {now} now; the random numbers of dropout and the like begin anew"
            )

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Within it the processes train; where one is lost, says how to go on."""
        try:
            yield
        except ProcessLost as lost:
            again = f"go on with resume={self.checkpoints.folder.parent}, with as many processes as you like"
            raise ProcessLost(f"{lost}; {self._kept()}; {again}") from lost

    def update(self, group: list[np.ndarray], after: Progress, following: list[np.ndarray]) -> None:
        """One step of the optimizer on the batches of a group; those of the next one may be made meanwhile."""
        try:
            sums, norm = self.gradients.fill(group, after.update, following)
            rate = self.state.step(after)
            if not math.isfinite(size := self.state.size()):
                raise NotFinite("norm of the weights", size, np.concatenate(group))  # never to be saved
        except NotFinite as found:
            raise self.processes.once(functools.partial(self._stopped, found, after.update)) from found
        self.log.update(after.update, {**sums.means(), "norm": norm, "lr": rate}, tokens=sums.count)

    def validate(self) -> None:
        """Validates the weights that would be used, and saves them."""
        with self.log.aside("validating"), self.state.shown():
            seen = validate(
                self.state.model,
                self.gradients.task,
                self.valid,
                self.trainer.batching,
                processes=self.processes,
                say=self.log.say,
            )
        self._tell(seen)
        self.state.schedule.observe(seen.figures)
        self.state.best.observe(seen.figures)
        self.save(seen.figures)

    def save(self, figures: dict[str, float]) -> None:
        """Makes a checkpoint: to use, with the weights that are shown; to go on from, with those that are trained."""

        def write(folder: Path) -> None:
            with self.state.shown():
                self.write(folder)

        with self.log.aside("saving"):
            update, training = self.state.progress.update, self.state.state_dict()
            self.processes.once(lambda: self.checkpoints.save(update, write=write, training=training, figures=figures))

    def _tell(self, seen: Validation) -> None:
        update = self.state.progress.update
        self.log.say(f"validation at update {update}: {told(seen.figures)}")
        self.log.metrics(update, "valid", seen.figures)
        for index in range(min(self.trainer.examples, len(self.valid))):
            example, best = self.valid.example(index), seen.predictions[index][0]
            shown = {"source": example.src, "reference": example.first, "output": best}
            for name, value in shown.items():
                self.log.say(f"    {name:<9}  {one_line(value)}")
            self.log.output(update, str(example.src), str(example.first), str(best))

    def _stopped(self, found: NotFinite, update: int) -> TrainingError:
        """Names some of the lines, and where all of them are."""
        examples = [self.gradients.data.example(int(index)) for index in found.indices]
        places = ", ".join(example.where for example in examples[:3])
        target = self.log.folder / "not_finite.tsv"
        if len(examples) > 3:
            places += f" and {len(examples) - 3} more, all in {target}"
        lines = [f"{example.where}\t{example.src}\t{example.tgt}\n" for example in examples]
        with contextlib.suppress(OSError):  # what stopped the run is the news
            target.write_text("".join(lines), encoding="utf-8")
        return TrainingError(
            f"{found} at update {update}, on {places}; {self._kept()}; lower optimizer.lr or trainer.clip_norm, "
            "or mend these lines"
        )

    def _kept(self) -> str:
        latest = self.checkpoints.latest()
        return f"the last good checkpoint is {latest}" if latest else "there is no checkpoint yet"
