"""Validation: the loss and the score of a model on a whole set, by the path that predictions take too."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from seq2seq.data.batching import Batching
from seq2seq.data.datasets import Corpus, Mixture

if TYPE_CHECKING:
    from seq2seq.training.trainer import Task


Dataset = Corpus | Mixture


@dataclass
class Validation:
    """What a validation found."""

    figures: dict[str, float]
    predictions: list[Any]
    """In the order of the set"""


def validate(model: nn.Module, task: Task, data: Dataset, batching: Batching) -> Validation:
    """The mean loss, its perplexity where it is a likelihood, and the task's own figures, on all of a set."""
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    count, sums = 0, {"loss": 0.0}
    predictions: list[Any] = [None] * len(data)
    with torch.inference_mode():
        for indices in batching.in_order(data):
            batch = data.batch(indices).to(device)
            loss = task.loss(model, batch)
            count += loss.count
            sums["loss"] += float(loss.total)
            for name, value in loss.figures.items():
                sums[name] = sums.get(name, 0.0) + value
            for index, prediction in zip(indices, task.predict(model, batch)):
                predictions[int(index)] = prediction
    model.train(was_training)
    figures = {name: value / count for name, value in sums.items()}
    if "nll" in figures:
        figures["perplexity"] = math.exp(min(figures["nll"], 700.0))
    references = [data.example(index).tgt for index in range(len(data))]
    return Validation({**figures, **task.score(predictions, references)}, predictions)


def told(figures: Mapping[str, float]) -> str:
    """Figures on one line."""
    return "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
