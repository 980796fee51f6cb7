"""Readers of what other readers give, in another form."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from seq2seq.data.readers import Reader, joint_hash
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Example


class OneSide:
    """One side of another reader's examples, as source and as target: what an auto-encoder is trained on.

    Args:
        reader: whose examples.
        side: ``src`` or ``tgt``.
    """

    def __init__(self, *, reader: Reader, side: str) -> None:
        if side not in ("src", "tgt"):
            raise ConfigError(f"side={side!r}: expected src or tgt")
        self.reader, self.side = reader, side

    def __iter__(self) -> Iterator[Example]:
        for example in self.reader:
            text = example.src if self.side == "src" else example.first
            if text is None:
                raise DataError(f"{example.where} has no target: choose side=src")
            yield Example(text, text, example.where)

    def fingerprint(self) -> str:
        """A hash of what the reader depends on, and of the side."""
        return joint_hash(["one side", self.side, self.reader.fingerprint()])


class Grouped:
    """Another reader's examples, those in a row that have the same source made one: each target is equally right.

    Args:
        reader: whose examples.
    """

    def __init__(self, *, reader: Reader) -> None:
        self.reader = reader

    def __iter__(self) -> Iterator[Example]:
        for src, examples in groupby(self.reader, key=lambda example: example.src):
            same = list(examples)
            yield Example(src, tuple(example.tgt for example in same), same[0].where)

    def fingerprint(self) -> str:
        """A hash of what the reader depends on."""
        return joint_hash(["grouped", self.reader.fingerprint()])
