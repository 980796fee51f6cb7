"""Segmentations drawn at random: their distribution by hand, and encode where nothing is left to chance."""

from __future__ import annotations

import io
import random
import struct
from collections import Counter
from itertools import product
from math import log
from typing import Any

import pytest
import sentencepiece

import seq2seq.data.sampling
from seq2seq.data.pieces import PieceTable
from seq2seq.data.sampling import AllPaths, BestPaths, MergeDropout, Sampler
from seq2seq.data.tokenizers import SentencePiece
from seq2seq.errors import ConfigError

DRAWS = 20_000
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)


def message(number: int, value: bytes | float) -> bytes:
    """A field of a protobuf message; sizes below 2¹⁴."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    if isinstance(value, float):
        return bytes([number << 3 | 5]) + struct.pack("<f", value)
    return bytes([number << 3 | 2, len(value) & 127 | 128, len(value) >> 7]) + value


def model(kind: str, *pieces: tuple[str, float, int]) -> bytes:
    """A SentencePiece model made by hand: its first pieces are <unk>, <s> and </s>."""
    first = [("<unk>", 0.0, UNKNOWN), ("<s>", 0.0, CONTROL), ("</s>", 0.0, CONTROL)]
    entries = [
        message(1, message(1, text.encode()) + message(2, score) + message(3, kind))
        for text, score, kind in (*first, *pieces)
    ]
    normaliser = message(1, b"identity") + message(3, 0) + message(4, 0)  # no space before a text, none removed
    return (
        b"".join(entries)
        + message(2, message(3, ["unigram", "bpe", "word", "char"].index(kind) + 1))
        + message(3, normaliser)
    )


ABC = model(
    "unigram", *((text, log(p), NORMAL) for text, p in {"a": 0.2, "b": 0.1, "c": 0.2, "ab": 0.1, "bc": 0.15}.items())
)
# a b c, ab c, a bc: the probabilities of their pieces multiplied
PATHS = {"a b c": 0.2 * 0.1 * 0.2, "ab c": 0.1 * 0.2, "a bc": 0.2 * 0.15}


def drawn(tokenizer: SentencePiece, text: str) -> dict[str, float]:
    """How often each segmentation comes."""
    counts = Counter(" ".join(tokenizer.pieces(tokenizer.sample_all([text], seed)[0])) for seed in range(DRAWS))
    return {pieces: count / DRAWS for pieces, count in counts.items()}


def expected(weights: dict[str, float], alpha: float) -> Any:
    powers = {pieces: weight**alpha for pieces, weight in weights.items()}
    # Four standard errors of the most uncertain share, of one half.
    return pytest.approx({pieces: power / sum(powers.values()) for pieces, power in powers.items()}, abs=2 / DRAWS**0.5)


@pytest.mark.parametrize("alpha", [1.0, 0.3])
def test_a_unigram_model_is_drawn_from_by_its_probabilities(alpha: float) -> None:
    assert drawn(SentencePiece(model=ABC, sampling=alpha), "abc") == expected(PATHS, alpha)


@pytest.mark.parametrize("alpha", [1.0, 0.3])
def test_the_best_are_those_of_the_whole_text(alpha: float) -> None:
    both = {f"{x} ▁ {y}": PATHS[x] * PATHS[y] for x, y in product(PATHS, PATHS)}
    best = dict(sorted(both.items(), key=lambda item: -item[1])[:4])
    spaced = ABC + message(1, message(1, "▁".encode()) + message(2, log(0.1)) + message(3, NORMAL))
    tokenizer = SentencePiece(model=spaced, sampling=alpha, nbest_size=4)
    assert drawn(tokenizer, "abc abc") == expected(best, alpha)
    assert drawn(SentencePiece(model=spaced, sampling=alpha, nbest_size=99), "abc abc") == expected(both, alpha)
    assert drawn(SentencePiece(model=spaced, sampling=alpha, nbest_size=1), "abc") == {"a bc": 1.0}


def test_merges_are_left_out_with_their_probability() -> None:
    letters = [(letter, -9.0, NORMAL) for letter in "abc"]
    merges = model("bpe", ("ab", -1.0, NORMAL), ("abc", -2.0, NORMAL), ("bc", -3.0, NORMAL), *letters)
    p = 0.4
    # ab comes first, then abc where there is ab; bc where there is none.
    shares = {"abc": (1 - p) ** 2, "ab c": (1 - p) * p, "a bc": p * (1 - p), "a b c": p * p}
    # Without ab, a and bc make abc again, if that merge is taken.
    shares = {**shares, "abc": shares["abc"] + shares["a bc"] * (1 - p), "a bc": shares["a bc"] * p}
    assert drawn(SentencePiece(model=merges, sampling=p), "abc") == expected(shares, 1.0)
    assert drawn(SentencePiece(model=merges, sampling=1.0), "abc") == {"a b c": 1.0}


def trained(kind: str, texts: list[str], **changes: Any) -> bytes:
    written = io.BytesIO()
    settings = {"vocab_size": 380, "model_type": kind, "minloglevel": 4, "hard_vocab_limit": False, **changes}
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(texts), model_writer=written, **settings)
    return written.getvalue()


def sentences(count: int) -> list[str]:
    generator = random.Random(3)
    words = ["".join(generator.choices("abcdefghiäöü", k=generator.randint(2, 7))) for _ in range(200)]
    return [" ".join(generator.choices(words, k=generator.randint(3, 9))) for _ in range(count)]


OWN: dict[str, dict[str, Any]] = {
    "bytes": {"byte_fallback": True},
    "defaults": {},
    "kept spaces": {"remove_extra_whitespaces": False, "normalization_rule_name": "identity"},
    "space behind": {"treat_whitespace_as_suffix": True},
    "across words": {"split_by_whitespace": False},
    "space runs": {"allow_whitespace_only_pieces": True, "remove_extra_whitespaces": False, "byte_fallback": True},
    "no space before": {"add_dummy_prefix": False},
    "symbols": {"user_defined_symbols": ["<sep>", "ab", "cab", "▁x▁y"], "control_symbols": ["<2de>"]},
}


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize("changes", OWN.values(), ids=OWN.keys())
def test_with_nothing_left_to_chance_it_is_encode(kind: str, changes: dict[str, Any]) -> None:
    texts = sentences(400)
    content = trained(kind, texts, **changes)
    table, processor = PieceTable(content), sentencepiece.SentencePieceProcessor(model_proto=content)
    lines = [
        *texts,
        "",
        " ",
        "  a  bcd ",
        "日本 語a日",
        "<sep>",
        "ab<sep>cabbed  <2de><s>",
        "a x y b",
        "\t\u2581",
        "x<unk>",
    ]
    lines += ["    ".join(text.split()) for text in texts[:20]]
    sure: list[Sampler] = [MergeDropout(table, rate=0.0)]
    if kind == "unigram":
        sure = [AllPaths(table, alpha=1e7), BestPaths(table, alpha=0.1, count=1), BestPaths(table, alpha=1e7, count=9)]
    for sampler in sure:
        assert sampler(processor.normalize(lines), 1) == processor.encode(lines)
    for sampling in (0.1, 0.6, 1.0):
        tokenizer = SentencePiece(model=content, sampling=sampling)
        for line, ids in zip(lines, tokenizer.sample_all(lines, 1), strict=True):
            assert tokenizer.decode(ids) == tokenizer.decode(tokenizer.encode(line))
            if "user_defined_symbols" in changes:
                assert tokenizer.pieces(ids).count("<sep>") == line.count("<sep>")


def test_pieces_that_are_not_to_be_used_never_are() -> None:
    letters = [(letter, -9.0, NORMAL) for letter in "abc"]
    merges = model("bpe", ("ab", -1.0, UNUSED), ("abc", -2.0, NORMAL), *letters)
    tokenizer = SentencePiece(model=merges, sampling=0.5)
    assert drawn(tokenizer, "abc") == expected({"abc": 0.25, "a b c": 0.75}, 1.0)
    unigram = model("unigram", ("ab", -1.0, UNUSED), ("abc", -2.0, NORMAL), *letters)
    assert set(drawn(SentencePiece(model=unigram, sampling=0.1), "abc")) == {"abc", "a b c"}


def test_what_is_kept_changes_nothing_and_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = sentences(100)
    for kind, nbest_size in (("unigram", -1), ("unigram", 5), ("bpe", -1)):
        content = trained(kind, texts)
        kept = SentencePiece(model=content, sampling=0.3, nbest_size=nbest_size)
        first = kept.sample_all(texts, 1)
        assert kept.sample_all(texts, 1) == first
        with monkeypatch.context() as patch:
            patch.setattr(seq2seq.data.sampling, "_MOST_KEPT", 60)
            forgetful = SentencePiece(model=content, sampling=0.3, nbest_size=nbest_size)
            assert forgetful.sample_all(texts, 1) == first
            assert forgetful._sampler is not None
            assert len(forgetful._sampler._kept) <= 60


def test_a_text_is_drawn_alike_whatever_stands_beside_it() -> None:
    """So that it makes no difference how a batch is dealt out to processes."""
    tokenizer = SentencePiece(model=ABC, sampling=0.1)
    texts = ["abc" * number for number in range(1, 9)]
    whole = tokenizer.sample_all(texts, 1)
    assert [*tokenizer.sample_all(texts[1::2], 1), *tokenizer.sample_all(texts[::2], 1)] == whole[1::2] + whole[::2]


def test_seeds_are_any_numbers() -> None:
    tokenizer = SentencePiece(model=ABC, sampling=0.1)
    samples = {str(tokenizer.sample_all(["abc" * 20], seed)) for seed in (0, 1, -1, 2**32, 2**64 + 1)}
    assert len(samples) == 5


def test_long_words_take_no_more_than_their_length() -> None:
    text = "abc" * 3000
    for sampling, nbest_size in ((0.1, -1), (0.1, 4)):
        tokenizer = SentencePiece(model=ABC, sampling=sampling, nbest_size=nbest_size)
        assert tokenizer.decode(tokenizer.sample_all([text], 1)[0]) == text


@pytest.mark.parametrize("kind", ["word", "char"])
def test_models_without_a_choice_say_so(kind: str) -> None:
    content = model(kind, ("a", -1.0, NORMAL))
    with pytest.raises(ConfigError, match=rf"sampling is 0\.3, but a {kind} model has one segmentation .* sampling=0"):
        SentencePiece(model=content, sampling=0.3)
    assert SentencePiece(model=content).sample_all(["a"], 1) == [[3]]


def test_scores_are_read_as_sentencepiece_reads_them() -> None:
    content = trained("unigram", sentences(200), byte_fallback=True)
    table, processor = PieceTable(content), sentencepiece.SentencePieceProcessor(model_proto=content)
    assert table.scores == [processor.get_score(index) for index in range(len(processor))]
    assert {text: processor.piece_to_id(text) for text in table.ids} == table.ids
    assert table.spelled("é") == (processor.piece_to_id("<0xC3>"), processor.piece_to_id("<0xA9>"))
