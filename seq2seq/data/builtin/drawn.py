"""What generated text data share: parts that have no text in common, and the same texts at every reading."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

from seq2seq.errors import ConfigError
from seq2seq.types import Example

PARTS = {"train": range(80), "valid": range(80, 90), "test": range(90, 100)}
"""Percentiles of the hash of one side. It knows no seed: no part of any seed shares a text with another part."""
PATIENCE = 20_000
"""Draws without a new text after which a grammar counts as used up"""

Draw = Callable[[Random, bool], "tuple[str, str] | None"]
"""Draws a source and its target, told whether it is for training; None where what was drawn is not wanted."""


def check(name: str, *, part: str, size: int) -> None:
    """Refuses a part that there is not, and a size that cannot be. ``name`` is what messages call the data."""
    if part not in PARTS:
        raise ConfigError(f"part={part!r} of the built-in {name}: expected one of {', '.join(PARTS)}")
    if size < 0:
        raise ConfigError(f"size={size} of the built-in {name}: expected a number of examples, zero or more")


def distinct(name: str, draw: Draw, *, part: str, size: int, seed: int, by: int = 0) -> Iterator[Example]:
    """So many examples of a part, no two with the same source. Which part one is of, its side ``by`` tells.

    Raises:
        ConfigError: There are not so many.
    """
    random, draws = Random(seed), 0
    seen: set[str] = set()
    while len(seen) < size:
        if draws == PATIENCE:
            raise ConfigError(
                f"the built-in {name} have only about {len(seen):,} sentences for part={part}, size={size:,} were "
                "asked for: set a smaller size"
            )
        draws += 1
        drawn = draw(random, part == "train")
        if drawn is None or drawn[0] in seen or percentile(drawn[by]) not in PARTS[part]:
            continue
        seen.add(drawn[0])
        draws = 0
        yield Example(*drawn, f"{name}:{part}:{len(seen)}")


def percentile(text: str) -> int:
    """A number from 0 to 99 that a text always has."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") % 100


def fingerprint(settings: Sequence[object], *sources: str) -> str:
    """A hash of settings and of the source files of a grammar, so that a changed grammar is another corpus."""
    digest = hashlib.sha256(repr(tuple(settings)).encode())
    for source in (__file__, *sources):
        digest.update(Path(source).read_bytes())
    return digest.hexdigest()
