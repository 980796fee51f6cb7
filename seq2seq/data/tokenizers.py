"""Text to ids and back: SentencePiece pieces, words and characters behind one interface.

Each tokenizer here is finished: it has its vocabulary. Those that still have to learn it from text are in
:mod:`seq2seq.data.learn`; ``learn`` works on both kinds, so that a caller need not ask which it was given.
"""

from __future__ import annotations

import hashlib
import random
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from seq2seq.data.pieces import SPACE_MARK, PieceTable
from seq2seq.data.sampling import sampler
from seq2seq.errors import ConfigError, DataError

SPECIALS = ("<pad>", "<unk>", "<s>", "</s>")
"""The first four entries of every vocabulary that is learned here: padding, unknown, beginning and end of sentence."""
PAD_ID, UNK_ID, BOS_ID, EOS_ID = range(4)

# SentencePiece writes a space as the space mark, so that a real one has to be written otherwise.
_ESCAPE = "\uffff"  # a code point that Unicode promises never to assign
_ESCAPED = {SPACE_MARK: _ESCAPE + "1", _ESCAPE: _ESCAPE + "0"}
_UNESCAPED = {written: meant for meant, written in _ESCAPED.items()}
_NEWLINE = _ESCAPE + "2"  # in a file that has a token on each line


def escape(text: str) -> str:
    """Rewrites the two characters that SentencePiece cannot give back; :func:`unescape` undoes it."""
    if SPACE_MARK not in text and _ESCAPE not in text:
        return text
    return re.sub(f"[{SPACE_MARK}{_ESCAPE}]", lambda match: _ESCAPED[match[0]], text)


def unescape(text: str) -> str:
    """The text that :func:`escape` was given."""
    return re.sub(f"{_ESCAPE}[01]", lambda match: _UNESCAPED[match[0]], text) if _ESCAPE in text else text


class Tokenizer(ABC):
    """Text ↔ ids. No id of ``encode`` is a special one, except ``unk_id``; bos and eos are added by who needs them."""

    pad_id: int
    unk_id: int
    bos_id: int
    eos_id: int

    @abstractmethod
    def __len__(self) -> int:
        """The size of the vocabulary, specials included."""

    @abstractmethod
    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text. Always the same ones for the same text."""

    @abstractmethod
    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids; pad, bos and eos leave no trace in it."""

    @abstractmethod
    def pieces(self, ids: Iterable[int]) -> list[str]:
        """What each id stands for, specials included, for plots and n-best lists."""

    @abstractmethod
    def fingerprint(self) -> str:
        """A hash of all that ``encode_all`` depends on: the same fingerprint, the same ids."""

    @abstractmethod
    def save(self, folder: Path, name: str) -> dict[str, Any]:
        """Writes the vocabulary into ``folder`` under ``name`` and returns the configuration that builds this again.

        In it the literal text ``${folder}`` stands for wherever the folder is when it is read.
        """

    @property
    def stochastic(self) -> bool:
        """Whether ``sample_all`` differs from ``encode_all``."""
        return False

    def encode(self, text: str) -> list[int]:
        """The ids of one text."""
        return self.encode_all([text])[0]

    def sample_all(self, texts: Sequence[str], seed: int) -> list[list[int]]:
        """One segmentation of each text drawn at random, depending on nothing but ``texts`` and ``seed``."""
        return self.encode_all(texts)

    def learn(self, texts: Iterable[str]) -> Tokenizer:
        """Nothing is left to learn: returns itself and does not read the texts."""
        return self


FEW = 64
"""Fewer texts are encoded one by one: SentencePiece starts threads for a list, which takes longer than a few dozen"""


class SentencePiece(Tokenizer):
    """Subword pieces of a SentencePiece model, unigram or BPE (Kudo and Richardson 2018, arXiv:1808.06226).

    Args:
        model: a ``.model`` file, or its content. A model without pad or bos uses eos in their place.
        sampling: 0 for none. For a unigram model α, the sharpness of the distribution that segmentations x are drawn
            from, P(x) ∝ p(x)^α: 1 is the model's own, and the smaller, the more random (Kudo 2018, arXiv:1804.10959,
            section 3.1). For a BPE model the probability that a merge is left out (BPE-dropout, Provilkov et al.
            2020, arXiv:1910.13267); 1 leaves single characters.
        nbest_size: for a unigram model, draw from this many best segmentations of a whole text; 1 is ``encode``, and
            -1 draws from all of them, which is much faster. A BPE model has none.
    """

    def __init__(self, *, model: str | Path | bytes, sampling: float = 0.0, nbest_size: int = -1) -> None:
        if not 0.0 <= sampling <= 1.0:
            raise ConfigError(f"sampling is {sampling}, expected 0 (none) to 1")
        if nbest_size == 0 or nbest_size < -1:
            raise ConfigError(f"nbest_size is {nbest_size}, expected -1 (all segmentations) or a positive number")
        self.sampling, self.nbest_size = sampling, nbest_size
        self._model, where = (model, "model") if isinstance(model, bytes) else (_read(Path(model)), str(model))
        self._processor = _processor(self._model, where)
        self.unk_id, self.eos_id = self._processor.unk_id(), self._processor.eos_id()
        if self.eos_id < 0:
            raise ConfigError(f"{where}: this SentencePiece model has no end of sentence; train it without eos_id=-1")
        self.pad_id = self._processor.pad_id() if self._processor.pad_id() >= 0 else self.eos_id
        self.bos_id = self._processor.bos_id() if self._processor.bos_id() >= 0 else self.eos_id
        # Only a model that can spell out any character gives the escaped ones back.
        self._escapes = any(self._processor.is_byte(index) for index in range(min(len(self), 512)))
        self._sampler = None
        if sampling:
            self._sampler = sampler(PieceTable(self._model), sampling=sampling, nbest_size=nbest_size, where=where)

    def __len__(self) -> int:
        return int(self._processor.get_piece_size())

    @property
    def stochastic(self) -> bool:
        return self.sampling > 0

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        escaped = self._escaped(texts)
        if len(escaped) < FEW:
            return [self._processor.encode(text) for text in escaped]
        return self._processor.encode(escaped)

    def sample_all(self, texts: Sequence[str], seed: int) -> list[list[int]]:
        if self._sampler is None or not texts:
            return self.encode_all(texts)
        return self._sampler(self._processor.normalize(self._escaped(texts)), seed)

    def decode(self, ids: Iterable[int]) -> str:
        skipped = (self.pad_id, self.bos_id, self.eos_id)
        text = self._processor.decode([int(index) for index in ids if int(index) not in skipped])
        return unescape(text) if self._escapes else text

    def pieces(self, ids: Iterable[int]) -> list[str]:
        return [self._processor.id_to_piece(int(index)) for index in ids]

    def fingerprint(self) -> str:
        return hashlib.sha256(b"sentencepiece\0" + self._model).hexdigest()

    def save(self, folder: Path, name: str) -> dict[str, Any]:
        (folder / f"{name}.model").write_bytes(self._model)
        return {
            "_target_": "seq2seq.data.tokenizers.SentencePiece",
            "model": f"${{folder}}/{name}.model",
            "sampling": self.sampling,
            "nbest_size": self.nbest_size,
        }

    def _escaped(self, texts: Sequence[str]) -> list[str]:
        return [escape(text) for text in texts] if self._escapes else list(texts)


class Vocabulary:
    """Tokens and their ids, for tokenizers whose vocabulary is a plain list.

    Args:
        vocab: a UTF-8 file with one token a line, or the tokens. Ids are line numbers from 0, and the first four
            lines are the specials. A text may hold the same words as a special does; they never meet. In a file, the
        newline within a token is written as U+FFFF and 2.
    """

    def __init__(self, vocab: str | Path | Sequence[str]) -> None:
        self.tokens = _read_tokens(Path(vocab)) if isinstance(vocab, (str, Path)) else tuple(vocab)
        where = str(vocab) if isinstance(vocab, (str, Path)) else "vocabulary"
        if self.tokens[:4] != SPECIALS:
            raise DataError(f"{where}:1: expected the first four lines to be {', '.join(SPECIALS)}")
        self.ids: dict[str, int] = {}
        for index, token in enumerate(self.tokens[4:], start=4):
            if self.ids.setdefault(token, index) != index:
                raise DataError(f"{where}:{index + 1}: {token!r} is on line {self.ids[token] + 1} already")

    def numbers(self, tokens: Iterable[str]) -> list[int]:
        """The id of each token; the unknown one for those that are not in the vocabulary."""
        return [self.ids.get(token, UNK_ID) for token in tokens]

    def names(self, ids: Iterable[int]) -> list[str]:
        """The token of each id."""
        return [self.tokens[int(index)] for index in ids]

    def words(self, ids: Iterable[int]) -> list[str]:
        """The token of each id that is part of the text: all but pad, bos and eos."""
        return self.names(index for index in ids if int(index) not in (PAD_ID, BOS_ID, EOS_ID))

    def fingerprint(self, kind: str) -> str:
        """A hash of the tokens and of the kind of tokenizer that uses them."""
        return hashlib.sha256("\n".join((kind, *self.tokens)).encode()).hexdigest()

    def save(self, folder: Path, name: str) -> str:
        """Writes ``<name>.vocab`` into the folder; returns where it will be found."""
        lines = [token.replace("\n", _NEWLINE) for token in self.tokens]
        (folder / f"{name}.vocab").write_bytes("".join(f"{line}\n" for line in lines).encode())
        return f"${{folder}}/{name}.vocab"


class Words(Tokenizer):
    """Words, for text that is tokenized already: split on single spaces and nothing else.

    Args:
        vocab: see :class:`Vocabulary`.
        sampling: share of words, drawn at random in training, that are taken for unknown ones: so a model learns what
            to make of those that it will not know.
    """

    pad_id, unk_id, bos_id, eos_id = PAD_ID, UNK_ID, BOS_ID, EOS_ID

    def __init__(self, *, vocab: str | Path | Sequence[str], sampling: float = 0.0) -> None:
        if not 0.0 <= sampling < 1.0:
            raise ConfigError(f"sampling is {sampling}, expected 0 (none) or a share of words below 1")
        self._vocabulary, self.sampling = Vocabulary(vocab), sampling

    def __len__(self) -> int:
        return len(self._vocabulary.tokens)

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._vocabulary.numbers(text.split(" ")) if text else [] for text in texts]

    @property
    def stochastic(self) -> bool:
        return self.sampling > 0

    def sample_all(self, texts: Sequence[str], seed: int) -> list[list[int]]:
        return [self._sampled(ids, f"{seed} {text}") for ids, text in zip(self.encode_all(texts), texts)]

    def decode(self, ids: Iterable[int]) -> str:
        return " ".join(self._vocabulary.words(ids))

    def pieces(self, ids: Iterable[int]) -> list[str]:
        return self._vocabulary.names(ids)

    def fingerprint(self) -> str:
        return self._vocabulary.fingerprint("words")

    def save(self, folder: Path, name: str) -> dict[str, Any]:
        vocab = self._vocabulary.save(folder, name)
        return {"_target_": "seq2seq.data.tokenizers.Words", "vocab": vocab, "sampling": self.sampling}

    def _sampled(self, ids: list[int], seed: str) -> list[int]:
        draw = random.Random(seed).random
        return [UNK_ID if draw() < self.sampling else index for index in ids]


class Characters(Tokenizer):
    """Characters: one id for each code point.

    Args:
        vocab: see :class:`Vocabulary`.
    """

    pad_id, unk_id, bos_id, eos_id = PAD_ID, UNK_ID, BOS_ID, EOS_ID

    def __init__(self, *, vocab: str | Path | Sequence[str]) -> None:
        self._vocabulary = Vocabulary(vocab)

    def __len__(self) -> int:
        return len(self._vocabulary.tokens)

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._vocabulary.numbers(text) for text in texts]

    def decode(self, ids: Iterable[int]) -> str:
        return "".join(self._vocabulary.words(ids))

    def pieces(self, ids: Iterable[int]) -> list[str]:
        return self._vocabulary.names(ids)

    def fingerprint(self) -> str:
        return self._vocabulary.fingerprint("characters")

    def save(self, folder: Path, name: str) -> dict[str, Any]:
        return {"_target_": "seq2seq.data.tokenizers.Characters", "vocab": self._vocabulary.save(folder, name)}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); expected the tokenizer's file") from error


def _read_tokens(path: Path) -> tuple[str, ...]:
    content = _read(path)
    try:
        # Not splitlines: it would also split on characters that are tokens themselves.
        lines = content.decode("utf-8").removesuffix("\n").split("\n")
        return tuple(line.replace(_NEWLINE, "\n") for line in lines)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: not UTF-8; save the vocabulary as UTF-8, one token a line") from error


def _processor(model: bytes, where: str) -> Any:
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor()
    try:
        loaded = bool(model) and processor.LoadFromSerializedProto(model)
    except RuntimeError:
        loaded = False
    if not loaded:
        raise DataError(f"{where}: not a SentencePiece model, or a damaged one; expected a .model file of spm_train")
    return processor
