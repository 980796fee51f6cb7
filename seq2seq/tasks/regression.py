"""The task of telling numbers: for each step of an input, or for steps to come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seq2seq.data.fields import Fields
from seq2seq.data.numbers import NumbersField
from seq2seq.errors import ConfigError, DataError, RowError
from seq2seq.metrics import numbers
from seq2seq.models.predictors import Predictor
from seq2seq.tasks.predictions import Prediction
from seq2seq.types import Batch, Example, Loss, Padded, State, map_state


@dataclass(frozen=True)
class Estimate(Prediction):
    """Numbers. Printed, they are text as their field writes it."""

    table: Any = None
    """[T, features], in the units in which the numbers came, as are ``low`` and ``high``"""
    low: Any = None
    """The lower end of the interval around each number; None where none is known, as with ``high``"""
    high: Any = None

    def record(self) -> dict[str, Any]:
        """What a line of JSON says."""
        ends = {"low": self.low, "high": self.high}
        return {"text": self.text, **{name: end.tolist() for name, end in ends.items() if end is not None}}


class Regression:
    """Tells numbers: of each step, of an input as a whole, or of what comes after it.

    Args:
        fields: Of both sides.
        season: Steps of a season, by which errors are scaled where a source is the past of its target, see
            ``metrics.numbers.scaled_error``; None where it is not.
    """

    def __init__(self, *, fields: Fields, season: int | None) -> None:
        if not isinstance(fields.tgt, NumbersField):
            raise ConfigError(f"regression gives numbers, but the target's field is a {type(fields.tgt).__name__}")
        if season is not None and (season < 1 or not isinstance(fields.src, NumbersField)):
            raise ConfigError(f"season={season}: expected steps of a past that is numbers too, 1 or more; or null")
        self.src, self.tgt, self.season = fields.src, fields.tgt, season
        self.metrics: list[Any] = []  # what it is scored by depends on more than texts, see score

    def loss(self, model: Predictor, batch: Batch, update: int = 0) -> Loss:
        """The loss of the head's structure, summed over numbers in units of the target's field."""
        if model.training:
            model.unfreeze(update)
        targets: Padded = batch.tgt
        self._check(model.steps(batch.src.lengths), targets.lengths)
        read = model.taught(batch.src, targets, batch.state)
        total = model.head.structure.losses(read.values[:, : targets.values.shape[1]], targets)
        state: State = None if batch.follows is None else map_state(Tensor.detach, read.summary)
        return Loss(total, int(targets.lengths.sum()) * self.tgt.size, state=state)

    @torch.inference_mode()
    def predict(self, model: Predictor, batch: Batch, *, attention: bool = False) -> list[list[Prediction]]:
        """The numbers of each example. An input that holds nothing gets none.

        Args:
            model: In evaluation mode.
            batch: Its targets are not looked at.
            attention: Also gives what each position counted for.
        """
        read, lengths = model(batch.src, batch.state), model.steps(batch.src.lengths).tolist()
        found = [None if part is None else part.cpu() for part in model.head.structure.estimate(read.values)]
        looks = None if read.attention is None or not attention else read.attention.float().cpu()
        predictions: list[list[Prediction]] = []
        for row, length in enumerate(lengths):
            table, low, high = (None if part is None else self.tgt.restore(part[row, :length]) for part in found)
            assert table is not None
            look = None if looks is None else looks[row, :length, : int(batch.src.lengths[row])]
            pieces = self.tgt.written(table)
            text = " ".join(pieces)
            predictions.append([Estimate(text, pieces, 0.0, 0.0, look, table=table, low=low, high=high)])
        return predictions

    def score(self, predictions: list[list[Prediction]], examples: list[Example]) -> dict[str, float]:
        """``mse`` and ``mae``; ``mase`` and what the seasonal naive forecast has of it, ``naive``; and ``coverage``."""
        found: list[Any] = [best[0] for best in predictions]
        came, tables = [self.tgt.parse(example.first) for example in examples], [each.table for each in found]
        figures = {"mse": numbers.squared_error(tables, came), "mae": numbers.absolute_error(tables, came)}
        if isinstance(self.src, NumbersField) and self.season is not None:
            pasts = [self.src.parse(example.src) for example in examples]
            try:
                figures["mase"] = numbers.scaled_error(tables, came, pasts, self.season)
            except RowError as error:
                raise error.placed(examples[error.row].where) from None
            naive = [numbers.seasonal_naive(past, self.season, len(to)) for past, to in zip(pasts, came)]
            figures["naive"] = numbers.scaled_error(naive, came, pasts, self.season)
        if all(each.low is not None for each in found):
            lows, highs = [each.low for each in found], [each.high for each in found]
            figures["coverage"] = numbers.coverage(lows, highs, came)
        return figures

    def _check(self, steps: Tensor, lengths: Tensor) -> None:
        wrong = (steps.cpu() != lengths.cpu()).nonzero()
        if len(wrong):
            row = int(wrong[0])
            raise DataError(
                f"the model tells {int(steps[row])} steps of numbers of an input whose target has {int(lengths[row])}: "
                "both must be as many"
            )
