"""Which validation was the best so far, and whether it is time to stop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from seq2seq.errors import ConfigError, nearest

MODES = ("min", "max")


class Best:
    """Follows one figure of the validations.

    Args:
        metric: Name of the figure.
        mode: ``min`` or ``max``: which way is better.
        patience: Validations without improvement after which ``exhausted`` is True; None for never.
    """

    def __init__(self, *, metric: str, mode: str, patience: int | None) -> None:
        if mode not in MODES:
            raise ConfigError(f"mode={mode!r} for {metric}: {nearest(mode, MODES)}")
        self.metric, self.mode, self.patience = metric, mode, patience
        self.value = math.inf if mode == "min" else -math.inf
        self.waited = 0

    @property
    def exhausted(self) -> bool:
        """Whether the patience has run out."""
        return self.patience is not None and self.waited >= self.patience

    def value_in(self, metrics: Mapping[str, float]) -> float:
        """The figure that is followed, out of a validation's figures."""
        if self.metric not in metrics:
            raise ConfigError(f"no validation figure is called {self.metric!r}: {nearest(self.metric, metrics)}")
        return metrics[self.metric]

    def observe(self, metrics: Mapping[str, float]) -> bool:
        """Hears the figures of a validation; True where it is the best so far."""
        value = self.value_in(metrics)
        better = value < self.value if self.mode == "min" else value > self.value
        self.value, self.waited = (value, 0) if better else (self.value, self.waited + 1)
        return better

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {"metric": self.metric, "mode": self.mode, "value": self.value, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` gave, unless that was about another figure."""
        if (state["metric"], state["mode"]) == (self.metric, self.mode):
            self.value, self.waited = state["value"], state["waited"]
