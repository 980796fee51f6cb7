"""The field of clips: pictures that follow one another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seq2seq.data.builtin.clips import SIDE, Clip
from seq2seq.data.fields import filled
from seq2seq.errors import ConfigError
from seq2seq.types import Example, Padded

Frames = NDArray[np.uint8]
"""[T, side, side, 3]: frames, rows, columns, and red green blue"""


class ClipField:
    """A built-in clip by its description, drawn frame by frame."""

    kept = False
    """A corpus keeps the descriptions, and draws a clip whenever it is wanted."""
    stochastic = False

    @property
    def size(self) -> int:
        """The side of a frame, in pixels."""
        return SIDE

    def learn(self, examples: Iterable[Example]) -> None:
        """Nothing."""

    def prepare(self, raws: Sequence[str], say: Callable[[str], None]) -> list[bool]:
        """All can be drawn, or DataError says which is no description of a clip."""
        return [bool(raw) and len(Clip.parse(raw).places) > 0 for raw in raws]

    def listed(self, given: str) -> None:
        """Descriptions are lines of a file."""

    def encode(self, raw: str) -> Tensor:
        """The frames ``[T, side, side, 3]`` of a clip, uint8."""
        return torch.from_numpy(self.encode_all([raw])[0])

    def encode_all(self, raws: Sequence[str]) -> list[Frames]:
        """The frames of each clip, uint8; none for a blank line. Raises DataError for what describes no clip."""
        return [Clip.parse(raw).draw() if raw else np.zeros((0, SIDE, SIDE, 3), np.uint8) for raw in raws]

    def sample_all(self, raws: Sequence[str], seed: int) -> list[Frames]:
        """As ``encode_all``: nothing is drawn at random."""
        return self.encode_all(raws)

    def collate(self, encoded: Sequence[Tensor | Frames]) -> Padded:
        """Clips as one batch: values ``[B, T, side, side, 3]`` uint8, black past the lengths ``[B]``; T at least 1."""
        return filled(encoded, (SIDE, SIDE, 3), np.uint8)

    def decode(self, tokens: Iterable[Any] | Tensor) -> Any:
        """No model draws."""
        raise ConfigError("clips are no output: put their field on the source's side")

    def pieces(self, encoded: Any) -> list[str]:
        """The number of each frame, from 1."""
        return [str(number) for number in range(1, len(encoded) + 1)]

    def view(self, raw: str) -> None:
        """A clip is no single picture."""

    def is_empty(self, encoded: Tensor | Frames) -> bool:
        """Whether there is no frame."""
        return len(encoded) == 0

    def fingerprint(self) -> str:
        """All that ``encode_all`` depends on."""
        return f"clips-{SIDE}"

    def save(self, folder: Path, name: str) -> dict[str, Any]:
        """The configuration."""
        return {"_target_": f"{type(self).__module__}.{type(self).__name__}"}
