"""Captions of a scene, and whether a caption is true of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import permutations

from seq2seq.data.builtin.scenes.claims import (
    CLAIMS,
    PLACES,
    Alone,
    Among,
    At,
    Beside,
    Both,
    Claim,
    Compared,
    Extreme,
    Odd,
    Tally,
    Thing,
    compared,
    is_at,
    lies,
)
from seq2seq.data.builtin.scenes.scene import SIZES, Lot, Scene, Shape
from seq2seq.data.builtin.scenes.wording import GRAMMAR, PHRASES

CAPTIONS = 5
"""Captions of each scene"""
SIDES = tuple(PHRASES["side"])


def truth(caption: str, scene: Scene) -> bool:
    """Whether a caption is true of a scene; False, too, for what the captions' grammar cannot have written."""
    return any(claim.holds(scene) for kind in CLAIMS for claim in GRAMMAR.read(caption, kind))


def captions(scene: Scene, lot: Lot) -> list[str]:
    """Five captions true of a scene, each worded by another pattern."""
    said: dict[tuple[type, int], str] = {}
    while len(said) < CAPTIONS:
        claim = lot.pick(CLAIM_MAKERS)(scene, lot)
        if claim is None:
            continue
        way = lot.pick(GRAMMAR.ways(claim))
        said.setdefault((type(claim), way), GRAMMAR.say(claim, lot, way))
    return list(said.values())


def _thing(shape: Shape, scene: Scene, lot: Lot, *, first: bool = True) -> Thing:
    """A description of a shape. What is named ``first`` is new, so it is seldom called ``the``."""
    size = shape.size if lot.chance(0.5) else None
    the = Thing("the", shape.colour, shape.kind, size)
    return the if the.found(scene) and lot.chance(0.2 if first else 0.5) else the._replace(article="a")


def _pair(scene: Scene, lot: Lot, fits: Callable[[Shape, Shape], bool]) -> tuple[Shape, Shape] | None:
    pairs = [(one, two) for one, two in permutations(scene.shapes, 2) if fits(one, two)]
    return lot.pick(pairs) if pairs else None


def _at(scene: Scene, lot: Lot) -> Claim:
    shape = lot.pick(scene.shapes)
    place = lot.pick([place for place in PLACES if is_at(shape, place)])
    return At(_thing(shape, scene, lot), place)


def _beside(scene: Scene, lot: Lot) -> Claim | None:
    side = lot.pick(SIDES)
    pair = _pair(scene, lot, lambda one, two: lies(one, side, two))
    return pair and Beside(_thing(pair[0], scene, lot), side, _thing(pair[1], scene, lot, first=False))


def _compared(scene: Scene, lot: Lot) -> Claim | None:
    pair = _pair(scene, lot, lambda one, two: one[:2] != two[:2])
    if pair is None:
        return None
    # The comparison says the size, so the things do not.
    one, two = (_thing(shape, scene, lot, first=first)._replace(size=None) for shape, first in zip(pair, (True, False)))
    claim = Compared(one, compared(*pair), two)
    return claim if claim.holds(scene) else None


def _both(scene: Scene, lot: Lot) -> Claim | None:
    pair = _pair(scene, lot, lambda one, two: True)
    total = len(scene.shapes) if lot.chance(0.5) else None
    return pair and Both(_thing(pair[0], scene, lot), _thing(pair[1], scene, lot), total)


def _among(scene: Scene, lot: Lot) -> Claim | None:
    shape = lot.pick(scene.shapes)
    return Among(_thing(shape, scene, lot), len(scene.shapes) - 1) if len(scene.shapes) > 1 else None


def _alone(scene: Scene, lot: Lot) -> Claim | None:
    if len(scene.shapes) > 1:
        return None
    place = lot.pick([place for place in PLACES if is_at(scene.shapes[0], place)])
    return Alone(_thing(scene.shapes[0], scene, lot)._replace(article="a"), place if lot.chance(0.5) else None)


def _extreme(scene: Scene, lot: Lot) -> Claim | None:
    side = lot.pick(SIDES)
    return _unique(scene, lot, lambda thing: Extreme(side, thing))


def _odd(scene: Scene, lot: Lot) -> Claim | None:
    size = lot.pick(SIZES)
    return _unique(scene, lot, lambda thing: Odd(size, thing._replace(size=None)))


def _unique(scene: Scene, lot: Lot, claim: Callable[[Thing], Claim]) -> Claim | None:
    """The claim about the shape of which it is true, if there is one."""
    for shape in scene.shapes:
        made = claim(_thing(shape, scene, lot))
        if made.holds(scene):
            return made
    return None


def _tally(scene: Scene, lot: Lot) -> Claim | None:
    total = len(scene.shapes)
    colours = Counter(shape.colour for shape in scene.shapes)
    kinds = Counter(shape.kind for shape in scene.shapes)
    claims: list[Claim] = [Tally(count, total, colour=colour) for colour, count in colours.items() if 1 < count < total]
    claims += [Tally(count, total, kinds=kind) for kind, count in kinds.items() if 1 < count < total]
    return lot.pick(claims) if claims else None


CLAIM_MAKERS = (*(_at,) * 8, *(_beside,) * 2, _compared, _both, _among, _alone, _extreme, _odd, _tally)
"""Plain places are the most frequent claims, so that what a model is likeliest to say is plain, too"""
