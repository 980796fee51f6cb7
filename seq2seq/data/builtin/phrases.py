"""A German-English corpus that a grammar writes, so that translation runs with no files and no network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from seq2seq.data.builtin import english, function_words, german, lexicon, meaning
from seq2seq.errors import ConfigError
from seq2seq.types import Example

PARTS = {"train": range(80), "valid": range(80, 90), "test": range(90, 100)}
"""Percentiles of the hash of the English sentence. The hash knows no seed: no part of any seed shares a sentence
with another part, in either language."""
SHORTEST, LONGEST = 4, 18
"""Words of a sentence, in both languages"""
PATIENCE = 20_000
"""Draws without a new sentence after which the grammar counts as used up"""


class Phrases:
    """Reads sentence pairs that are drawn from a grammar.

    A German sentence has exactly one English translation. Objects and times come before the subject, verbs last or in
    two halves, and case alone may tell who does what, so a model has to reorder and to look at endings. Of the
    combinations of verb and object, one in twelve never occurs in the training part, but does in the others.

    Args:
        part: ``train``, ``valid`` or ``test``.
        size: number of sentence pairs, all distinct.
        seed: another seed draws other sentences.

    Raises:
        ConfigError: unknown part or negative size; when reading, more sentences than the grammar has.
    """

    def __init__(self, *, part: str, size: int, seed: int) -> None:
        if part not in PARTS:
            raise ConfigError(f"part={part!r} of the built-in phrases: expected one of {', '.join(PARTS)}")
        if size < 0:
            raise ConfigError(f"size={size} of the built-in phrases: expected a number of sentences, zero or more")
        self.part, self.size, self.seed = part, size, seed

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Example]:
        sampler = meaning.Sampler(seed=self.seed)
        seen: set[str] = set()
        draws = 0
        while len(seen) < self.size:
            if draws >= PATIENCE:
                raise ConfigError(
                    f"the built-in phrases have only about {len(seen):,} sentences for part={self.part}, "
                    f"size={self.size:,} were asked for: set a smaller size"
                )
            draws += 1
            sentence = sampler.sentence()
            tgt = english.say(sentence)
            if not _fits(tgt) or _percentile(tgt) not in PARTS[self.part]:
                continue
            if self.part == "train" and any(map(_held_out, sentence.clauses())):
                continue
            src = german.say(sentence)
            if src in seen or not _fits(src):
                continue
            seen.add(src)
            draws = 0
            yield Example(src, tgt, f"phrases:{self.part}:{len(seen)}")

    def fingerprint(self) -> str:
        """A hash of the settings and of the grammar's own source, so that a changed grammar is another corpus."""
        digest = hashlib.sha256(f"{self.part} {self.size} {self.seed}".encode())
        for module in (lexicon, function_words, meaning, german, english):
            digest.update(Path(str(module.__file__)).read_bytes())
        digest.update(Path(__file__).read_bytes())
        return digest.hexdigest()


def _fits(text: str) -> bool:
    return SHORTEST <= text.count(" ") + 1 <= LONGEST


def _percentile(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") % 100


def _held_out(clause: meaning.Clause) -> bool:
    """Whether training must not see this verb with this object."""
    if clause.verb is None or clause.object is None or isinstance(clause.object.noun, function_words.Pronoun):
        return False
    verb = clause.verb.prefix + clause.verb.infinitive
    return _percentile(f"{verb} {clause.object.noun.singular}") % 12 == 0
