"""Pictures of coloured shapes with captions from a grammar, so that captioning runs with no files and no network."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seq2seq.data.builtin.scenes.captions import captions
from seq2seq.data.builtin.scenes.drawing import draw
from seq2seq.data.builtin.scenes.scene import Lot, Scene
from seq2seq.errors import ConfigError
from seq2seq.types import Example

PARTS = {"train": range(80), "valid": range(80, 90), "test": range(90, 100)}
"""Percentiles of the hash of what a scene shows. The hash knows no seed: no part of any seed shares a scene with
another part, not even with other shades."""
HELD_OUT = frozenset({("red", "star"), ("blue", "square")})
"""Colours and kinds that never occur together in the training part, but do in the others"""


class Scenes:
    """Reads generated pictures of one to four coloured shapes, with five captions each.

    A source is a scene's description (one line of text), which ``picture`` draws; the captions' truth can be told from
    it by ``truth(caption, Scene.parse(src))``.

    Args:
        part: ``train``, ``valid`` or ``test``.
        size: number of pictures, all distinct.
        seed: another seed draws other scenes.
        grouped: one example for each picture, its target a tuple of the five captions, as evaluation asks for; False
            gives one example for each pair of picture and caption, its target a text, as training does.

    Raises:
        ConfigError: unknown part or negative size.
    """

    def __init__(self, *, part: str, size: int, seed: int, grouped: bool) -> None:
        if part not in PARTS:
            raise ConfigError(f"part={part!r} of the built-in scenes: expected one of {', '.join(PARTS)}")
        if size < 0:
            raise ConfigError(f"size={size} of the built-in scenes: expected a number of pictures, zero or more")
        self.part, self.size, self.seed, self.grouped = part, size, seed, grouped

    def __iter__(self) -> Iterator[Example]:
        lot = Lot(random=random.Random(self.seed).random)
        seen: set[str] = set()
        while len(seen) < self.size:
            scene = lot.scene()
            src = scene.text()
            if _percentile(scene.layout()) not in PARTS[self.part] or src in seen:
                continue
            if self.part == "train" and any((shape.colour, shape.kind) in HELD_OUT for shape in scene.shapes):
                continue
            seen.add(src)
            where = f"scenes:{self.part}:{len(seen)}"
            texts = captions(scene, lot)
            if self.grouped:
                yield Example(src, tuple(texts), where)
            else:
                yield from (Example(src, text, where) for text in texts)

    def fingerprint(self) -> str:
        """A hash of the settings and of this folder's own source, so that a changed grammar is another corpus."""
        digest = hashlib.sha256(f"{self.part} {self.size} {self.seed} {self.grouped}".encode())
        for path in sorted(Path(__file__).parent.glob("*.py")):
            digest.update(path.read_bytes())
        return digest.hexdigest()


def picture(src: str) -> NDArray[np.uint8]:
    """The picture ``[64, 64, 3]``, RGB, of an example's source. Raises DataError where it describes no scene."""
    return draw(Scene.parse(src))


def _percentile(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") % 100
