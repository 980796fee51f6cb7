"""Validation: the loss and the score of a model on a whole set, by the path that predictions take too."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import nn

from seq2seq.data.batching import Batches
from seq2seq.data.datasets import Dataset
from seq2seq.training.carry import Carry
from seq2seq.training.distributed import ALONE, Processes
from seq2seq.training.gradients import Sums, Task
from seq2seq.training.memory import in_parts
from seq2seq.types import Loss


@dataclass
class Validation:
    """What a validation found."""

    figures: dict[str, float]
    predictions: list[Any]
    """In the order of the set"""


def validate(
    model: nn.Module,
    task: Task,
    data: Dataset,
    batching: Batches,
    *,
    processes: Processes = ALONE,
    say: Callable[[str], None] = print,
) -> Validation:
    """The mean loss, its perplexity where it is a likelihood, and the task's own figures, on all of a set.

    Args:
        model: Left as it was found.
        task: Gives losses, predictions and their score.
        data: All of it is seen, in an order that changes no result; where states are carried, in the order of these.
        batching: How large a batch may be.
        processes: Among whom the batches are dealt out, unless each goes on from the last; all learn the result.
        say: Is told when a batch must be split.
    """
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    carry, among = Carry(), ALONE if data.carries else processes

    def seen(indices: np.ndarray) -> tuple[Loss, list[Any]]:
        batch = carry.onto(data.batch(indices)).to(device)
        return task.loss(model, batch), task.predict(model, batch)

    parts: list[tuple[int, Sums]] = []
    own: dict[int, Any] = {}
    with torch.inference_mode():
        for number, batch in islice(enumerate(batching.in_order(data)), among.rank, None, among.size):
            parts.append((number, Sums()))
            for indices, (loss, found) in in_parts(seen, batch, during="validation", where=data.where, say=say):
                parts[-1][1].add(loss)
                own.update(zip(indices.tolist(), found))
                carry.keep(indices.tolist(), loss.state)
            carry.settle([carry.fresh])
    model.train(was_training)
    gathered = among.gather((parts, own))
    sums = Sums()
    # Batch after batch, so that it makes no difference to the last bit who has seen them.
    for _, part in sorted((part for parts, _ in gathered for part in parts), key=lambda part: part[0]):
        sums.join(part)
    every = {index: prediction for _, own in gathered for index, prediction in own.items()}
    predictions = [every[index] for index in range(len(data))]
    figures = sums.means()
    if "nll" in figures:
        figures["perplexity"] = math.exp(min(figures["nll"], 700.0))
    if "characters" in figures:  # for each token, of a text without a source
        figures["bits_per_character"] = figures["nll"] / math.log(2) / figures.pop("characters")

    def score() -> dict[str, float]:
        return task.score(predictions, [data.example(index) for index in range(len(data))])

    return Validation({**figures, **processes.once(score)}, predictions)


def one_line(value: Any) -> str:
    """A value as it is printed, with whatever it has of newlines shown."""
    return str(value).replace("\n", "\\n")


def told(figures: Mapping[str, float]) -> str:
    """Figures on one line."""
    return "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
