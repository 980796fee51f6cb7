"""CIDEr-D (Vedantam et al. 2015): how well a caption agrees with what people say of the picture.

Captions are vectors of n-gram counts, weighed by how rarely the n-grams occur with other pictures.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from seq2seq.errors import DataError
from seq2seq.metrics.references import References, grouped
from seq2seq.metrics.words import Ngram, Splitter, hypothesis_words, ngram_counts, words_of

ORDERS = 4


@dataclass(frozen=True)
class DocumentFrequencies:
    """In how many documents each n-gram occurs. All references of one example together are a document."""

    documents: int
    counts: Mapping[Ngram, int]
    """Of n-grams in two documents or more: those in one weigh as much as those in none"""
    end: bool
    """Whether the end of a caption counts as a word"""

    @classmethod
    def of(cls, references: Iterable[Sequence[str]], *, words: Splitter, end: bool = False) -> DocumentFrequencies:
        """Counts n-grams of 1 to 4 words in the references of every example.

        Raises:
            DataError: There are no examples.
        """
        documents, counts = 0, Counter[Ngram]()
        for group in references:
            documents += 1
            counts.update(set[Ngram]().union(*(ngram_counts(words_of(text, words, end=end), ORDERS) for text in group)))
        if not documents:
            raise DataError("document frequencies need the references of one example or more, but there are none")
        return cls(documents, {ngram: count for ngram, count in counts.items() if count > 1}, end)

    def save(self, path: Path) -> None:
        """Writes them as JSON, in alphabetical order."""
        counts = {" ".join(ngram): count for ngram, count in sorted(self.counts.items())}
        node = {"documents": self.documents, "end": self.end, "counts": counts}
        path.write_text(json.dumps(node, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> DocumentFrequencies:
        """Reads what ``save`` wrote.

        Raises:
            DataError: The file cannot be read, or is something else.
        """
        try:
            node = json.loads(path.read_text(encoding="utf-8"))
            counts = {tuple(ngram.split(" ")): int(count) for ngram, count in node["counts"].items()}
            found = cls(int(node["documents"]), counts, bool(node["end"]))
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}); expected document frequencies") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{path}: expected document frequencies as JSON; write them anew from references"
            ) from error
        if not 0 < max(found.counts.values(), default=1) <= found.documents:
            raise DataError(f"{path}: an n-gram in more documents than the {found.documents} there are; write it anew")
        return found


class _Vector(NamedTuple):
    weights: dict[Ngram, float]
    """Count times inverse document frequency, equation 1 (where the count is divided by the number of n-grams)"""
    norms: list[float]
    """By order; 1 where all weights are 0"""
    length: int


class CiderD:
    """CIDEr-D of each caption: a metric, and a reward for self-critical training.

    Equation 4 of the paper for n-grams of 1 to 4 words, averaged over n and over references, times 10. A caption
    scores 0 to 10; tables print the mean of a corpus times 100. As in the authors' code, and unlike the paper, counts
    are clipped without being divided by the number of n-grams.

    What it works out of a reference is kept for when it comes again, some 6 KB each.

    Args:
        frequencies: Of the corpus that is scored, as is customary; or of the training references, for a reward. They
            say whether the end of a caption counts as a word.
        words: Splits both sides; the one that the frequencies were counted with.
        sigma: Of the Gaussian over differences of length, in words.
        remembered: The number of references to keep.
    """

    def __init__(
        self, *, frequencies: DocumentFrequencies, words: Splitter, sigma: float = 6.0, remembered: int = 200_000
    ) -> None:
        self.words, self.end, self.remembered = words, frequencies.end, remembered
        self._rarest = math.log(frequencies.documents)
        self._rarity = {ngram: self._rarest - math.log(count) for ngram, count in frequencies.counts.items()}
        self._spread = 2 * sigma**2
        self._references: dict[str, _Vector] = {}

    def scores(
        self, hypotheses: Sequence[str], references: References, finished: Sequence[bool] | None = None
    ) -> list[float]:
        """The score of each hypothesis, 0 to 10.

        Args:
            hypotheses: Captions.
            references: One or more for each.
            finished: Which hypotheses came to their end rather than to the longest length allowed; None: all of them.
                Looked at only where the end counts as a word.

        Raises:
            ValueError: The numbers of hypotheses and references differ, there are none, or one has no reference.
        """
        groups = grouped(hypotheses, references)
        found = []
        split = hypothesis_words(hypotheses, self.words, end=self.end, finished=finished)
        for words, group in zip(split, groups):
            vector = self._vector(words)
            likenesses = [self._likeness(vector, self._reference(reference)) for reference in group]
            found.append(10.0 * sum(likenesses) / len(group))
        return found

    def _likeness(self, hypothesis: _Vector, reference: _Vector) -> float:
        """The mean over n of the clipped cosines, less where the lengths differ."""
        products = [0.0] * ORDERS
        others = reference.weights
        for ngram, own in hypothesis.weights.items():  # in the order of the words: that of a set differs by process
            if ngram in others:
                other = others[ngram]
                products[len(ngram) - 1] += (own if own < other else other) * other
        cosines = (p / (own * other) for p, own, other in zip(products, hypothesis.norms, reference.norms))
        return sum(cosines) / ORDERS * math.exp(-((hypothesis.length - reference.length) ** 2) / self._spread)

    def _reference(self, text: str) -> _Vector:
        known = self._references.get(text)
        if known is None:
            known = self._vector(words_of(text, self.words, end=self.end))
            if len(self._references) < self.remembered:
                self._references[text] = known
        return known

    def _vector(self, words: list[str]) -> _Vector:
        weights = {g: count * self._rarity.get(g, self._rarest) for g, count in ngram_counts(words, ORDERS).items()}
        squares = [0.0] * ORDERS
        for ngram, weight in weights.items():
            squares[len(ngram) - 1] += weight * weight
        return _Vector(weights, [math.sqrt(square) or 1.0 for square in squares], len(words))
