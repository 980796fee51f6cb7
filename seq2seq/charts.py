"""Pictures of numbers: what was foretold beside what came, and how a model came to tell it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seq2seq.plots import new_figure, save_png, styled

Table = NDArray[Any]
"""[T, features]"""
SHOWN = 6
"""Moments of a training that a picture shows."""
_A_SECOND = 4
"""Moments that an animation shows in a second."""


class Frame(NamedTuple):
    """A moment of a training: the numbers of some examples, one after the other."""

    update: int
    truth: Table
    told: Table


def draw_numbers(
    told: Table,
    target: Path,
    *,
    past: Table | None = None,
    truth: Table | None = None,
    low: Table | None = None,
    high: Table | None = None,
) -> None:
    """Draws numbers as lines over their steps, a panel for each feature, as a PNG.

    Args:
        told: What a model gave.
        target: The PNG to write.
        past: What it had read. Where both are as long it stands beside what was told, else before it.
        truth: What would have been right.
        low, high: The ends of the interval around each number.
    """
    features = told.shape[1]
    beside = past is not None and len(past) == len(told)
    begin = 0 if past is None or beside else len(past)
    steps = begin + np.arange(len(told))
    with styled([]):
        figure = new_figure(8, 2.6 * features)
        for feature in range(features):
            axes = figure.add_subplot(features, 1, feature + 1)
            if past is not None and feature < past.shape[1]:
                axes.plot(np.arange(len(past)), past[:, feature], color="0.6", linewidth=1, label="read")
            if low is not None and high is not None:
                axes.fill_between(steps, low[:, feature], high[:, feature], color="C0", alpha=0.2, label="interval")
            if truth is not None:
                axes.plot(steps, truth[:, feature], color="black", linewidth=1.2, label="truth")
            axes.plot(steps, told[:, feature], color="C0", linewidth=1.6, label="told", marker="." * (len(told) < 2))
            axes.grid(alpha=0.3)
            axes.legend(frameon=False, fontsize=8, loc="upper left", ncols=4)
        axes.set_xlabel("step")
        save_png(figure, target)


def read_frames(outputs: Path, parse: Callable[[str], Table]) -> list[Frame]:
    """The moments that the ``outputs.jsonl`` of a run tells of, in their order.

    Args:
        outputs: Where it is.
        parse: From text to numbers.
    """
    moments: dict[int, list[dict[str, Any]]] = {}
    for line in outputs.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        moments.setdefault(record["update"], []).append(record)
    return [
        Frame(update, *(np.concatenate([parse(each[name]) for each in records]) for name in ("reference", "output")))
        for update, records in sorted(moments.items())
    ]


def draw_frames(frames: Sequence[Frame], target: Path) -> None:
    """Draws truth and prediction at up to ``SHOWN`` moments from the first to the last one, as a PNG."""
    places = sorted({round(place) for place in np.linspace(0, len(frames) - 1, SHOWN)})
    columns = min(len(places), 2)
    rows = math.ceil(len(places) / columns)
    with styled([]):
        figure = new_figure(5 * columns, 2.2 * rows)
        for number, place in enumerate(places, start=1):
            _draw_frame(figure.add_subplot(rows, columns, number), frames[place])
        save_png(figure, target)


def animate(frames: Sequence[Frame], target: Path) -> None:
    """Draws truth and prediction as training went, as an animated GIF."""
    from matplotlib.animation import PillowWriter

    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part.gif")
    with styled([]):
        figure = new_figure(6, 3)
        figure.set_dpi(90)
        writer = PillowWriter(fps=_A_SECOND)
        with writer.saving(figure, str(part), dpi=90):
            for frame in frames:
                figure.clear()
                _draw_frame(figure.add_subplot(), frame)
                writer.grab_frame()
    part.replace(target)


def _draw_frame(axes: Any, frame: Frame) -> None:
    """One moment, on a scale that holds the truth, which is the same in all of them."""
    low, high = frame.truth.min(), frame.truth.max()
    room = 0.25 * (high - low) or 1.0
    for feature in range(frame.truth.shape[1]):
        axes.plot(frame.truth[:, feature], color="black", linewidth=1, label="truth" if feature == 0 else None)
        axes.plot(frame.told[:, feature], color=f"C{feature}", linewidth=1.5, label="told" if feature == 0 else None)
    axes.set_ylim(low - room, high + room)
    axes.set_title(f"update {frame.update}", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8, loc="upper right", ncols=2)
