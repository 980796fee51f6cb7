"""The field of pictures that are read row by row."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from seq2seq.data.builtin.digits import PREFIX, drawn
from seq2seq.data.fields import filled
from seq2seq.data.idx import read_idx
from seq2seq.data.pictures import are_pictures, find_pictures, read_picture, upright
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Example, Padded

_LOOKED_AT = 2000
"""Pictures that brightness and contrast are learned from"""


class RowsField:
    """A square picture in shades of grey, read from top to bottom: a step for each row, with a number for each pixel.

    A picture is given by the path of its file, by its place in a file of many (``t10k-images-idx3-ubyte.gz#17``), or
    as a built-in digit.

    Args:
        side: Of a picture, in pixels.
        columns: Also reads from left to right: beside row t, a step has column t.
        shift: In training a picture is moved by up to so many pixels, in each direction …
        turn: … turned by up to so many degrees …
        zoom: … and made larger or smaller by up to this share, all at random.
        mean, deviation: Of the pixels; None for those that ``learn`` finds.
    """

    kept = False
    """A corpus keeps what a picture is called, and reads it whenever it is wanted."""

    def __init__(
        self,
        *,
        side: int,
        columns: bool,
        shift: float,
        turn: float,
        zoom: float,
        mean: float = 0.0,
        deviation: float = 1.0,
    ) -> None:
        if side < 1 or min(shift, turn, zoom) < 0 or zoom >= 1:
            raise ConfigError(f"{side=}, {shift=}, {turn=}, {zoom=}: expected 1 or more, and 0 or more, zoom below 1")
        self.side, self.columns, self.shift, self.turn, self.zoom = side, columns, shift, turn, zoom
        self.mean, self.deviation = mean, deviation

    @property
    def size(self) -> int:
        """The numbers of a step."""
        return self.side * (2 if self.columns else 1)

    @property
    def stochastic(self) -> bool:
        """Whether training sees pictures moved, turned or zoomed."""
        return max(self.shift, self.turn, self.zoom) > 0

    def learn(self, examples: Iterable[Example]) -> None:
        """Finds the mean and the deviation of the first pictures' pixels."""
        pixels = np.stack([self._pixels(example.src) for example in islice(examples, _LOOKED_AT)])
        self.mean, self.deviation = float(pixels.mean()), float(pixels.std()) or 1.0

    def prepare(self, raws: Sequence[str], say: Callable[[str], None]) -> list[bool]:
        """All can be read, or DataError says what is wrong with the first that cannot."""
        return [len(self._pixels(raw)) > 0 for raw in raws]

    def listed(self, given: str) -> list[str] | None:
        """The pictures of a folder, those that a pattern fits, a single one, or all in an idx file; None for text."""
        if "idx3-ubyte" in given and Path(given).is_file():
            return [f"{given}#{place}" for place in range(len(read_idx(Path(given))))]
        return find_pictures(given) if are_pictures(given) else None

    def encode(self, raw: str) -> Tensor:
        """The rows ``[side, size]`` of a picture, standardised, float32."""
        return torch.from_numpy(self.encode_all([raw])[0])

    def encode_all(self, raws: Sequence[str]) -> list[NDArray[Any]]:
        """The rows ``[side, size]`` of each picture; ``[0, size]`` for a blank line.

        Raises DataError for what is no picture, or one of another size.
        """
        return [self._rows(self._pixels(raw)) for raw in raws]

    def sample_all(self, raws: Sequence[str], seed: int) -> list[NDArray[Any]]:
        """As ``encode_all``, moved, turned and zoomed at random; each a function of its name and ``seed`` alone."""
        if not all(raws):  # a blank line has nothing to be moved
            return [self.sample_all([raw], seed)[0] if raw else self._rows(self._pixels(raw)) for raw in raws]
        pixels = torch.from_numpy(np.stack([self._pixels(raw) for raw in raws])).float()
        seeds = [zlib.crc32(f"{seed} {raw}".encode()) for raw in raws]
        drawn_at_random = np.stack([np.random.default_rng(each).uniform(-1, 1, 4) for each in seeds])
        across, down, turn, zoom = torch.from_numpy(drawn_at_random).float().unbind(1)
        angle, zoom = turn * np.radians(self.turn), 1 + zoom * self.zoom
        cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
        places = torch.stack([across, down]) * self.shift * 2 / self.side
        matrices = torch.stack([torch.stack([cos, -sin, places[0]], 1), torch.stack([sin, cos, places[1]], 1)], 1)
        grid = F.affine_grid(matrices, [len(raws), 1, self.side, self.side], align_corners=False)
        moved = F.grid_sample(pixels.unsqueeze(1), grid, align_corners=False).squeeze(1)
        return [self._rows(each) for each in moved.numpy()]

    def collate(self, encoded: Sequence[Tensor | NDArray[Any]]) -> Padded:
        """Pictures as one batch: values ``[B, side, size]`` float32, and how many rows each has, ``[B]``."""
        return filled(encoded, (self.size,), np.float32)

    def decode(self, tokens: Iterable[Any] | Tensor) -> Any:
        """No model draws."""
        raise ConfigError("pictures are no output: put their field on the source's side")

    def pieces(self, encoded: Any) -> list[str]:
        """The number of each row, from 1."""
        return [str(number) for number in range(1, len(encoded) + 1)]

    def view(self, raw: str) -> NDArray[np.uint8] | None:
        """The picture ``[side, side, 3]``, of which a model sees row after row."""
        return np.repeat(self._pixels(raw)[..., None], 3, axis=2) if raw else None

    def is_empty(self, encoded: Tensor | NDArray[Any]) -> bool:
        """Whether there is no picture."""
        return len(encoded) == 0

    def fingerprint(self) -> str:
        """All that ``encode_all`` depends on, the files aside."""
        return f"rows-{self.side}-{self.columns}-{self.mean}-{self.deviation}"

    def save(self, folder: Path, name: str) -> dict[str, Any]:
        """The configuration, with what was learned."""
        settings: dict[str, Any] = {"side": self.side, "columns": self.columns}
        settings |= {"shift": self.shift, "turn": self.turn, "zoom": self.zoom}
        learned = {"mean": self.mean, "deviation": self.deviation}
        return {"_target_": f"{type(self).__module__}.{type(self).__name__}", **settings, **learned}

    def _rows(self, pixels: NDArray[Any]) -> NDArray[Any]:
        scaled = (pixels.astype(np.float32) - self.mean) / self.deviation
        if self.columns and len(pixels):
            return np.concatenate([scaled, scaled.T], axis=1)
        return scaled.reshape(-1, self.size)

    def _pixels(self, raw: str) -> NDArray[Any]:
        """The bytes ``[side, side]`` of a picture; ``[0, side]`` for a blank line."""
        file, _, place = raw.rpartition("#")
        if not raw:
            return np.zeros((0, self.side), np.uint8)
        if raw.startswith(PREFIX):
            found = drawn(raw)
        elif file and place.isdecimal():
            pictures = read_idx(Path(file))
            if pictures.ndim != 3 or int(place) >= len(pictures):
                raise DataError(f"{raw}: {file} holds {' x '.join(map(str, pictures.shape))} bytes; no such picture")
            found = pictures[int(place)]
        else:
            found = np.asarray(upright(read_picture(raw), raw, self.side).convert("L"))
        if found.shape != (self.side, self.side):
            raise DataError(
                f"{raw}: is {found.shape[1]} x {found.shape[0]} pixels, but the model reads {self.side} x {self.side}: "
                "scale it, white on black as those that it was trained on"
            )
        return found
