"""A long memory: what was read first has to be said after much else was read."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

from seq2seq.errors import ConfigError
from seq2seq.types import Example

PARTS = ("train", "valid", "test")
KEYS = "abcdefgh"
"""What has to be said is one of these …"""
NOISE = "0123456789"
"""… and what comes between, one of these"""


class Recall:
    """Reads sequences of a letter and many digits; what is to be said is the letter.

    Nothing but the first step matters, up to ``length`` - 1 steps before the end: a network either carries it so far or
    has one chance in eight. Who learns from short ones too learns to carry it a little further with each.

    Args:
        part: ``train``, ``valid`` or ``test``.
        size: number of sequences, the digits of each drawn anew.
        shortest: steps of the shortest sequences, 2 or more; all lengths come equally often.
        length: steps of the longest.
        seed: another seed draws other sequences.

    Raises:
        ConfigError: unknown part, negative size, or lengths between which there are none.
    """

    def __init__(self, *, part: str, size: int, shortest: int, length: int, seed: int) -> None:
        if part not in PARTS:
            raise ConfigError(f"part={part!r} of the built-in recall: expected one of {', '.join(PARTS)}")
        if size < 0:
            raise ConfigError(f"size={size} of the built-in recall: expected a number of sequences, zero or more")
        if not 2 <= shortest <= length:
            raise ConfigError(
                f"{shortest=} and {length=} of the built-in recall: expected 2 steps or more, and no less"
            )
        self.part, self.size, self.shortest, self.length, self.seed = part, size, shortest, length, seed

    def __iter__(self) -> Iterator[Example]:
        chance = random.Random(f"{self.part} {self.seed}")
        for number in range(self.size):
            key = chance.choice(KEYS)
            steps = chance.randint(self.shortest, self.length)
            noise = "".join(chance.choices(NOISE, k=steps - 1))
            yield Example(key + noise, key, f"recall:{self.part}:{number + 1}")

    def fingerprint(self) -> str:
        """A hash of the settings and of this file."""
        digest = hashlib.sha256(f"{self.part} {self.size} {self.shortest} {self.length} {self.seed}".encode())
        digest.update(Path(__file__).read_bytes())
        return digest.hexdigest()
