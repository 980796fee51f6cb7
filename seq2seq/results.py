"""What a trained model is worth, in figures and pictures."""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from seq2seq import bundle
from seq2seq.config import build
from seq2seq.runs import settle

if TYPE_CHECKING:
    from seq2seq.data.readers import Reader
    from seq2seq.tasks.generation import Prediction
    from seq2seq.trained import Model
    from seq2seq.training.logging import RunLog
    from seq2seq.training.validation import Validation


def open_model(config: DictConfig) -> Model:
    """The trained model that a command was given, on the device that it was asked for."""
    return bundle.load(config.model, device=str(settle(config)), trust=config.trust)


def evaluate(model: Model, reader: Reader, *, task: Any = None, say: Callable[[str], None]) -> Validation:
    """What a model is worth on the pairs of a reader, by the path that validation takes in training."""
    from seq2seq.data.batching import Batching
    from seq2seq.data.datasets import open_dataset
    from seq2seq.training.validation import validate

    with tempfile.TemporaryDirectory() as cache:
        data = open_dataset(reader, model.fields, Path(cache), filters=None, name="pairs", say=say)
        return validate(model.network, task or model.task(), data, Batching(tokens=4096), say=say)


def finish(config: DictConfig, folder: Path, best: Path, log: RunLog) -> None:
    """Scores the best checkpoint on the test part and draws the run's pictures."""
    from seq2seq.plots import draw_curves
    from seq2seq.training.validation import told

    model = bundle.load(best, trust=None)  # it names what this very process was told to build it from
    if config.data.test is not None:
        reader = build(config.data.test, at="data.test")
        with log.aside("testing"):
            seen = evaluate(model, reader, say=log.say)
        log.say(f"test, with the best checkpoint ({best.name}): {told(seen.figures)}")
        log.metrics(int(best.name), "test", seen.figures)
        sources = [pair.src for pair in itertools.islice(reader, config.trainer.examples)]
        draw_maps(model, sources, model.predict(sources, attention=True), folder / "attention", log.say)
    draw_curves(folder / "metrics.jsonl", folder / "curves.png")
    pictures = [name for name in ("curves.png", "attention") if (folder / name).exists()]
    log.say(f"the model is in {folder}, its pictures are {' and '.join(pictures)}")


def draw_maps(
    model: Model,
    sources: Sequence[str],
    found: Sequence[Sequence[Prediction]],
    folder: Path,
    say: Callable[[str], None],
    *,
    first: int = 1,
) -> None:
    """Draws where a model looked while it wrote its best output for each source, ``1.png`` and so on.

    Args:
        model: Which it was.
        sources: What it read.
        found: Its predictions for each, with attention; those without are passed over.
        folder: For the pictures; made where there is one to draw.
        say: Told of what cannot be drawn as it should be.
        first: The number of the first source.
    """
    from seq2seq.plots import draw_attention

    for number, (source, predictions) in enumerate(zip(sources, found), start=first):
        best = predictions[0]
        if best.attention is not None:
            folder.mkdir(parents=True, exist_ok=True)
            field: Any = model.fields.src
            src_pieces = field.pieces(field.encode(source))
            draw_attention(best.attention, src_pieces, best.pieces, folder / f"{number}.png", say=say)


def to_stderr(text: str) -> None:
    """Says something where it does not mix with a command's output."""
    print(text, file=sys.stderr, flush=True)
