"""Tokenizers that still have to learn their vocabulary. ``learn(texts)`` reads the texts once and gives a finished one.

Memory does not grow with the text: SentencePiece looks at no more than ``max_sentences`` of them, and the counts of
words and characters forget the rarest when there are too many. The same texts give the same vocabulary.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from seq2seq.data.fields import Field, Fields, TextField, normalised
from seq2seq.data.tokenizers import (
    BOS_ID,
    EOS_ID,
    PAD_ID,
    SPECIALS,
    UNK_ID,
    Characters,
    SentencePiece,
    Tokenizer,
    Words,
    escape,
)
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Example

_MOST_COUNTED = 4_000_000  # distinct tokens, some 500 MB
_LONG = 4096
"""Characters of a sentence that SentencePiece learns from: it passes over those of more than 16,384 bytes"""


class Learner(Protocol):
    """What becomes a tokenizer: a learner, or a tokenizer that is finished already."""

    def learn(self, texts: Iterable[str]) -> Tokenizer:
        """Reads the texts once, if at all, and returns a finished tokenizer."""
        ...


class LearnSentencePiece:
    """Learns a SentencePiece model, see :class:`~seq2seq.data.tokenizers.SentencePiece`.

    With ``byte_fallback`` the tokenizer gives any text back unchanged: nothing is normalised, no space is lost, and
    characters that are not in the vocabulary are spelled in UTF-8 bytes, which take 256 entries of it.

    Args:
        vocab_size: the number of pieces, specials, characters and bytes included.
        model_type: ``unigram`` or ``bpe``.
        byte_fallback: spell unknown characters in bytes instead of losing them.
        character_coverage: the share of the text's characters that get a piece of their own (1 for small alphabets,
            0.9995 for Chinese or Japanese).
        sampling: see ``SentencePiece``.
        max_sentences: learn from this many sentences, drawn evenly when there are more; 100,000 of them take
            some 130 MB while learning.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        model_type: str,
        byte_fallback: bool,
        character_coverage: float,
        sampling: float,
        max_sentences: int = 200_000,
    ) -> None:
        if model_type not in ("unigram", "bpe"):
            raise ConfigError(f"model_type is {model_type!r}, expected unigram or bpe")
        if not 0.98 <= character_coverage <= 1.0:
            raise ConfigError(f"character_coverage is {character_coverage}, expected 0.98 to 1")
        if max_sentences < 1:
            raise ConfigError(f"max_sentences is {max_sentences}, expected at least 1")
        if not 0.0 <= sampling <= 1.0:
            raise ConfigError(f"sampling is {sampling}, expected 0 (none) to 1")
        least = len(SPECIALS) + 1 + (256 if byte_fallback else 0)
        if vocab_size < least:
            raise ConfigError(
                f"data.vocab_size is {vocab_size}, expected at least {least} (specials, bytes and one piece)"
            )
        self.vocab_size, self.model_type, self.byte_fallback = vocab_size, model_type, byte_fallback
        self.character_coverage, self.sampling, self.max_sentences = character_coverage, sampling, max_sentences

    def learn(self, texts: Iterable[str]) -> SentencePiece:
        """Learns the model.

        Raises:
            ConfigError: the text supports fewer pieces than were asked for, or its characters need more.
            DataError: there is no text.
        """
        import sentencepiece

        model, sentences = io.BytesIO(), _Sentences(texts, escaped=self.byte_fallback)
        sentencepiece.set_random_generator_seed(0)  # draws the sentences when there are more than max_sentences
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(sentences),
                model_writer=model,
                vocab_size=self.vocab_size,
                model_type=self.model_type,
                byte_fallback=self.byte_fallback,
                character_coverage=self.character_coverage,
                input_sentence_size=self.max_sentences,
                shuffle_input_sentence=True,
                max_sentence_length=16_384,
                normalization_rule_name="identity",
                remove_extra_whitespaces=False,
                unk_surface=SPECIALS[UNK_ID],
                pad_id=PAD_ID,
                unk_id=UNK_ID,
                bos_id=BOS_ID,
                eos_id=EOS_ID,
                pad_piece=SPECIALS[PAD_ID],
                num_threads=4,  # not the machine's: the sums of unigram training depend on it in their last bits
                minloglevel=4,
            )
        except RuntimeError as error:
            if sentences.failure is not None:
                raise sentences.failure from None
            raise self._in_words(str(error)) from error
        return SentencePiece(model=model.getvalue(), sampling=self.sampling)

    def _in_words(self, message: str) -> Exception:
        if found := re.search(r"set it to a value <= (\d+)", message):
            return ConfigError(
                f"vocab_size is {self.vocab_size}, but the training text supports at most {found[1]} "
                f"{self.model_type} pieces; set data.vocab_size={found[1]} or less, or give more text"
            )
        if found := re.search(r"required_chars\. (\d+) vs (\d+)", message):
            return ConfigError(
                f"vocab_size is {self.vocab_size}, but the characters of the training text alone take {found[2]}; "
                f"set data.vocab_size={found[2]} or more, or lower character_coverage"
            )
        if "sentences_.empty()" in message:
            return DataError("no text to learn a vocabulary from; expected at least one line that is not empty")
        return ConfigError(
            f"SentencePiece could not learn {self.vocab_size} {self.model_type} pieces: {message.strip()}"
        )


class _Counted:
    """Learns a vocabulary of the most frequent tokens; equally frequent ones are taken in code point order."""

    def __init__(self, *, max_size: int | None, min_count: int) -> None:
        if max_size is not None and max_size <= len(SPECIALS):
            raise ConfigError(f"max_size is {max_size}, expected more than the {len(SPECIALS)} special tokens")
        if min_count < 1:
            raise ConfigError(f"min_count is {min_count}, expected at least 1")
        self.max_size, self.min_count = max_size, min_count

    def tokens(self, texts: Iterable[Iterable[str]]) -> tuple[str, ...]:
        """The vocabulary of tokenized texts, specials first."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(text)
            if len(counts) > _MOST_COUNTED:
                counts = Counter(dict(counts.most_common(_MOST_COUNTED // 2)))
        if not counts:
            raise DataError("no text to learn a vocabulary from; expected at least one line that is not empty")
        kept = sorted((-count, token) for token, count in counts.items() if count >= self.min_count)
        if not kept:
            raise ConfigError(
                f"min_count is {self.min_count}, but no token of the training text occurs more than "
                f"{max(counts.values())} times; lower min_count"
            )
        room = None if self.max_size is None else self.max_size - len(SPECIALS)
        return SPECIALS + tuple(token for _, token in kept[:room])


class LearnWords:
    """Learns the vocabulary of :class:`~seq2seq.data.tokenizers.Words`.

    Args:
        max_size: the most entries, the four specials included; None for all words.
        min_count: leave out words that occur less often.
        sampling: see ``Words``.
    """

    def __init__(self, *, max_size: int | None, min_count: int, sampling: float = 0.0) -> None:
        self._counted, self.sampling = _Counted(max_size=max_size, min_count=min_count), sampling

    def learn(self, texts: Iterable[str]) -> Words:
        """Counts the words of the texts."""
        return Words(vocab=self._counted.tokens(text.split(" ") for text in texts if text), sampling=self.sampling)


class LearnCharacters:
    """Learns the vocabulary of :class:`~seq2seq.data.tokenizers.Characters`.

    Args:
        max_size: the most entries, the four specials included; None for all characters.
        min_count: leave out characters that occur less often.
    """

    def __init__(self, *, max_size: int | None, min_count: int) -> None:
        self._counted = _Counted(max_size=max_size, min_count=min_count)

    def learn(self, texts: Iterable[str]) -> Characters:
        """Counts the characters of the texts."""
        return Characters(vocab=self._counted.tokens(texts))


class _Sentences:
    """The texts that hold anything, written as the tokenizer will write them.

    What goes wrong while reading them is kept in ``failure``, because SentencePiece passes on no more than its text.
    """

    def __init__(self, texts: Iterable[str], *, escaped: bool) -> None:
        self._texts, self._escaped = texts, escaped
        self.failure: BaseException | None = None

    def __iter__(self) -> Iterator[str]:
        try:
            for part in (part for text in self._texts for part in _parts(text)):
                yield escape(part) if self._escaped else part
        except GeneratorExit:
            raise
        except BaseException as error:
            self.failure = error
            raise


def _parts(text: str) -> Iterator[str]:
    """A text in parts that are not long, cut behind a newline where there is one; nothing of an empty one."""
    start = 0
    while start < len(text):
        end = start + _LONG
        if end < len(text):
            end = text.rfind("\n", start, end) + 1 or end
        yield text[start:end]
        start = end


def learn_fields(
    pairs: Iterable[Example],
    *,
    src: Learner,
    tgt: Learner,
    joint: bool,
    nfc: bool,
    lower: bool = False,
    source: Field | None = None,
    target: Field | None = None,
) -> Fields:
    """The fields of both sides, the tokenizers of those that are text learned from the training pairs.

    Args:
        pairs: Read once for a joint vocabulary, else once for each side.
        src: Learns the source's vocabulary, and the target's too where it is joint.
        tgt: Learns the target's vocabulary where it is not joint.
        joint: One vocabulary for both sides, where both are text.
        nfc, lower: See ``TextField``.
        source: The source's field where it is no text.
        target: Likewise.
    """

    def text(learner: Learner, *sides: str) -> TextField:
        raws = (raw for pair in pairs for side in sides for raw in _all(getattr(pair, side)))
        return TextField(tokenizer=learner.learn(normalised(raws, nfc=nfc, lower=lower)), nfc=nfc, lower=lower)

    if source is not None:
        source.learn(pairs)
    if target is not None:
        target.learn(Example(pair.tgt, pair.src, pair.where) for pair in pairs)
    if source is None and target is None and joint:
        return Fields(*[text(src, "src", "tgt")] * 2)
    return Fields(source or text(src, "src"), target or text(tgt, "tgt"))


def _all(raw: Any) -> tuple[Any, ...]:
    """The raw values of a side, of which there may be several."""
    return raw if isinstance(raw, tuple) else (raw,)
