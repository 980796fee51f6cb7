"""What a trained model is worth, in figures and pictures."""

from __future__ import annotations

import functools
import itertools
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from seq2seq import bundle
from seq2seq.config import build
from seq2seq.data.numbers import NumbersField
from seq2seq.errors import ConfigError, DataError
from seq2seq.models.inference import resolved
from seq2seq.runs import settle
from seq2seq.tasks.predictions import Prediction
from seq2seq.tasks.regression import Estimate
from seq2seq.types import Example

PICTURES = "attention"
"""The folder of a run's pictures of its predictions."""

if TYPE_CHECKING:
    from seq2seq.data.batching import Batching
    from seq2seq.data.readers import Reader
    from seq2seq.trained import Model
    from seq2seq.training.logging import RunLog
    from seq2seq.training.validation import Validation


def open_model(config: DictConfig) -> Model:
    """The trained model that a command was given, on the device that it was asked for."""
    import torch

    device = settle(config, local_rank=int(os.environ.get("LOCAL_RANK", "0")))
    if config.matmul_precision is None and resolved(config.precision, device) == "int8":
        torch.set_float32_matmul_precision("highest")  # only the small ones of attention are left
    shortlist = config.get("shortlist") or False
    if not isinstance(shortlist, bool):
        raise ConfigError(f"shortlist={shortlist}: expected true or false")
    options = {"precision": config.precision, "shortlist": shortlist, "trust": config.trust}
    return bundle.load(config.model, device=str(device), **options)


def evaluate(model: Model, reader: Reader, *, task: Any = None, say: Callable[[str], None]) -> Validation:
    """What a model is worth on the pairs of a reader, by the path that validation takes in training."""
    from seq2seq.data.datasets import open_dataset
    from seq2seq.training.validation import validate

    with tempfile.TemporaryDirectory() as cache:
        data = open_dataset(reader, model.fields, Path(cache), filters=None, name="pairs", say=say)
        return validate(model.network, task or model.task(), data, batching(model), say=say)


def batching(model: Model) -> Batching:
    """How many examples are put to a model at a time: as in its training."""
    return build(OmegaConf.load(model.folder / bundle.RUN).trainer.batching, at="trainer.batching", trusted=model.trust)


def finish(config: DictConfig, folder: Path, best: Path, log: RunLog) -> None:
    """Scores the best checkpoint on the test part and draws the run's pictures."""
    from seq2seq.plots import draw_curves
    from seq2seq.training.validation import told

    model = bundle.load(best, trust=None)  # it names what this very process was told to build it from
    if config.data.test is not None:
        reader = build(config.data.test, at="data.test")
        try:
            with log.aside("testing"):
                seen = evaluate(model, reader, say=log.say)
        except DataError as error:  # what was trained is there all the same
            log.say(f"no test: {error}")
        else:
            log.say(f"test, with the best checkpoint ({best.name}): {told(seen.figures)}")
            log.metrics(int(best.name), "test", seen.figures)
            examples = list(itertools.islice(reader, config.trainer.examples))
            found = model.predict([example.src for example in examples], attention=True)
            draw_all(model, examples, found, folder / PICTURES, log.say)
            for predictions in found[:1]:
                draw_progress(predictions[0], model, folder)
    draw_curves(folder / "metrics.jsonl", folder / "curves.png")
    pictures = [path.name for path in (*sorted(folder.glob("*.png")), *folder.glob("*.gif"), folder / PICTURES)]
    pictures = [name for name in pictures if (folder / name).exists()]
    log.say(f"the model is in {folder}, its pictures are {' and '.join(pictures)}")


def draw_all(
    model: Model,
    examples: Sequence[Example],
    found: Sequence[Sequence[Prediction]],
    folder: Path,
    say: Callable[[str], None],
    *,
    first: int = 1,
) -> None:
    """Draws the best prediction for each example, ``1.png`` and so on, where there is something to draw.

    Args:
        model: Whose they are.
        examples: What it read, and what was right where that is known.
        found: Its predictions for each, with attention.
        folder: For the pictures; made where there is one to draw.
        say: Told of what cannot be drawn as it should be.
        first: The number of the first example.
    """
    for number, (example, predictions) in enumerate(zip(examples, found), start=first):
        draw(predictions[0], model, example, folder / f"{number}.png", say)


@functools.singledispatch
def draw(best: Prediction, model: Model, example: Example, target: Path, say: Callable[[str], None]) -> None:
    """Draws a prediction: here, where the model looked while it wrote, if it did. Each kind has a way of its own."""
    from seq2seq.plots import draw_attention, draw_looks

    if best.attention is None:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    field, picture = model.fields.src, model.fields.src.view(example.src)
    if picture is not None:
        draw_looks(best.attention, picture, best.pieces, target, title=best.text, say=say)
    else:
        draw_attention(best.attention, field.pieces(field.encode(example.src)), best.pieces, target, say=say)


@draw.register(Estimate)
def _(best: Estimate, model: Model, example: Example, target: Path, say: Callable[[str], None]) -> None:
    """Numbers, the interval around them, and what was read before or beside them."""
    from seq2seq.charts import draw_numbers

    if not best.pieces:
        return
    source, numbers = model.fields.src, model.fields.tgt
    past = source.parse(example.src) if isinstance(source, NumbersField) else None
    truth = None if example.tgt is None else numbers.parse(example.first)  # type: ignore[attr-defined]
    draw_numbers(best.table, target, past=past, truth=truth, low=best.low, high=best.high)


@functools.singledispatch
def draw_progress(best: Prediction, model: Model, folder: Path) -> None:
    """Draws what the validations of a run showed as training went on, where that can be drawn."""


@draw_progress.register(Estimate)
def _(best: Estimate, model: Model, folder: Path) -> None:
    from seq2seq import charts

    numbers: Any = model.fields.tgt
    frames = charts.read_frames(folder / "outputs.jsonl", numbers.parse)
    charts.draw_frames(frames, folder / "progress.png")
    charts.animate(frames, folder / "progress.gif")


def to_stderr(text: str) -> None:
    """Says something where it does not mix with a command's output."""
    print(text, file=sys.stderr, flush=True)
