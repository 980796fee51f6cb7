"""A field for tests: a text's bytes, each a token, behind which stands eos."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seq2seq.data.fields import Fields
from seq2seq.types import Example, Padded

EOS = 3


class Letters:
    """Bytes plus 4, then eos; when it is stochastic, a sample begins with a token that depends on the seed alone."""

    kept = True

    def __init__(self, *, size: int = 260, stochastic: bool = False, name: str = "letters") -> None:
        self.size, self.stochastic, self.name = size, stochastic, name
        self.encoded = 0

    def encode(self, raw: str) -> Tensor:
        return torch.from_numpy(self.encode_all([raw])[0])

    def encode_all(self, raws: Sequence[str]) -> list[np.ndarray]:
        self.encoded += len(raws)
        return [np.array([*(byte + 4 for byte in raw.encode()), EOS], dtype=np.int32) for raw in raws]

    def sample_all(self, raws: Sequence[str], seed: int) -> list[np.ndarray]:
        return [np.array([seed % 251, *row], dtype=np.int32) for row in self.encode_all(raws)]

    def collate(self, encoded: Sequence[Tensor | np.ndarray]) -> Padded:
        lengths = [len(row) for row in encoded]
        values = torch.zeros(len(encoded), max(lengths), dtype=torch.int64)
        for target, row in zip(values, encoded):
            target[: len(row)] = torch.as_tensor(row)
        return Padded(values, torch.tensor(lengths))

    def decode(self, tokens: Iterable[int] | Tensor) -> str:
        return bytes(int(token) - 4 for token in tokens if int(token) != EOS).decode()

    def is_empty(self, encoded: Tensor | np.ndarray) -> bool:
        return not self.decode(encoded).strip()

    def prepare(self, raws: Sequence[str], say: Callable[[str], None]) -> list[bool]:
        return [True] * len(raws)

    def learn(self, examples: Iterable[Example]) -> None:
        pass

    def listed(self, given: str) -> None:
        return None

    def pieces(self, encoded: Any) -> list[str]:
        raise NotImplementedError

    def view(self, raw: str) -> None:
        return None

    def fingerprint(self) -> str:
        return f"{self.name}-{self.size}"

    def save(self, folder: Path, name: str) -> dict[str, Any]:
        raise NotImplementedError


def letters(**options: Any) -> Fields:
    return Fields(src=Letters(**options), tgt=Letters(**options))
