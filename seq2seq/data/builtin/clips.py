"""Generated clips in which a shape moves, stops, turns back or vanishes, and a label for every frame."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seq2seq.data.builtin.waves import PARTS, check_part, sources_hash
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Example

PREFIX = "clip:"
SIDE = 16
"""Pixels along each side of a frame"""
COLOURS = {"red": (220, 40, 40), "green": (40, 180, 60), "blue": (50, 80, 220), "yellow": (230, 210, 50)}
KINDS: dict[str, Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]] = {
    "circle": np.hypot,
    "square": np.maximum,
    "diamond": np.add,
}
"""How far from a shape's centre a pixel lies, by how far across and down"""
WAYS = ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0))

Place = tuple[float, float]


class Clip(NamedTuple):
    """A shape in some frames."""

    shade: int
    """What the noise is drawn from"""
    colour: str
    kind: str
    radius: float
    """In pixels, as are the places"""
    places: tuple[Place | None, ...]
    """Where it is in each frame, across and down; None where it is not to be seen"""

    def text(self) -> str:
        """The clip as one line, from which ``parse`` makes it again."""
        places = " ".join("-" if place is None else f"{place[0]:.1f},{place[1]:.1f}" for place in self.places)
        return f"{PREFIX}{self.shade}; {self.colour} {self.kind} {self.radius:.1f}; {places}"

    @classmethod
    def parse(cls, text: str) -> Clip:
        """The clip that ``text()`` described. Raises DataError where the text is no such description."""
        try:
            shade, shape, places = text.removeprefix(PREFIX).split("; ")
            colour, kind, radius = shape.split(" ")
            if not text.startswith(PREFIX) or colour not in COLOURS or kind not in KINDS:
                raise ValueError(text)
            pairs = [None if place == "-" else tuple(map(float, place.split(","))) for place in places.split(" ")]
            if any(pair is not None and len(pair) != 2 for pair in pairs):
                raise ValueError(text)
            return cls(int(shade), colour, kind, float(radius), tuple(pairs))  # type: ignore[arg-type]
        except ValueError as error:
            shown = text if len(text) <= 60 else f"{text[:60]}…"
            raise DataError(
                f"{shown!r} describes no built-in clip: expected for example "
                f"'{PREFIX}7; red circle 2.5; 4.0,8.0 5.5,8.0 - 7.0,8.0'"
            ) from error

    def numbers(self) -> str:
        """Where the shape is in each frame and whether it can be seen, as text for a field of numbers."""
        return " ".join("0,0,0" if place is None else f"{place[0]:.1f},{place[1]:.1f},1" for place in self.places)

    def draw(self) -> NDArray[np.uint8]:
        """The frames ``[T, SIDE, SIDE, 3]``, RGB."""
        lot = np.random.default_rng(self.shade)
        frames = np.full((len(self.places), SIDE, SIDE, 3), lot.uniform(90, 160), np.float64)
        centres = np.arange(SIDE) + 0.5
        for frame, place in zip(frames, self.places):
            if place is not None:
                across, down = abs(centres[None, :] - place[0]), abs(centres[:, None] - place[1])
                inside = (self.radius + 0.5 - KINDS[self.kind](across, down)).clip(0, 1)[..., None]
                frame += inside * (np.array(COLOURS[self.colour]) - frame)
        return (frames + lot.normal(0, 8, frames.shape)).clip(0, 255).astype(np.uint8)


class Clips:
    """Reads generated clips and a label for each frame, which is told by where the shape was last seen and which way it
    last moved:

    ``appears`` in the first frame; ``vanishes`` when it is not to be seen; ``stops`` where it is where it was;
    ``moves``; ``turns`` when it moves against the way of its last move, however long ago that was.

    Args:
        part: ``train``, ``valid`` or ``test``.
        size: Clips.
        length: Frames of a clip.
        seed: Another seed draws other clips.
        pictures: A source describes pictures, to be drawn; False tells it in numbers: across, down, 1 where it is seen.
    """

    def __init__(self, *, part: str, size: int, length: int, seed: int, pictures: bool) -> None:
        check_part(part, "clips")
        if size < 1 or length < 1:
            raise ConfigError(f"{size=}, {length=} of the built-in clips: both must be at least 1")
        self.part, self.size, self.length, self.seed, self.pictures = part, size, length, seed, pictures

    def __iter__(self) -> Iterator[Example]:
        draw = random.Random(self.seed * len(PARTS) + PARTS.index(self.part)).random
        for number in range(self.size):
            clip, labels = _told(draw, self.length)
            src = clip.text() if self.pictures else clip.numbers()
            yield Example(src, " ".join(labels), f"clips:{self.part}:{number + 1}")

    def fingerprint(self) -> str:
        """A hash of the settings and of this file."""
        settings = f"{self.part} {self.size} {self.length} {self.seed} {self.pictures}"
        return sources_hash(settings, Path(__file__))


def _told(draw: Callable[[], float], length: int) -> tuple[Clip, list[str]]:
    """A clip by lot, and its labels."""
    radius, speed = round(2.0 + draw(), 1), round(1.6 + 0.8 * draw(), 1)
    least, most = radius + 0.5, SIDE - radius - 0.5
    place: Place = (round(least + (most - least) * draw(), 1), round(least + (most - least) * draw(), 1))
    way, moved, hidden = WAYS[int(draw() * len(WAYS))], False, False
    places: list[Place | None] = [place]
    labels = ["appears"]
    for _ in range(length - 1):
        hidden = draw() < (0.4 if hidden else 0.12)
        event = draw()  # drawn in any case, so that what is seen later depends on no label
        if hidden:
            places.append(None)
            labels.append("vanishes")
            continue
        turns = event < 0.25
        ahead, back = (_next(place, way, sign * speed) for sign in (1, -1))
        if event > 0.75:
            label = "stops"
        else:
            if not all(least <= each <= most for each in (back if turns else ahead)):
                turns = not turns  # there is a wall
            place, label = (back, "turns") if turns else (ahead, "moves")
            if turns:
                way = (-way[0], -way[1])
            if not moved:
                moved, label = True, "moves"  # a first move is against none
        places.append(place)
        labels.append(label)
    colour, kind = (list(names)[int(draw() * len(names))] for names in (COLOURS, KINDS))
    return Clip(int(draw() * 2**31), colour, kind, radius, tuple(places)), labels


def _next(place: Place, way: Place, distance: float) -> Place:
    return round(place[0] + way[0] * distance, 1), round(place[1] + way[1] * distance, 1)
