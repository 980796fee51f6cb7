"""What captions claim of a scene, and whether it is so. Every claim asks of more than a single shape's looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from seq2seq.data.builtin.scenes.scene import CELLS, SIZES, Scene, Shape

LAST = CELLS - 1
PLACES: dict[str, tuple[Sequence[int], Sequence[int]]] = {
    "top left": ([0], [0]),
    "top right": ([LAST], [0]),
    "bottom left": ([0], [LAST]),
    "bottom right": ([LAST], [LAST]),
    "top": ([1], [0]),
    "bottom": ([1], [LAST]),
    "left": ([0], [1]),
    "right": ([LAST], [1]),
    "centre": ([1], [1]),
    "upper third": (range(CELLS), [0]),
    "lower third": (range(CELLS), [LAST]),
    "left third": ([0], range(CELLS)),
    "right third": ([LAST], range(CELLS)),
}
"""The columns and rows that belong to each place"""


class Thing(NamedTuple):
    """A description of a shape. ``the`` says that only one shape of the scene answers to it."""

    article: Literal["a", "the"]
    colour: str
    kind: str
    size: str | None = None

    def found(self, scene: Scene) -> list[Shape]:
        """The shapes meant; none where ``the`` promises too much."""
        found = [s for s in scene.shapes if (s.colour, s.kind) == self[1:3] and self.size in (None, s.size)]
        return [] if self.article == "the" and len(found) != 1 else found


class At(NamedTuple):
    """A thing is at a place of the picture."""

    thing: Thing
    place: str

    def holds(self, scene: Scene) -> bool:
        """Whether it is so."""
        return any(is_at(shape, self.place) for shape in self.thing.found(scene))


class Beside(NamedTuple):
    """A thing lies to a side of another: in another column to the left or right, in another row above or below."""

    thing: Thing
    side: str
    other: Thing

    def holds(self, scene: Scene) -> bool:
        """Whether it is so."""
        others = self.other.found(scene)
        return any(lies(one, self.side, two) for one in self.thing.found(scene) for two in others)


class Compared(NamedTuple):
    """A thing is ``bigger`` or ``smaller`` than another, or of the ``same`` size."""

    thing: Thing
    degree: str
    other: Thing

    def holds(self, scene: Scene) -> bool:
        """Whether it is so."""
        others = self.other.found(scene)
        return any(compared(one, two) == self.degree for one in self.thing.found(scene) for two in others if one != two)


class Both(NamedTuple):
    """Two things are there, and ``total`` shapes in all where that is said."""

    thing: Thing
    other: Thing
    total: int | None = None

    def holds(self, scene: Scene) -> bool:
        """Whether it is so."""
        others = self.other.found(scene)
        pairs = [(one, two) for one in self.thing.found(scene) for two in others if one != two]
        return bool(pairs) and self.total in (None, len(scene.shapes))


class Among(NamedTuple):
    """A thing is there, and so many other shapes."""

    thing: Thing
    others: int

    def holds(self, scene: Scene) -> bool:
        """Whether it is so."""
        return bool(self.thing.found(scene)) and len(scene.shapes) == self.others + 1


class Alone(NamedTuple):
    """A thing is all there is, at a place where one is said."""

    thing: Thing
    place: str | None = None

    def holds(self, scene: Scene) -> bool:
        """Whether it is so."""
        found = self.thing.found(scene)
        return len(scene.shapes) == 1 and len(found) == 1 and (self.place is None or is_at(found[0], self.place))


class Extreme(NamedTuple):
    """A thing lies farther to a side than all other shapes."""

    farthest: str
    thing: Thing

    def holds(self, scene: Scene) -> bool:
        """Whether it is so."""
        found = self.thing.found(scene)
        return len(scene.shapes) > 1 and any(
            all(lies(one, self.farthest, two) for two in scene.shapes if two != one) for one in found
        )


class Odd(NamedTuple):
    """A thing is the only shape of its size."""

    only: str
    thing: Thing

    def holds(self, scene: Scene) -> bool:
        """Whether it is so."""
        sized = [shape for shape in scene.shapes if shape.size == self.only]
        return len(scene.shapes) > 1 and len(sized) == 1 and sized[0] in self.thing.found(scene)


class Tally(NamedTuple):
    """So many of all shapes, and not more, have a colour or are of a kind."""

    number: int
    total: int
    colour: str | None = None
    kinds: str | None = None

    def holds(self, scene: Scene) -> bool:
        """Whether it is so."""
        fitting = [s for s in scene.shapes if self.colour in (None, s.colour) and self.kinds in (None, s.kind)]
        return (len(fitting), len(scene.shapes)) == (self.number, self.total)


Claim = At | Beside | Compared | Both | Among | Alone | Extreme | Odd | Tally
CLAIMS = (At, Beside, Compared, Both, Among, Alone, Extreme, Odd, Tally)


def is_at(shape: Shape, place: str) -> bool:
    """Whether a shape is at a place."""
    columns, rows = PLACES[place]
    return shape.column in columns and shape.row in rows


def lies(one: Shape, side: str, two: Shape) -> bool:
    """Whether one shape lies to a side of another."""
    return {
        "left": one.column < two.column,
        "right": one.column > two.column,
        "above": one.row < two.row,
        "below": one.row > two.row,
    }[side]


def compared(one: Shape, two: Shape) -> str:
    """How the size of one shape compares with that of another."""
    difference = SIZES.index(one.size) - SIZES.index(two.size)
    return {-1: "smaller", 0: "same", 1: "bigger"}[difference]
