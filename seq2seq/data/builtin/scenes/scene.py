"""What a generated picture shows, and the drawing of such scenes by lot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from seq2seq.errors import DataError

T = TypeVar("T")

KINDS = ("circle", "square", "triangle", "star", "cross")
COLOURS = ("red", "yellow", "green", "blue", "purple", "black")
SIZES = ("small", "big")
RADII = {"small": (5.2, 6.2), "big": (8.8, 9.8)}
"""The shortest and longest radius of each size, in pixels"""
SIDE = 64
"""Pixels along each side of a picture"""
CELLS = 3
"""A picture is thought of as this many columns and rows; a shape stays within one of their cells"""
PREFIX = "scene:"
COUNTS = (1, 1, 2, 2, 3, 4)
"""How many shapes a scene has, each of these equally often"""


class Shape(NamedTuple):
    kind: str
    colour: str
    size: str
    radius: float
    """In pixels, like ``x`` (from the left edge) and ``y`` (from the upper one), which are its centre"""
    x: float
    y: float

    @property
    def column(self) -> int:
        """0 for left, 1 for the middle, 2 for right."""
        return int(self.x * CELLS / SIDE)

    @property
    def row(self) -> int:
        """0 for top, 1 for the middle, 2 for bottom."""
        return int(self.y * CELLS / SIDE)


class Scene(NamedTuple):
    """One to four shapes, no two of them in one cell, and the number that shades and background are drawn from."""

    shapes: tuple[Shape, ...]
    shade: int

    def text(self) -> str:
        """The scene as one line, from which ``parse`` makes it again."""
        shapes = (f"{s.colour} {s.kind} {s.size} {s.radius:.1f} {s.x:.1f} {s.y:.1f}" for s in self.shapes)
        return f"{PREFIX}{self.shade}; {'; '.join(shapes)}"

    @classmethod
    def parse(cls, text: str) -> Scene:
        """The scene that ``text()`` described.

        Raises DataError where the text is no such description.
        """
        shade, *parts = text.removeprefix(PREFIX).split("; ")
        try:
            shapes = tuple(_shape(*part.split(" ")) for part in parts)
            if not shapes or not text.startswith(PREFIX):
                raise ValueError(text)
            return cls(shapes, int(shade))
        except (TypeError, ValueError) as error:
            raise DataError(
                f"{text!r} describes no built-in scene: expected for example "
                f"'{PREFIX}7; red circle small 4.5 10.7 53.3', as the reader of the built-in scenes writes it"
            ) from error

    def layout(self) -> str:
        """What the scene shows, whatever its shades and the exact places within the cells."""
        return "; ".join(sorted(f"{s.colour} {s.kind} {s.size} {s.column} {s.row}" for s in self.shapes))


class Lot:
    """Draws from sequences. Only ``random()`` of Python's generator is asked: it alone is the same in every version."""

    def __init__(self, *, random: Callable[[], float]) -> None:
        self._random = random

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices, each equally likely."""
        return choices[int(self._random() * len(choices))]

    def chance(self, probability: float) -> bool:
        """True this often."""
        return self._random() < probability

    def between(self, low: float, high: float) -> float:
        """A number, rounded to tenths."""
        return round(low + (high - low) * self._random(), 1)

    def scene(self) -> Scene:
        """A scene. Now and then a shape repeats the colour or the kind of another, so that there is much to count."""
        free = [(column, row) for column in range(CELLS) for row in range(CELLS)]
        shapes: list[Shape] = []
        for _ in range(self.pick(COUNTS)):
            cell = self.pick(free)
            free.remove(cell)
            shapes.append(self._shape(cell, shapes))
        return Scene(tuple(shapes), int(self._random() * 2**31))

    def _shape(self, cell: tuple[int, int], others: Sequence[Shape]) -> Shape:
        kind = self.pick(others).kind if others and self.chance(0.15) else self.pick(KINDS)
        colour = self.pick(others).colour if others and self.chance(0.15) else self.pick(COLOURS)
        size = self.pick(SIZES)
        radius = self.between(*RADII[size])
        room = SIDE / CELLS / 2 - radius - 0.5
        x, y = (round((place + 0.5) * SIDE / CELLS + self.between(-room, room), 1) for place in cell)
        return Shape(kind, colour, size, radius, x, y)


def _shape(colour: str, kind: str, size: str, radius: str, x: str, y: str) -> Shape:
    if colour not in COLOURS or kind not in KINDS or size not in SIZES:
        raise ValueError(f"{colour} {kind} {size}")
    shape = Shape(kind, colour, size, float(radius), float(x), float(y))
    if not (0 < shape.radius <= SIDE and 0 <= shape.x < SIDE and 0 <= shape.y < SIDE):
        raise ValueError(f"{radius} {x} {y}")
    return shape
