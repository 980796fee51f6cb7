"""What is inside a SentencePiece model: its pieces, their scores and kinds, and how a text falls into words of them."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any

SPACE_MARK = "\u2581"
"""How a space is written inside pieces."""

_NORMAL, _UNKNOWN, _USER_DEFINED, _UNUSED, _BYTE = 1, 2, 4, 5, 6
_MODEL_TYPES = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}
_UNKNOWN_PENALTY = 10.0  # SentencePiece's own: an unknown character is this much worse than the worst piece


class PieceTable:
    """The pieces of a SentencePiece model.

    Args:
        model: the content of a ``.model`` file that SentencePiece has read already: a message of
            ``sentencepiece_model.proto``. It is read here because SentencePiece's Python interface tells neither the
            type of a model nor which pieces are user-defined, and protobuf would be a requirement more.

    Attributes:
        model_type: ``unigram``, ``bpe``, ``word`` or ``char``.
        ids: the id of each normal piece, the unused ones left out.
        unused: the id of each unused piece, from which BPE still builds others.
        scores: of each id.
        pieces: the score and the id, as a tuple of one, of each normal piece.
        unknown_score: of a character without a piece.
        longest: characters of the longest normal piece.
    """

    def __init__(self, model: bytes) -> None:
        self.model_type = "unigram"
        self.ids: dict[str, int] = {}
        self.unused: dict[str, int] = {}
        self.scores: list[float] = []
        self._symbols: dict[str, int] = {}
        self._bytes: dict[int, int] = {}
        self._unk_id = 0
        for field, value in _fields(model):
            if field == 1:
                self._add(dict(_fields(value)))
            elif field == 2:
                self.model_type = _MODEL_TYPES.get(dict(_fields(value)).get(3, 1), "unknown")
        known = [self.scores[index] for index in self.ids.values()]
        self.pieces: dict[str, tuple[float, tuple[int, ...]]] = {
            text: (self.scores[index], (index,)) for text, index in self.ids.items()
        }
        self.unknown_score = min(known, default=0.0) - _UNKNOWN_PENALTY
        self.longest = max(map(len, self.ids), default=1)
        longest_first = sorted(self._symbols, key=lambda symbol: (-len(symbol), symbol))
        self._symbol = re.compile(f"({'|'.join(map(re.escape, longest_first))})") if longest_first else None
        self._word = re.compile(_word([*self.ids, *self.unused, *self._symbols]), re.DOTALL)

    def words(self, normalised: str) -> list[str]:
        """The parts of a text that no piece crosses the borders of, so that they are segmented one by one."""
        return self._word.findall(normalised)

    def parts(self, word: str) -> Iterator[tuple[str, int | None]]:
        """A word cut at its user-defined symbols, with their ids; they are pieces of their own wherever they stand."""
        for part in self._symbol.split(word) if self._symbol else (word,):
            if part:
                yield part, self._symbols.get(part)

    def spelled(self, character: str) -> tuple[int, ...]:
        """A character without a piece: its UTF-8 bytes where the model has pieces for them, else the unknown piece."""
        if self._bytes:
            return tuple(self._bytes[byte] for byte in character.encode())
        return (self._unk_id,)

    def joined(self, ids: list[int]) -> list[int]:
        """The ids as SentencePiece gives them: adjacent unknown characters are one unknown piece."""
        if self._bytes or self._unk_id not in ids:
            return ids
        return [index for at, index in enumerate(ids) if index != self._unk_id or at == 0 or ids[at - 1] != index]

    def _add(self, piece: dict[int, Any]) -> None:
        text, kind, index = piece.get(1, b"").decode(), piece.get(3, _NORMAL), len(self.scores)
        self.scores.append(struct.unpack("<f", piece.get(2, b"\0\0\0\0"))[0])
        if kind in (_NORMAL, _UNUSED, _USER_DEFINED):
            {_NORMAL: self.ids, _UNUSED: self.unused, _USER_DEFINED: self._symbols}[kind][text] = index
        elif kind == _BYTE:
            self._bytes[int(text[3:5], 16)] = index  # <0x41>
        elif kind == _UNKNOWN:
            self._unk_id = index


def _word(pieces: list[str]) -> str:
    """A pattern for what pieces cannot reach beyond: where spaces begin pieces, end them, or stand anywhere in them."""
    if not any(SPACE_MARK in piece.lstrip(SPACE_MARK) for piece in pieces):
        return f"{SPACE_MARK}+[^{SPACE_MARK}]*|[^{SPACE_MARK}]+"
    if not any(SPACE_MARK in piece.rstrip(SPACE_MARK) for piece in pieces):
        return f"[^{SPACE_MARK}]*{SPACE_MARK}+|[^{SPACE_MARK}]+"
    return ".+"


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """The numbers and values of a protobuf message's fields, in order."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        size, at = _varint(message, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
