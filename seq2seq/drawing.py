"""The pictures of a model's predictions: each kind of prediction has a way of its own to be drawn."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq.data.numbers import NumbersField
from seq2seq.tasks.predictions import Continuation, Prediction
from seq2seq.tasks.regression import Estimate
from seq2seq.types import Example

if TYPE_CHECKING:
    from seq2seq.trained import Model

Say = Callable[[str], None]


def draw_all(
    model: Model,
    examples: Sequence[Example],
    found: Sequence[Sequence[Prediction]],
    folder: Path,
    say: Say,
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
def draw(best: Prediction, model: Model, example: Example, target: Path, say: Say) -> None:
    """Draws a prediction: here, its marks on the input, or where the model looked while it wrote."""
    from seq2seq.plots import draw_attention, draw_looks, draw_marks

    field = model.fields.src
    if best.marks:
        read = field.pieces(field.encode(example.src))[: len(best.marks)]
        if read:  # frames and numbers have no names to write down
            draw_marks(read, best.marks, target, title=" ".join(best.pieces[: -len(best.marks)]), say=say)
    elif best.attention is not None:
        picture = field.view(example.src)
        if picture is not None:
            draw_looks(best.attention, picture, best.pieces, target, title=best.text, say=say)
        else:
            draw_attention(best.attention, field.pieces(field.encode(example.src)), best.pieces, target, say=say)


@draw.register(Continuation)
def _(best: Continuation, model: Model, example: Example, target: Path, say: Say) -> None:
    """A page with what was written, each token as red as it was surprising."""
    from seq2seq.surprise import write_page

    if best.probs is not None:
        write_page(example.src, best.pieces, best.probs, target.with_suffix(".html"))


@draw.register(Estimate)
def _(best: Estimate, model: Model, example: Example, target: Path, say: Say) -> None:
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
