"""Metrics of captions, over a whole corpus: plain lists of strings in, floats out, without Java.

BLEU-1 to 4, ROUGE-L and CIDEr-D are those of the COCO caption evaluation (Chen et al. 2015), to rounding, on
``caption_words`` of both sides. ``bleu4`` here is therefore not ``bleu`` of ``metrics.text``, which is sacrebleu's:
that one is cased, counts punctuation, and smooths. All are in percent, as tables print them, ``mean_length`` excepted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from seq2seq.errors import nearest
from seq2seq.metrics.bleu import corpus_bleu
from seq2seq.metrics.cider import CiderD, DocumentFrequencies
from seq2seq.metrics.references import References, grouped, spread
from seq2seq.metrics.rouge import rouge_l
from seq2seq.metrics.text import Score
from seq2seq.metrics.words import Splitter, caption_words, ngrams

FUNCTION_WORDS = frozenset({
    "a", "an", "the", "this", "that", "these", "those", "my", "your", "his", "its", "our", "their",
    "at", "by", "for", "from", "in", "into", "of", "on", "onto", "to", "under", "upon", "with", "without",
    "and", "as", "because", "but", "if", "nor", "or", "than", "when", "where", "which", "while", "who", "whose",
    "am", "are", "be", "been", "being", "did", "do", "does", "had", "has", "have", "is", "was", "were",
})  # fmt: skip
"""Words on which whole captions hardly ever end (fewer than 1 in 100 by people, most of them in "looks on"), and which
training on CIDEr-D without the end of the caption learns to end on. Words that are as often adverbs are left out."""


def distinct(texts: Iterable[str], order: int, *, words: Splitter = caption_words) -> float:
    """The share of distinct n-grams among all n-grams of all texts, 0 to 1 (after Li et al. 2016)."""
    found = [ngram for text in texts for ngram in ngrams(words(text), order)]
    return len(set(found)) / len(found) if found else 0.0


def mean_length(texts: Sequence[str], *, words: Splitter = caption_words) -> float:
    """The mean number of words."""
    return sum(len(words(text)) for text in texts) / len(texts)


def function_word_ends(texts: Sequence[str], *, words: Splitter = caption_words) -> float:
    """The share of texts whose last word is one of ``FUNCTION_WORDS``, 0 to 1: captions that were cut off."""
    return sum(not FUNCTION_WORDS.isdisjoint(words(text)[-1:]) for text in texts) / len(texts)


def _bleu(predictions: Sequence[str], references: References, *, order: int) -> Score:
    value = corpus_bleu(predictions, references, words=caption_words)[order - 1]
    return Score(100 * value, f"{_sides(predictions, references)}|smooth:none|len:closest")


def _rouge_l(predictions: Sequence[str], references: References) -> Score:
    groups = grouped(predictions, references)
    values = [rouge_l(caption_words(text), [*map(caption_words, group)]) for text, group in zip(predictions, groups)]
    return Score(100 * sum(values) / len(values), f"{_sides(predictions, references)}|beta:1.2")


def cider_d(
    predictions: Sequence[str], references: References, *, frequencies: DocumentFrequencies | None = None
) -> Score:
    """CIDEr-D of a corpus in percent, as tables print it; it may exceed 100.

    Args:
        predictions: Captions.
        references: One or more for each.
        frequencies: Of ``caption_words``; None takes those of the references themselves, as is customary. That needs a
            corpus: with the references of one picture alone nothing is rare, and all scores are 0.

    Raises:
        ValueError: The numbers of predictions and references differ, there are none, or one has no reference.
    """
    groups = grouped(predictions, references)
    kind = "corpus" if frequencies is None else f"given.{frequencies.documents}"
    frequencies = frequencies or DocumentFrequencies.of(groups, words=caption_words)
    scores = CiderD(frequencies=frequencies, words=caption_words, remembered=0).scores(predictions, groups)
    return Score(100 * sum(scores) / len(scores), f"{_sides(predictions, groups)}|df:{kind}|sigma:6")


def _of_predictions(
    predictions: Sequence[str], references: References, *, measure: Callable[[Sequence[str]], float], scale: float
) -> Score:
    grouped(predictions, references)
    return Score(scale * measure(predictions), "tok:caption")


METRICS: Mapping[str, Callable[[Sequence[str], References], Score]] = {
    "bleu1": partial(_bleu, order=1),
    "bleu2": partial(_bleu, order=2),
    "bleu3": partial(_bleu, order=3),
    "bleu4": partial(_bleu, order=4),
    "rouge_l": _rouge_l,
    "cider_d": cider_d,
    "distinct1": partial(_of_predictions, measure=partial(distinct, order=1), scale=100),
    "distinct2": partial(_of_predictions, measure=partial(distinct, order=2), scale=100),
    "mean_length": partial(_of_predictions, measure=mean_length, scale=1),
    "function_word_ends": partial(_of_predictions, measure=function_word_ends, scale=100),
}


def caption_scores(
    predictions: Sequence[str], references: References, names: Iterable[str] = tuple(METRICS)
) -> dict[str, float]:
    """Several corpus scores at once, by the names of ``METRICS``.

    Args:
        predictions: Captions; what is tokenised already is taken as it is, less its punctuation.
        references: One or more for each.
        names: Which, in the order wanted.

    Raises:
        ValueError: The numbers of predictions and references differ, there are none, one has no reference, or a name is
            unknown.
    """
    scores = {}
    for name in names:
        if name not in METRICS:
            raise ValueError(f"there is no caption metric {name!r}; {nearest(name, METRICS)}")
        scores[name] = METRICS[name](predictions, references).value
    return scores


def _sides(predictions: Sequence[str], references: References) -> str:
    return f"{spread(grouped(predictions, references))}|case:lc|tok:caption"
