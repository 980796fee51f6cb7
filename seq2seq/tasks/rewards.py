"""Rewards: what a single output is worth beside its references, as a task that is trained on them asks for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from seq2seq.errors import ConfigError
from seq2seq.metrics.bleu import SentenceBleu
from seq2seq.metrics.cider import CiderD, DocumentFrequencies
from seq2seq.metrics.references import References
from seq2seq.metrics.words import caption_words, translation_words

FREQUENCIES = "frequencies.json"


class Reward(Protocol):
    """A figure of single outputs, the higher the better."""

    def learn(self, references: Iterable[Sequence[str]], folder: Path) -> None:
        """Learns what it has to know of the references of all training examples.

        Args:
            references: Of each example one or more.
            folder: Keeps what was learned, and where it lies there already, that is taken instead.
        """
        ...

    def scores(
        self, hypotheses: Sequence[str], references: References, finished: Sequence[bool] | None = None
    ) -> list[float]:
        """The reward of each hypothesis, of which some may not have come to their end."""
        ...


class CiderReward:
    """CIDEr-D of captions, 0 to 10, with the document frequencies of the training references.

    Args:
        end: Whether the end of a caption counts as a word. Without it, training learns to end on function words.
    """

    def __init__(self, *, end: bool) -> None:
        self.end = end
        self._cider: CiderD | None = None

    def learn(self, references: Iterable[Sequence[str]], folder: Path) -> None:
        """Counts in how many examples each n-gram occurs, or finds that counted.

        Raises:
            ConfigError: What was counted has the end of a caption where it is not to count, or the reverse.
            DataError: It cannot be read.
        """
        path = folder / FREQUENCIES
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            aside = path.with_name(f".{path.name}.part")
            DocumentFrequencies.of(references, words=caption_words, end=self.end).save(aside)
            aside.rename(path)
        frequencies = DocumentFrequencies.load(path)
        if frequencies.end != self.end:
            raise ConfigError(
                f"{path} was counted with end={str(frequencies.end).lower()}, and the reward has "
                f"end={str(self.end).lower()}: keep the one that the run began with, or remove the file"
            )
        self._cider = CiderD(frequencies=frequencies, words=caption_words)

    def scores(
        self, hypotheses: Sequence[str], references: References, finished: Sequence[bool] | None = None
    ) -> list[float]:
        """See ``CiderD.scores``; after ``learn``."""
        assert self._cider is not None, "a reward learns before it scores"
        return self._cider.scores(hypotheses, references, finished)


class BleuReward:
    """Smoothed BLEU-4 of single sentences, 0 to 1, cased and by the rules that sacrebleu's BLEU splits words by.

    Args:
        end: Whether the end of an output counts as a word, so that one cut short is worth less.
    """

    def __init__(self, *, end: bool) -> None:
        self._bleu = SentenceBleu(end=end, words=translation_words)

    def learn(self, references: Iterable[Sequence[str]], folder: Path) -> None:
        """Nothing: it knows no other example."""

    def scores(
        self, hypotheses: Sequence[str], references: References, finished: Sequence[bool] | None = None
    ) -> list[float]:
        """See ``SentenceBleu.scores``."""
        return self._bleu.scores(hypotheses, references, finished)
