"""How captions word their claims: the patterns and phrases of their grammar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seq2seq.data.builtin.scenes.claims import (
    Alone,
    Among,
    At,
    Beside,
    Both,
    Compared,
    Extreme,
    Odd,
    Tally,
    Thing,
)
from seq2seq.data.builtin.scenes.grammar import Grammar

PATTERNS: Mapping[type, Sequence[str]] = {
    Thing: ["{article} {colour} {kind}", "{article} {size} {colour} {kind}"],
    At: [
        "{thing} {place}",
        "{thing} {sits} {place}",
        "there is {thing} {place}",
        "{see} {thing} {place}",
        "{place} there is {thing}",
        "{place} {sits} {thing}",
    ],
    Beside: [
        "{thing} {side} {other}",
        "{thing} {sits} {side} {other}",
        "there is {thing} {side} {other}",
        "{see} {thing} {side} {other}",
        "{side} {other} there is {thing}",
    ],
    Compared: [
        "there is {thing} that is {degree} {other}",
        "{see} {thing} {degree} {other}",
        "{degree} {other} is {thing}",
    ],
    Both: [
        "{thing} and {other}",
        "{see} both {thing} and {other}",
        "there is {thing} as well as {other}",
        "{see} {total} shapes among them {thing} and {other}",
        "{total} shapes including {thing} and {other}",
    ],
    Among: [
        "{thing} and {others}",
        "{see} {thing} together with {others}",
        "besides {thing} there is nothing but {others}",
        "{others} together with {thing}",
    ],
    Alone: [
        "only {thing}",
        "{see} nothing but {thing}",
        "{thing} all by itself",
        "there is just one shape and it is {thing}",
        "{thing} alone {place}",
        "nothing but {thing} {place}",
        "{place} {thing} is all there is",
    ],
    Extreme: [
        "the {farthest} shape is {thing}",
        "the {farthest} of all shapes is {thing}",
        "{see} as the {farthest} one {thing}",
    ],
    Odd: [
        "the only {only} shape is {thing}",
        "{see} only one {only} shape namely {thing}",
        "no other shape is as {only} as {thing}",
    ],
    Tally: [
        "{number} of the {total} shapes are {colour}",
        "{see} {total} shapes of which {number} are {colour}",
        "{total} shapes but only {number} of them are {colour}",
        "{number} of the {total} shapes are {kinds}",
        "{see} {total} shapes of which {number} are {kinds}",
        "{total} shapes but only {number} of them are {kinds}",
    ],
}

_SIZES = {"small": ["small", "little", "tiny"], "big": ["big", "large", "huge"]}
_NUMBERS = {2: ["two"], 3: ["three"], 4: ["four"]}

PHRASES: Mapping[str, Mapping[Any, Sequence[str]]] = {
    "article": {"a": ["a"], "the": ["the"]},
    "colour": {
        "red": ["red"],
        "yellow": ["yellow"],
        "green": ["green"],
        "blue": ["blue"],
        "purple": ["purple", "violet"],
        "black": ["black"],
    },
    "kind": {
        "circle": ["circle", "disc"],
        "square": ["square", "box"],
        "triangle": ["triangle"],
        "star": ["star"],
        "cross": ["cross", "plus"],
    },
    "kinds": {
        "circle": ["circles", "discs"],
        "square": ["squares", "boxes"],
        "triangle": ["triangles"],
        "star": ["stars"],
        "cross": ["crosses"],
    },
    "size": _SIZES,
    "degree": {
        "bigger": ["bigger than", "larger than"],
        "smaller": ["smaller than"],
        "same": ["as big as", "the same size as"],
    },
    "only": _SIZES,
    "number": _NUMBERS,
    "total": _NUMBERS,
    "others": {1: ["one other shape"], 2: ["two other shapes"], 3: ["three other shapes"]},
    "sits": {None: ["is", "sits", "lies", "stands"]},
    "see": {None: ["you can see", "we see", "the picture shows", "this is a picture of", "here we have"]},
    "place": {
        "top left": ["in the upper left corner", "at the top left"],
        "top right": ["in the upper right corner", "at the top right"],
        "bottom left": ["in the lower left corner", "at the bottom left"],
        "bottom right": ["in the lower right corner", "at the bottom right"],
        "top": ["in the middle of the top edge", "at the top centre"],
        "bottom": ["in the middle of the bottom edge", "at the bottom centre"],
        "left": ["in the middle of the left edge", "halfway up on the left"],
        "right": ["in the middle of the right edge", "halfway up on the right"],
        "centre": ["in the centre", "in the middle of the picture"],
        "upper third": ["near the top", "somewhere along the upper edge"],
        "lower third": ["near the bottom", "somewhere along the lower edge"],
        "left third": ["on the left side", "somewhere along the left edge"],
        "right third": ["on the right side", "somewhere along the right edge"],
    },
    "side": {
        "left": ["left of", "to the left of"],
        "right": ["right of", "to the right of"],
        "above": ["above", "higher than"],
        "below": ["below", "under", "lower than"],
    },
    "farthest": {
        "left": ["leftmost"],
        "right": ["rightmost"],
        "above": ["highest", "topmost"],
        "below": ["lowest"],
    },
}  # fmt: skip

GRAMMAR = Grammar(patterns=PATTERNS, phrases=PHRASES, slots={"thing": Thing, "other": Thing})
