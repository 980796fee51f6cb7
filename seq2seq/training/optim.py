"""Learning-rate schedules and the moving average of the weights.

A schedule maps the number of the update (from 1) to a factor of the optimizer's learning rate. All but ``Plateau`` are
pure functions; ``Plateau`` also remembers what the validations said, and is saved with the run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from seq2seq.errors import ConfigError
from seq2seq.training.stopping import Best


class Schedule:
    """A factor for every update: ``warmup`` updates of linear growth, then the subclass's ``shape``.

    Args:
        warmup: Updates until the full learning rate; 0 for none.
    """

    def __init__(self, *, warmup: int) -> None:
        if warmup < 0:
            raise ConfigError(f"warmup={warmup}: expected a number of updates, 0 or more")
        self.warmup = warmup

    def __call__(self, update: int) -> float:
        """The factor at an update, counted from 1."""
        return update / self.warmup if update < self.warmup else self.shape(update)

    def shape(self, update: int) -> float:
        """The factor after the warm-up."""
        return 1.0

    def observe(self, metrics: Mapping[str, float]) -> None:
        """Hears the figures of a validation."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` gave."""


class Constant(Schedule):
    """The full learning rate throughout."""


class InverseSqrt(Schedule):
    """√(warmup / i) after the warm-up (Vaswani et al. 2017, eq. 3, up to a constant)."""

    def shape(self, update: int) -> float:
        return math.sqrt(max(self.warmup, 1) / update)


class Cosine(Schedule):
    """Half a cosine from 1 to ``floor`` at update ``total`` (Loshchilov & Hutter 2017, eq. 5, without restarts)."""

    def __init__(self, *, warmup: int, total: int, floor: float) -> None:
        super().__init__(warmup=warmup)
        if total <= warmup:
            raise ConfigError(
                f"a cosine schedule of total={total} updates ends within its warmup={warmup}: set schedule.warmup "
                "lower or trainer.max_updates higher"
            )
        self.total, self.floor = total, floor

    def shape(self, update: int) -> float:
        share = min((update - self.warmup) / (self.total - self.warmup), 1.0)
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * share)) / 2


class StepDecay(Schedule):
    """Multiplies by ``factor`` at update ``start`` and every ``every`` updates from there."""

    def __init__(self, *, warmup: int, start: int, every: int, factor: float) -> None:
        super().__init__(warmup=warmup)
        if every < 1:
            raise ConfigError(f"every={every}: expected a number of updates, 1 or more")
        self.start, self.every, self.factor = start, every, factor

    def shape(self, update: int) -> float:
        return 1.0 if update < self.start else self.factor ** (1 + (update - self.start) // self.every)


class Plateau(Schedule):
    """Multiplies by ``factor`` whenever a validation figure has not improved for ``patience`` validations."""

    def __init__(self, *, warmup: int, metric: str, mode: str, factor: float, patience: int, floor: float) -> None:
        super().__init__(warmup=warmup)
        self.factor, self.floor, self.current = factor, floor, 1.0
        self.best = Best(metric=metric, mode=mode, patience=patience)

    def shape(self, update: int) -> float:
        return self.current

    def observe(self, metrics: Mapping[str, float]) -> None:
        self.best.observe(metrics)
        if self.best.exhausted:
            self.current = max(self.current * self.factor, self.floor)
            self.best.waited = 0

    def state_dict(self) -> dict[str, Any]:
        return {"current": self.current, "best": self.best.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.current = state["current"]
        self.best.load_state_dict(state["best"])


class MovingAverage:
    """An exponential moving average of a model's weights.

    The decay grows from 0 towards ``decay`` as (1 + i) / (10 + i), so that the first updates are forgotten soon.

    Args:
        model: Whose weights to follow.
        decay: Share of the average that an update keeps.
    """

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        self.decay = decay
        self.model = model
        self.restart()

    def restart(self) -> None:
        """Begins anew at the model's present weights."""
        self.updates = 0
        self.weights = {name: weight.detach().clone() for name, weight in self.model.named_parameters()}

    @torch.no_grad()
    def update(self) -> None:
        """Moves the average towards the model's weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, weight in self.model.named_parameters():
            if weight.requires_grad:  # a frozen one is its own average, and may be most of the model
                self.weights[name].lerp_(weight, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within it, the model has the averaged weights."""
        kept = {name: weight.detach().clone() for name, weight in self.model.named_parameters()}
        self._fill(self.weights)
        try:
            yield
        finally:
            self._fill(kept)

    @torch.no_grad()
    def _fill(self, weights: Mapping[str, Tensor]) -> None:
        for name, weight in self.model.named_parameters():
            weight.copy_(weights[name])

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {"updates": self.updates, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` gave."""
        self.updates = state["updates"]
        for name, weight in self.weights.items():
            weight.copy_(state["weights"][name])  # wherever the saved ones lay
