"""The task of naming: a label for each input, or for each of its steps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from seq2seq.data.fields import Fields, TextField
from seq2seq.data.labels import TagsField
from seq2seq.errors import ConfigError, RowError
from seq2seq.models.predictors import Predictor
from seq2seq.nn.independent import Labelled
from seq2seq.tasks.metrics import Metric, metrics_of, scored
from seq2seq.tasks.predictions import Prediction
from seq2seq.types import Batch, Example, Loss, Padded


class Labelling:
    """Names each input, or each step of it: classifying and tagging.

    Args:
        fields: Of both sides.
        metrics: What predictions are scored by, see ``tasks.metrics``.
        n_best: How many labellings to give of each input.
    """

    def __init__(self, *, fields: Fields, metrics: Sequence[str | Metric], n_best: int = 1) -> None:
        if not isinstance(fields.tgt, TagsField):
            raise ConfigError(f"labelling gives labels, but the target's field is a {type(fields.tgt).__name__}")
        if n_best < 1:
            raise ConfigError(f"n_best={n_best}: expected 1 or more")
        self.src, self.tgt, self.n_best = fields.src, fields.tgt, n_best
        self.metrics = metrics_of(metrics)

    def loss(self, model: Predictor, batch: Batch, update: int = 0) -> Loss:
        """The negative log-likelihood of the labels, summed."""
        if model.training:
            model.unfreeze(update)
        labels: Padded = batch.tgt
        scores = model(batch.src).values
        self._check(model.head.steps(self._positions(batch.src)), labels.lengths)
        sums = model.head.structure.losses(scores[:, : labels.values.shape[1]], labels)
        figures = {"nll": float(sums.nll), "accuracy": float(sums.correct)}
        return Loss(sums.total, int(labels.lengths.sum()), figures)

    @torch.inference_mode()
    def predict(self, model: Predictor, batch: Batch, *, attention: bool = False) -> list[list[Prediction]]:
        """The likeliest labellings of each example, best first. An input that holds nothing gets an empty one.

        Args:
            model: In evaluation mode.
            batch: Its targets are not looked at.
            attention: Also gives what each position counted for.
        """
        src: Padded = batch.src
        read, steps = model(src), model.head.steps(self._positions(src))
        scores = read.values[:, : int(steps.max())]
        found = model.head.structure.best(scores, steps, self.n_best)
        probs = model.head.structure.probs(scores, steps).cpu()
        looks = read.attention if attention else None
        predictions = []
        for row, labellings in enumerate(found):
            if self.src.is_empty(src.values[row, : src.lengths[row]]):
                predictions.append([Prediction("", [], 0.0, 0.0)])
                continue
            look = None if looks is None else looks[row, : int(steps[row]), : int(src.lengths[row])].float().cpu()
            predictions.append([self._prediction(each, probs[row], look) for each in labellings])
        return predictions

    @torch.inference_mode()
    def log_probs(self, model: Predictor, batch: Batch) -> list[float]:
        """The log-probability of each example's labels given its source, in nats; none of labels never seen."""
        labels: Padded = batch.tgt
        scores, structure = model(batch.src).values[:, : labels.values.shape[1]], model.head.structure
        rows = zip(scores.split(1), labels.values.split(1), labels.lengths.split(1))
        unseen = (labels.mask & (labels.values >= structure.size)).any(1).tolist()
        return [
            -math.inf if never else -float(structure.losses(score, Padded(value, length)).nll)
            for never, (score, value, length) in zip(unseen, rows)
        ]

    def score(self, predictions: list[list[Prediction]], examples: list[Example]) -> dict[str, float]:
        """The metrics of the best prediction for each example."""
        return scored(self.metrics, predictions, examples)

    def _positions(self, src: Padded) -> Tensor:
        """Positions that can have a label: a text ends with eos, which says nothing."""
        return (src.lengths - 1 if isinstance(self.src, TextField) else src.lengths).to(src.values.device)

    def _check(self, steps: Tensor, lengths: Tensor) -> None:
        wrong = (steps != lengths.to(steps.device)).nonzero()
        if len(wrong):
            row = int(wrong[0])
            raise RowError(
                f"an input of {int(steps[row])} steps has {int(lengths[row])} labels: give as many labels as steps, "
                "and choose a tokenizer whose tokens are what has labels (tokenizer=words or tokenizer=characters)",
                row,
            )

    def _prediction(self, found: Labelled, probs: Tensor, attention: Tensor | None) -> Prediction:
        each = [float(probs[step, label]) for step, label in enumerate(found.labels)]
        pieces = self.tgt.pieces(found.labels)
        text, marks = self.tgt.decode(found.labels), self.tgt.marks(pieces)
        return Prediction(text, pieces, found.log_prob, found.log_prob, attention, each, marks)
