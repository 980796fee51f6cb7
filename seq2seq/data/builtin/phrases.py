"""A corpus that a grammar writes, German-English or English alone, so that recipes run with no files and no network."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from seq2seq.data.builtin import english, function_words, german, lexicon, meaning
from seq2seq.data.builtin.drawn import check, distinct, fingerprint, percentile
from seq2seq.types import Example

SHORTEST, LONGEST = 4, 18
"""Words of a sentence, in both languages"""


class _Written:
    """What the grammar's readers have in common; a subclass says what an example of a meaning is."""

    name: str
    by: int
    """The side that tells which part an example is of"""

    def __init__(self, *, part: str, size: int, seed: int) -> None:
        check(self.name, part=part, size=size)
        self.part, self.size, self.seed = part, size, seed

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Example]:
        sampler = meaning.Sampler(seed=self.seed)

        def draw(random: Random, training: bool) -> tuple[str, str] | None:
            sentence = sampler.sentence()
            said = self._said(sentence)
            if not all(map(_fits, said)) or (training and any(map(_held_out, sentence.clauses()))):
                return None
            return said

        return distinct(self.name, draw, part=self.part, size=self.size, seed=self.seed, by=self.by)

    def fingerprint(self) -> str:
        """A hash of the settings and of the grammar's own source, so that a changed grammar is another corpus."""
        modules = (lexicon, function_words, meaning, german, english)
        settings = [self.name, self.part, self.size, self.seed]
        return fingerprint(settings, __file__, *(str(module.__file__) for module in modules))

    def _said(self, sentence: meaning.Sentence) -> tuple[str, str]:
        """Source and target."""
        raise NotImplementedError


class Phrases(_Written):
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

    name, by = "phrases", 1

    def _said(self, sentence: meaning.Sentence) -> tuple[str, str]:
        return german.say(sentence), english.say(sentence)


class Sentences(_Written):
    """Reads English sentences of the same grammar, each as source and as target: what an auto-encoder is trained on.

    They are not the English sides of ``Phrases``: no German has a say in how long they may be, and all are distinct.
    Arguments and errors are those of ``Phrases``.
    """

    name, by = "sentences", 0

    def _said(self, sentence: meaning.Sentence) -> tuple[str, str]:
        text = english.say(sentence)
        return text, text


def _fits(text: str) -> bool:
    return SHORTEST <= text.count(" ") + 1 <= LONGEST


def _held_out(clause: meaning.Clause) -> bool:
    """Whether training must not see this verb with this object."""
    if clause.verb is None or clause.object is None or isinstance(clause.object.noun, function_words.Pronoun):
        return False
    verb = clause.verb.prefix + clause.verb.infinitive
    return percentile(f"{verb} {clause.object.noun.singular}") % 12 == 0
