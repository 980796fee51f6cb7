"""A German-English corpus that a grammar writes, so that translation runs with no files and no network."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from seq2seq.data.builtin import english, function_words, german, lexicon, meaning
from seq2seq.data.builtin.drawn import check, distinct, fingerprint, percentile
from seq2seq.types import Example

SHORTEST, LONGEST = 4, 18
"""Words of a sentence, in both languages"""


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
        check("phrases", part=part, size=size)
        self.part, self.size, self.seed = part, size, seed

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Example]:
        sampler = meaning.Sampler(seed=self.seed)

        def draw(random: Random, training: bool) -> tuple[str, str] | None:
            return _pair(sampler.sentence(), training)

        return distinct("phrases", draw, part=self.part, size=self.size, seed=self.seed, by=1)

    def fingerprint(self) -> str:
        """A hash of the settings and of the grammar's own source, so that a changed grammar is another corpus."""
        modules = (lexicon, function_words, meaning, german, english)
        return fingerprint([self.part, self.size, self.seed], __file__, *(str(module.__file__) for module in modules))


def _pair(sentence: meaning.Sentence, training: bool) -> tuple[str, str] | None:
    """Both languages' sentence, if they are neither short nor long; and in training none with a verb and object that it
    must not see together."""
    src, tgt = german.say(sentence), english.say(sentence)
    if not (_fits(src) and _fits(tgt)) or (training and any(map(_held_out, sentence.clauses()))):
        return None
    return src, tgt


def _fits(text: str) -> bool:
    return SHORTEST <= text.count(" ") + 1 <= LONGEST


def _held_out(clause: meaning.Clause) -> bool:
    """Whether training must not see this verb with this object."""
    if clause.verb is None or clause.object is None or isinstance(clause.object.noun, function_words.Pronoun):
        return False
    verb = clause.verb.prefix + clause.verb.infinitive
    return percentile(f"{verb} {clause.object.noun.singular}") % 12 == 0
