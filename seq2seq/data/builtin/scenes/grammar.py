"""A grammar that reads what it writes: the same patterns say a meaning in words and find the meanings of words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from seq2seq.data.builtin.scenes.scene import Lot

_SLOT = re.compile(r"\{(\w+)\}")


class Grammar:
    """Meanings are named tuples; a pattern such as ``"{thing} {sits} {place}"`` says one.

    A slot named like a field of the meaning says that field, and fields that a pattern does not say are None. Other
    slots are mere filling: they may be said in any of their ways, which mean the same.

    Args:
        patterns: for each kind of meaning, its patterns.
        phrases: for each slot that says a single value, the ways to say each value; None is the value of filling.
        slots: the kind of meaning that each other slot holds.
    """

    def __init__(
        self,
        *,
        patterns: Mapping[type, Sequence[str]],
        phrases: Mapping[str, Mapping[Any, Sequence[str]]],
        slots: Mapping[str, type],
    ) -> None:
        self._patterns = {kind: [_Pattern.of(kind, text) for text in texts] for kind, texts in patterns.items()}
        self._phrases = phrases
        self._slots = slots
        # Phrases by their first word, so that reading looks only at those that can follow.
        self._leading: dict[str, dict[str, list[tuple[list[str], Any]]]] = {}
        for slot, values in phrases.items():
            leading = self._leading.setdefault(slot, {})
            for value, ways in values.items():
                for way in ways:
                    leading.setdefault(way.split()[0], []).append((way.split(), value))

    def ways(self, meaning: Any) -> list[int]:
        """The numbers of the patterns that say a meaning, as ``say`` takes them."""
        said = {name for name, value in zip(meaning._fields, meaning) if value is not None}
        return [number for number, pattern in enumerate(self._patterns[type(meaning)]) if pattern.fields == said]

    def say(self, meaning: Any, lot: Lot, way: int | None = None) -> str:
        """The words for a meaning; ``lot`` picks among equal ones, and among the patterns where ``way`` is None."""
        return " ".join(self._said(meaning, lot, way))

    def read(self, text: str, kind: type) -> Iterator[Any]:
        """Every meaning of that kind that the whole text has; none where the grammar cannot have written it."""
        words = text.split()
        yield from (meaning for meaning, end in self._read(words, 0, kind) if end == len(words))

    def words(self) -> set[str]:
        """Every word that may be written."""
        texts = [pattern.text for each in self._patterns.values() for pattern in each]
        texts += [way for values in self._phrases.values() for ways in values.values() for way in ways]
        return {word for text in texts for word in _SLOT.sub("", text).split()}

    def _said(self, meaning: Any, lot: Lot, way: int | None) -> Iterator[str]:
        pattern = self._patterns[type(meaning)][lot.pick(self.ways(meaning)) if way is None else way]
        for word, slot in pattern.parts:
            if slot is None:
                yield word
                continue
            value = getattr(meaning, slot) if slot in pattern.fields else None
            if slot in self._phrases:
                yield lot.pick(self._phrases[slot][value])
            else:
                yield from self._said(value, lot, None)

    def _read(self, words: list[str], start: int, kind: type) -> Iterator[tuple[Any, int]]:
        """The meanings that the words from ``start`` begin with, and where each ends."""
        fields: Any = kind
        for pattern in self._patterns[kind]:
            for said, end in self._rest(words, start, pattern, 0):
                yield kind(*(said.get(name) for name in fields._fields)), end

    def _rest(self, words: list[str], at: int, pattern: _Pattern, part: int) -> Iterator[tuple[dict[str, Any], int]]:
        """What the words from ``at`` say by the rest of a pattern, from its number ``part`` on."""
        if part == len(pattern.parts):
            yield {}, at
            return
        if at == len(words):
            return
        word, slot = pattern.parts[part]
        if slot is None:
            if words[at] == word:
                yield from self._rest(words, at + 1, pattern, part + 1)
            return
        for value, end in self._values(words, at, slot):
            for said, last in self._rest(words, end, pattern, part + 1):
                yield ({slot: value, **said} if slot in pattern.fields else said), last

    def _values(self, words: list[str], at: int, slot: str) -> Iterator[tuple[Any, int]]:
        if slot not in self._phrases:
            yield from self._read(words, at, self._slots[slot])
            return
        for way, value in self._leading[slot].get(words[at], ()):
            if words[at : at + len(way)] == way:
                yield value, at + len(way)


class _Pattern(NamedTuple):
    text: str
    parts: list[tuple[str, str | None]]
    """Each a word and None, or nothing and the name of a slot"""
    fields: set[str]
    """Those of its slots that are fields of the meaning"""

    @classmethod
    def of(cls, kind: Any, text: str) -> _Pattern:
        """The pattern of a text that says a kind of meaning."""
        slots = [_SLOT.fullmatch(part) for part in text.split()]
        parts = [("", slot[1]) if slot else (part, None) for part, slot in zip(text.split(), slots)]
        return cls(text, parts, {slot[1] for slot in slots if slot} & set(kind._fields))
