"""BLEU (Papineni et al. 2002) of captions, over a corpus; and of single sentences, as a reward to train on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from seq2seq.metrics.references import References, grouped
from seq2seq.metrics.words import Ngram, Splitter, hypothesis_words, ngram_counts, words_of

ORDERS = 4


class Matches(NamedTuple):
    """What BLEU needs of one prediction."""

    correct: list[int]
    """By order, n-grams that are in a reference, each counted at most as often as in the reference with most of it"""
    guessed: list[int]
    """By order, all n-grams"""
    length: int
    """In words"""
    reference_length: int
    """In words, of the reference whose length is closest; of two equally close the shorter"""


def matches(words: Sequence[str], references: Sequence[Sequence[str]]) -> Matches:
    """Holds a prediction's words against those of its references."""
    own = ngram_counts(words, ORDERS)
    found: dict[Ngram, int] = {}
    for reference in references:
        theirs = ngram_counts(reference, ORDERS)
        for ngram in own.keys() & theirs.keys():
            found[ngram] = max(found.get(ngram, 0), min(own[ngram], theirs[ngram]))
    correct = [0] * ORDERS
    for ngram, count in found.items():
        correct[len(ngram) - 1] += count
    length = len(words)
    closest = min((abs(len(reference) - length), len(reference)) for reference in references)[1]
    return Matches(correct, [max(0, length - order) for order in range(ORDERS)], length, closest)


def corpus_bleu(predictions: Sequence[str], references: References, *, words: Splitter) -> list[float]:
    """BLEU-1 to BLEU-4 of a corpus, 0 to 1, as the COCO caption evaluation computes them.

    No smoothing, and the closest reference length for the brevity penalty. Where every order has a match this is
    sacrebleu's figure on the same words without smoothing. Where one has none, that is 0 and this a little above it,
    for the customary code adds 1e-15 to matches and 1e-9 to totals, and so does this.

    Raises:
        ValueError: The numbers of predictions and references differ, there are none, or one has no reference.
    """
    groups = grouped(predictions, references)
    parts = [matches(words(text), [*map(words, group)]) for text, group in zip(predictions, groups)]
    length, reference_length = sum(part.length for part in parts), sum(part.reference_length for part in parts)
    ratio = (length + 1e-15) / (reference_length + 1e-9)
    brevity = math.exp(min(0.0, 1 - 1 / ratio))
    scores, product = [], 1.0
    for order in range(ORDERS):
        correct, guessed = sum(part.correct[order] for part in parts), sum(part.guessed[order] for part in parts)
        product *= (correct + 1e-15) / (guessed + 1e-9)
        scores.append(brevity * product ** (1 / (order + 1)))
    return scores


class SentenceBleu:
    """BLEU-4 of each sentence, 0 to 1: a reward for minimum-risk training.

    Above single words, one is added to the matches and to the total of every order (Lin and Och 2004), without which
    most samples of a young model would be worth nothing.

    Args:
        end: Whether the end of an output counts as a word, so that a sentence cut short is worth less.
        words: Splits both sides.
    """

    def __init__(self, *, end: bool, words: Splitter) -> None:
        self.end, self.words = end, words

    def scores(
        self, hypotheses: Sequence[str], references: References, finished: Sequence[bool] | None = None
    ) -> list[float]:
        """The reward of each hypothesis.

        Args:
            hypotheses: Texts.
            references: One or more for each.
            finished: Which hypotheses came to their end rather than to the longest length allowed; None: all of them.

        Raises:
            ValueError: The numbers of hypotheses and references differ, there are none, or one has no reference.
        """
        groups = grouped(hypotheses, references)
        split = hypothesis_words(hypotheses, self.words, end=self.end, finished=finished)
        return [
            _smoothed(matches(words, [words_of(reference, self.words, end=self.end) for reference in group]))
            for words, group in zip(split, groups)
        ]


def _smoothed(part: Matches) -> float:
    if not part.correct[0]:
        return 0.0
    logs = [math.log((part.correct[n] + (n > 0)) / (part.guessed[n] + (n > 0))) for n in range(ORDERS)]
    return math.exp(sum(logs) / ORDERS + min(0.0, 1 - part.reference_length / part.length))
