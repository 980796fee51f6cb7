"""Film reviews that a grammar writes, good or bad, with negation and contrast: counting words does not tell which."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from seq2seq.data.builtin.drawn import check, distinct, fingerprint, percentile
from seq2seq.types import Example

THINGS = (
    *("plot", "acting", "music", "ending", "dialogue", "first hour", "camera work", "cast", "humour", "pace", "story"),
    *("villain", "script", "second half", "love story", "hero"),
)
ADJECTIVES = {
    "good": (
        *("charming", "clever", "moving", "gripping", "fresh", "funny", "convincing", "brilliant", "elegant", "honest"),
        *("lively", "subtle"),
    ),
    "bad": (
        *("dull", "clumsy", "flat", "tedious", "stale", "hollow", "predictable", "sloppy", "shallow", "forced"),
        *("silly", "lifeless"),
    ),
}
PLAIN = (
    "{thing} is {word}",
    "{thing} is really {word}",
    "{thing} is quite {word}",
    "i found {thing} {word}",
    "{thing} is nothing but {word}",
    "{thing} is never less than {word}",
    "{thing} does not fail to be {word}",
    "nobody could call {thing} anything but {word}",
)
TURNED = (
    "{thing} is not {word}",
    "{thing} is not {word} at all",
    "{thing} is never {word}",
    "{thing} is hardly {word}",
    "{thing} is anything but {word}",
    "{thing} is far from {word}",
    "{thing} fails to be {word}",
    "nobody could call {thing} {word}",
    "i did not find {thing} {word}",
)
"""Clauses that say of a thing what their adjective says, and clauses that say the opposite"""
ALIKE = ("{main}", "{main} , and {other}", "{other} , and {main}", "{main} ; besides , {other}")
AGAINST = (
    "{other} , but {main}",
    "{other} , and yet {main}",
    "although {other} , {main}",
    "{main} , although {other}",
    "{main} , even though {other}",
    "{other} ; still , {main}",
    "granted , {other} ; all the same , {main}",
)
"""How a main clause, which decides, stands beside one of the same kind, and beside one of the other kind"""
OPPOSITE = {"good": "bad", "bad": "good"}


class Reviews:
    """Reads reviews with their label, ``good`` or ``bad``.

    A clause may deny its adjective, or deny that it is denied; of two that disagree, the one that is not conceded
    counts. Of the pairs of adjective and denial, one in eight occurs in the other parts, but never in training.

    Args:
        part: ``train``, ``valid`` or ``test``.
        size: number of reviews, all distinct.
        seed: another seed draws other reviews.

    Raises:
        ConfigError: unknown part or negative size; when reading, more reviews than the grammar has.
    """

    def __init__(self, *, part: str, size: int, seed: int) -> None:
        check("reviews", part=part, size=size)
        self.part, self.size, self.seed = part, size, seed

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Example]:
        return distinct("reviews", review, part=self.part, size=self.size, seed=self.seed)

    def fingerprint(self) -> str:
        """A hash of the settings and of the grammar."""
        return fingerprint([self.part, self.size, self.seed], __file__)


def review(random: Random, training: bool) -> tuple[str, str] | None:
    """Draws a review and its label."""
    label = random.choice(("good", "bad"))
    against = random.random() < 0.6
    things = random.sample(THINGS, 2)
    main = _clause(random, things[0], label, training)
    other = _clause(random, things[1], OPPOSITE[label] if against else label, training)
    if main is None or other is None:
        return None
    return random.choice(AGAINST if against else ALIKE).format(main=main, other=other), label


def _clause(random: Random, thing: str, label: str, training: bool) -> str | None:
    turned = random.random() < 0.5
    word = random.choice(ADJECTIVES[OPPOSITE[label] if turned else label])
    shape = random.choice(TURNED if turned else PLAIN)
    if training and turned and percentile(f"{shape} {word}") % 8 == 0:
        return None
    return shape.format(thing=f"the {thing}", word=word)
