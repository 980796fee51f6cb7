"""The field of pictures: paths to squares of bytes, and what training draws at random about them."""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from seq2seq.data.pictures import Picture, are_pictures, find_pictures, read_picture, square, upright
from seq2seq.errors import ConfigError, DataError, nearest
from seq2seq.nn.cnn.weights import describe
from seq2seq.types import Example, Padded

Item = TypeVar("Item")
Result = TypeVar("Result")
CROPS = ("center", "random")
ON_ERROR = ("stop", "skip")


class ImageField:
    """A picture, by the path of its file or as a built-in scene, as a square of bytes ``[size, size, 3]``: rows,
    columns, and red green blue.

    The shorter side is scaled to ``shorter`` and a square of ``size`` is cut out of it. Scaling bytes to the numbers
    that a network wants is the encoder's, which knows the weights.

    Args:
        size: Side of the square in pixels; None for what ``weights`` were trained on.
        crop: Where the square is cut in training: ``center``, or ``random``. Elsewhere it is the center.
        flip: Mirror every second picture in training, but for those of which ``learn`` found that it matters.
        on_error: What to do about a file that cannot be decoded: ``stop``, or ``skip``, which makes it an empty value.
        weights: Of the encoder, see ``nn.cnn.weights``; None where size says all.
        shorter: What the shorter side is scaled to; None for what ``weights`` ask for, or ``size``.
        unflipped: A file that names the pictures which must not be mirrored, as ``save`` writes it.

    Raises:
        ConfigError: Neither size nor weights are given, or an option is unknown.
    """

    kept = False
    """A corpus keeps the paths, and decodes a picture whenever it is wanted."""
    sides = ("left", "right")
    """Words that are no longer true of a mirrored picture"""

    def __init__(
        self,
        *,
        size: int | None,
        crop: str,
        flip: bool,
        on_error: str,
        weights: str | None = None,
        shorter: int | None = None,
        unflipped: str | Path | None = None,
    ) -> None:
        if crop not in CROPS:
            raise ConfigError(f"crop={crop!r}: {nearest(crop, CROPS)}")
        if size is None and weights is None:
            raise ConfigError("size=null: a picture's size is known where weights are given; set it in pixels")
        if weights is not None:
            pixels = describe(weights)
            margin = pixels.shorter / pixels.size
            size = size or pixels.size
            shorter = shorter or round(size * margin)
        assert size is not None
        self.pixels, self.shorter = size, shorter or size
        if not 1 <= size <= self.shorter:
            raise ConfigError(f"size={size}: expected 1 or more, and no more than shorter={self.shorter}")
        self.crop, self.flip = crop, flip
        self.tolerate(on_error)
        self.unflipped = frozenset(() if unflipped is None else json.loads(Path(unflipped).read_text("utf-8")))

    def tolerate(self, on_error: str) -> None:
        """Chooses what to do about a file that cannot be decoded; see the class."""
        if on_error not in ON_ERROR:
            raise ConfigError(f"on_error={on_error!r}: {nearest(str(on_error), ON_ERROR)}")
        self.on_error = on_error

    @property
    def size(self) -> int:
        """The side of the square, in pixels."""
        return self.pixels

    @property
    def stochastic(self) -> bool:
        """Whether training sees other crops, or mirrored pictures."""
        return self.flip or self.crop == "random"

    def encode(self, raw: str) -> Tensor:
        """One picture ``[size, size, 3]``, uint8."""
        return torch.from_numpy(self._encoded(raw, None))

    def encode_all(self, raws: Sequence[str]) -> list[Picture]:
        """Pictures ``[size, size, 3]``, uint8; ``[0, size, 3]`` for one that is skipped.

        Raises DataError for a file that cannot be decoded, where those are not skipped.
        """
        return _side_by_side(lambda raw: self._encoded(raw, None), raws)

    def sample_all(self, raws: Sequence[str], seed: int) -> list[Picture]:
        """As ``encode_all``, cropped and mirrored at random; each a function of its path and ``seed`` alone."""
        seeds = [zlib.crc32(f"{seed} {raw}".encode()) for raw in raws]
        return _side_by_side(lambda both: self._encoded(*both), list(zip(raws, seeds)))

    def decoded(self, content: bytes, name: str, seed: int | None = None) -> Picture:
        """The square of a file's content.

        Args:
            content: What ``pictures.read_picture`` gave.
            name: What it was given.
            seed: Of what is drawn at random; None for nothing.
        """
        image = upright(content, name, 2 * self.shorter)
        random = None if seed is None else np.random.default_rng(seed)
        across, down = random.random(2) if random is not None and self.crop == "random" else (0.5, 0.5)
        picture = square(image, self.pixels, self.shorter, across, down)
        if random is not None and self.flip and name not in self.unflipped and random.random() < 0.5:
            picture = np.ascontiguousarray(picture[:, ::-1])
        return picture

    def prepare(self, raws: Sequence[str], say: Callable[[str], None]) -> list[bool]:
        """Whether each picture can be decoded; says which cannot, or raises DataError where those are not skipped."""
        unique = list(dict.fromkeys(raws))
        found = dict(zip(unique, _side_by_side(self._complaint, unique)))
        complaints = [complaint for complaint in found.values() if complaint is not None]
        for complaint in complaints:
            say(complaint)
        if complaints:
            say(f"left out {len(complaints):,} of {len(unique):,} pictures, which cannot be decoded")
        return [found[raw] is None for raw in raws]

    def learn(self, examples: Iterable[Example]) -> None:
        """Remembers the pictures of captions that speak of left or right, which are never mirrored."""
        if not self.flip:
            return
        word = re.compile(rf"\b({'|'.join(self.sides)})\b", re.IGNORECASE)
        found = set(self.unflipped)
        for example in examples:
            captions = [example.tgt] if isinstance(example.tgt, str) else example.tgt
            if any(word.search(caption) for caption in captions):
                found.add(example.src)
        self.unflipped = frozenset(found)

    def listed(self, given: str) -> list[str] | None:
        """The pictures of a folder, those that a pattern fits, or a single one; None for any other file.

        Raises DataError where there is none.
        """
        return find_pictures(given) if are_pictures(given) else None

    def collate(self, encoded: Sequence[Tensor | Picture]) -> Padded:
        """Pictures as one batch: values ``[B, size, size, 3]`` uint8, black where one was skipped; lengths in rows."""
        values = np.zeros((len(encoded), self.pixels, self.pixels, 3), np.uint8)
        lengths = [len(picture) for picture in encoded]
        for target, picture, length in zip(values, encoded, lengths):
            target[:length] = picture
        return Padded(torch.from_numpy(values), torch.tensor(lengths, dtype=torch.int64))

    def decode(self, tokens: Iterable[int] | Tensor) -> Any:
        """No model writes pictures."""
        raise ConfigError("a picture is no output: put the image field on the source's side")

    def pieces(self, encoded: Any) -> list[str]:
        """The regions of a picture have no names."""
        return []

    def view(self, raw: str) -> Picture:
        """The square, as a model sees it."""
        return self._encoded(raw, None)

    def is_empty(self, encoded: Tensor | Picture) -> bool:
        """Whether a picture was skipped."""
        return len(encoded) == 0

    def fingerprint(self) -> str:
        """A hash of all that ``encode_all`` depends on, the files aside."""
        return f"image-{self.pixels}-{self.shorter}-{self.on_error}"

    def save(self, folder: Path, name: str) -> dict[str, Any]:
        """Writes what must not be mirrored; returns the configuration, which needs no weights any more."""
        node = {"_target_": f"{type(self).__module__}.{type(self).__name__}", "size": self.pixels}
        node |= {"shorter": self.shorter, "crop": self.crop, "flip": self.flip, "on_error": self.on_error}
        if self.unflipped:
            (folder / f"{name}.unflipped.json").write_text(json.dumps(sorted(self.unflipped)), "utf-8")
            node["unflipped"] = f"${{folder}}/{name}.unflipped.json"
        return node

    def _encoded(self, raw: str, seed: int | None) -> Picture:
        if not raw:  # a blank line of paths, which gets a blank line for an answer
            return np.zeros((0, self.pixels, 3), np.uint8)
        try:
            return self.decoded(read_picture(raw), raw, seed)
        except DataError:
            if self.on_error == "stop":
                raise
            return np.zeros((0, self.pixels, 3), np.uint8)

    def _complaint(self, raw: str) -> str | None:
        try:
            self.decoded(read_picture(raw), raw)
        except DataError as error:
            if self.on_error == "stop":
                raise
            return str(error)
        return None


def _side_by_side(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Work on several items at once; Pillow decodes without holding other threads up."""
    workers = min(len(items), os.cpu_count() or 1)
    if workers < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, items))
