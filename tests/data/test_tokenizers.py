"""Law 6 (what goes in comes out), sampling as a function of its seed, learning, and what users get wrong."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from seq2seq.data.learn import LearnCharacters, LearnSentencePiece, LearnWords
from seq2seq.data.tokenizers import SPECIALS, Characters, SentencePiece, Tokenizer, Words
from seq2seq.errors import ConfigError, DataError, UserError

TYPES = ("unigram", "bpe")
AWKWARD = [
    "", " ", "   ", " a", "a ", "  a   b  ", "\t", "a\tb", "\t a", "\r", "a\r", "\x00", "a\x00b", "\x0b\x0c\x1c\x85",
    "\u2028\u2029", "\u00a0", "\u3000", "\u200b\ufeff", "\u2581", "a\u2581b", " \u2581 ", "\u2581\u2581", "\uffff",
    "\uffff1", "\uffff0\u2581", "\ufffe", "\ufffd", "⁇", " ⁇ ", "<s>", "</s>", "<pad>", "<unk>", "<0x41>", "e\u0301",
    "é", "Ａ", "ﬁ", "👩‍👩‍👧", "🇩🇪", "नमस्ते", "你好，世界", "שלום", "\U0010ffff", "\ue000", "\\", "${folder}",
]  # fmt: skip


def sentences(count: int = 600) -> list[str]:
    generator = random.Random(3)
    words = ["".join(generator.choices("abcdefghiäöü", k=generator.randint(2, 7))) for _ in range(300)]
    return [" ".join(generator.choices(words, k=generator.randint(3, 9))) for _ in range(count)]


def learner(model_type: str = "unigram", vocab_size: int = 400, **changes: float) -> LearnSentencePiece:
    settings = {"byte_fallback": True, "character_coverage": 1.0, "sampling": 0.1, **changes}
    return LearnSentencePiece(vocab_size=vocab_size, model_type=model_type, **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=TYPES)
def learned(request: pytest.FixtureRequest) -> SentencePiece:
    return learner(request.param).learn(sentences())


def any_lines(count: int) -> Iterator[str]:
    """Lines of characters from everywhere in Unicode but the surrogates, which no UTF-8 file holds, and the newline."""
    generator = random.Random(7)
    for _ in range(count):
        points = [generator.randrange(generator.choice((0x80, 0x250, 0xD800, 0x110000))) for _ in range(12)]
        kept = [chr(point) for point in points if not 0xD800 <= point < 0xE000 and point != 10]
        yield "".join(generator.choice((one, one, " ", "a", "\u2581", "\uffff")) for one in kept)


def test_any_line_comes_back(learned: SentencePiece) -> None:
    lines = [*AWKWARD, *any_lines(3000), *sentences(20)]
    for line, ids in zip(lines, learned.encode_all(lines), strict=True):
        assert learned.decode(ids) == line
        assert not {learned.pad_id, learned.unk_id, learned.bos_id, learned.eos_id} & set(ids)


def test_any_line_comes_back_from_sampled_pieces(learned: SentencePiece) -> None:
    lines = [*AWKWARD, *any_lines(300)]
    assert [learned.decode(ids) for ids in learned.sample_all(lines, seed=1)] == lines


def test_lines_that_the_vocabulary_was_learned_from_come_back() -> None:
    lines = [line for line in AWKWARD if line] * 5 + sentences()
    tokenizer = learner(vocab_size=500).learn(lines)
    assert [tokenizer.decode(ids) for ids in tokenizer.encode_all(lines)] == lines


def test_one_text_and_many_agree(learned: SentencePiece) -> None:
    texts = sentences(30)
    assert learned.encode_all(texts) == [learned.encode(text) for text in texts]
    assert learned.encode_all([]) == [] == learned.sample_all([], 1)


def test_specials_leave_no_trace_in_the_text(learned: SentencePiece) -> None:
    ids = [learned.bos_id, *learned.encode("abc de"), learned.eos_id, learned.pad_id]
    assert learned.decode(ids) == "abc de"
    assert learned.pieces(ids)[0] == "<s>"
    assert learned.pieces(ids)[-2:] == ["</s>", "<pad>"]
    assert (learned.pad_id, learned.unk_id, learned.bos_id, learned.eos_id) == (0, 1, 2, 3)
    assert learned.pieces(range(4)) == list(SPECIALS)


def test_samples_depend_on_the_seed_and_the_texts_alone(learned: SentencePiece) -> None:
    texts = sentences(40)
    first = learned.sample_all(texts, seed=5)
    learned.sample_all(["something else"], seed=6)
    learned.encode_all(texts)
    assert learned.sample_all(texts, seed=5) == first
    elsewhere: list[list[list[int]]] = []
    thread = threading.Thread(target=lambda: elsewhere.append(learned.sample_all(texts, seed=5)))
    thread.start()
    thread.join()
    assert elsewhere == [first]
    assert learned.sample_all(texts, seed=6) != first != learned.encode_all(texts)
    assert learned.sample_all(texts, seed=5 + 2**32) != first


def test_sampling_strength_is_what_it_says() -> None:
    texts = sentences(200)

    def pieces(tokenizer: Tokenizer) -> int:
        return sum(map(len, tokenizer.sample_all(texts, seed=1)))

    unigram, bpe = (learner(kind).learn(texts) for kind in TYPES)
    assert pieces(SentencePiece(model=unigram._model, sampling=0.1)) > pieces(
        SentencePiece(model=unigram._model, sampling=0.9)
    )
    # Every merge left out: nothing but characters, and the space before each word.
    spelled = SentencePiece(model=bpe._model, sampling=1.0)
    assert pieces(spelled) == sum(len(text) + 1 for text in texts)


def test_without_sampling_nothing_is_random() -> None:
    tokenizer = learner(sampling=0.0).learn(sentences())
    texts = sentences(10)
    assert not tokenizer.stochastic
    assert learner().learn(sentences()).stochastic
    assert tokenizer.sample_all(texts, seed=1) == tokenizer.encode_all(texts)


@pytest.mark.parametrize("model_type", TYPES)
def test_the_same_text_gives_the_same_model(model_type: str) -> None:
    texts = sentences(2000)
    few = {"max_sentences": 500}  # then they are drawn
    for changes in ({}, few):
        prints = {learner(model_type, **changes).learn(iter(texts)).fingerprint() for _ in range(3)}
        assert len(prints) == 1
    assert learner(model_type, **few).learn(texts).fingerprint() != learner(model_type).learn(texts).fingerprint()


def test_fingerprints_follow_what_encoding_depends_on(learned: SentencePiece) -> None:
    assert SentencePiece(model=learned._model, sampling=0.7).fingerprint() == learned.fingerprint()
    assert learner("bpe", 390).learn(sentences()).fingerprint() != learned.fingerprint()
    tokens = [*SPECIALS, "a", "b"]
    prints = {
        Words(vocab=tokens).fingerprint(),
        Characters(vocab=tokens).fingerprint(),
        Words(vocab=[*SPECIALS, "b", "a"]).fingerprint(),
        Words(vocab=[*SPECIALS, "ab"]).fingerprint(),
    }
    assert len(prints) == 4


def rebuilt(tokenizer: Tokenizer, folder: Path) -> Tokenizer:
    config = tokenizer.save(folder, "src")
    kinds = {"SentencePiece": SentencePiece, "Words": Words, "Characters": Characters}
    settings = {
        key: value.replace("${folder}", str(folder)) if isinstance(value, str) else value
        for key, value in config.items()
    }
    module, _, kind = settings.pop("_target_").rpartition(".")
    assert module == "seq2seq.data.tokenizers"
    return kinds[kind](**settings)


@pytest.mark.parametrize(
    "learn",
    [
        lambda: learner("unigram").learn(sentences()),
        lambda: learner("bpe").learn(sentences()),
        lambda: LearnWords(max_size=None, min_count=1).learn([*sentences(), " double  space", "<s> \x85\r \u2028"]),
        lambda: LearnCharacters(max_size=None, min_count=1).learn([*sentences(), *(x for x in AWKWARD if x)]),
    ],
)
def test_what_is_saved_is_what_is_loaded(learn: Callable[[], Tokenizer], tmp_path: Path) -> None:
    tokenizer = learn()
    again = rebuilt(tokenizer, tmp_path)
    lines = [*AWKWARD, *sentences(20)]
    assert len(again) == len(tokenizer)
    assert again.fingerprint() == tokenizer.fingerprint()
    assert again.encode_all(lines) == tokenizer.encode_all(lines)
    assert again.sample_all(lines, 3) == tokenizer.sample_all(lines, 3)
    assert again.learn(["unread"]) is again


def test_words_split_on_single_spaces_and_on_nothing_else() -> None:
    texts = ["a b\tc", " a", "a  b", "", " ", "<s> </s> <unk>", "\u00a0 \u3000"]
    words = LearnWords(max_size=None, min_count=1).learn(texts)
    assert [words.decode(words.encode(text)) for text in texts] == texts
    assert words.encode("") == []
    assert not {0, 1, 2, 3} & set(words.encode("<s> </s> <unk>"))
    assert words.pieces(words.encode("a b\tc")) == ["a", "b\tc"]
    assert words.decode([2, *words.encode("a"), words.unk_id, 3, 0]) == "a <unk>"


def test_some_words_are_taken_for_unknown_ones_in_training() -> None:
    words = LearnWords(max_size=None, min_count=1, sampling=0.25).learn(["a b c d"])
    texts = [f"a b c d{' a' * number}" for number in range(200)]
    drawn, certain = words.sample_all(texts, 1), words.encode_all(texts)
    assert words.stochastic and all(set(ids) <= {*known, words.unk_id} for ids, known in zip(drawn, certain))
    unknown = sum(ids.count(words.unk_id) for ids in drawn) / sum(map(len, certain))
    assert 0.23 < unknown < 0.27
    assert words.sample_all(texts[7:9], 1) == drawn[7:9] != words.sample_all(texts[7:9], 2)
    assert not LearnWords(max_size=None, min_count=1).learn(texts).stochastic
    with pytest.raises(ConfigError, match="sampling is 1"):
        Words(vocab=[*SPECIALS, "a"], sampling=1.0)


def test_characters_come_back() -> None:
    texts = [line for line in (*AWKWARD, *any_lines(100)) if line]
    characters = LearnCharacters(max_size=None, min_count=1).learn(texts)
    assert [characters.decode(characters.encode(text)) for text in texts] == texts
    assert LearnCharacters(max_size=None, min_count=1).learn(["ab"]).encode("abc") == [4, 5, 1]


def test_the_most_frequent_are_kept_and_ties_have_an_order() -> None:
    texts = ["b b b", "c a", "a c", "d"]
    assert LearnWords(max_size=6, min_count=1).learn(texts).pieces(range(6)) == [*SPECIALS, "b", "a"]
    assert len(LearnWords(max_size=None, min_count=2).learn(texts)) == 7


def test_rare_words_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seq2seq.data.learn._MOST_COUNTED", 50)
    words = LearnWords(max_size=None, min_count=1).learn(f"often word{number}" for number in range(500))
    assert len(words) <= 4 + 51
    assert words.pieces([4]) == ["often"]


@pytest.mark.parametrize("model_type", TYPES)
def test_a_vocabulary_larger_than_the_text_supports_names_the_largest(
    model_type: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(
        ConfigError, match=r"^vocab_size is 50000, .* at most \d+ .*; set data\.vocab_size=(\d+) or less"
    ) as error:
        learner(model_type, 50_000).learn(sentences())
    largest = int(str(error.value).split("at most ")[1].split()[0])
    assert len(learner(model_type, largest).learn(sentences())) == largest
    assert capfd.readouterr() == ("", "")


def test_a_vocabulary_smaller_than_the_alphabet_says_what_it_takes() -> None:
    with pytest.raises(ConfigError, match=r"characters of the training text alone take 27[0-9]"):
        learner(vocab_size=262).learn(sentences())
    with pytest.raises(ConfigError, match="expected at least 261"):
        learner(vocab_size=100)


@pytest.mark.parametrize(
    "make",
    [learner, lambda: LearnWords(max_size=9, min_count=1), lambda: LearnCharacters(max_size=9, min_count=1)],
)
@pytest.mark.parametrize("texts", [[], ["", ""]])
def test_no_text_is_said(make: Callable[[], LearnSentencePiece], texts: list[str]) -> None:
    with pytest.raises(DataError, match="no text to learn a vocabulary from"):
        make().learn(texts)


def test_a_mistake_found_while_reading_reaches_the_user() -> None:
    def reading() -> Iterator[str]:
        yield "a good line"
        raise DataError("train.de:2: not UTF-8")

    with pytest.raises(DataError, match=r"^train\.de:2: not UTF-8$"):
        learner().learn(reading())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: learner("word"), "model_type is 'word', expected unigram or bpe"),
        (lambda: learner(character_coverage=0.5), "character_coverage is 0.5"),
        (lambda: learner(sampling=1.5), "sampling is 1.5"),
        (lambda: learner(max_sentences=0), "max_sentences is 0"),
        (lambda: LearnWords(max_size=4, min_count=1), "max_size is 4"),
        (lambda: LearnCharacters(max_size=9, min_count=0), "min_count is 0"),
        (lambda: LearnWords(max_size=9, min_count=3).learn(["a b"]), "min_count is 3, .* more than 1 times"),
        (lambda: Words(vocab=["a", "b"]), "vocabulary:1: expected the first four lines"),
        (lambda: Words(vocab=[*SPECIALS, "a", "b", "a"]), "vocabulary:7: 'a' is on line 5 already"),
        (lambda: SentencePiece(model=b""), "not a SentencePiece model"),
        (lambda: SentencePiece(model=b"no model"), "not a SentencePiece model"),
        (lambda: SentencePiece(model="nowhere/x.model"), "nowhere/x.model: cannot be read .No such file"),
    ],
)
def test_mistakes_are_one_clear_line(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


def test_damaged_files_are_named(learned: SentencePiece, tmp_path: Path) -> None:
    (tmp_path / "cut.model").write_bytes(learned._model[:-7])
    with pytest.raises(DataError, match=r"cut\.model: not a SentencePiece model, or a damaged one"):
        SentencePiece(model=tmp_path / "cut.model")
    (tmp_path / "latin.vocab").write_bytes("\n".join([*SPECIALS, "ok", "é"]).encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.vocab:6: not UTF-8"):
        Words(vocab=tmp_path / "latin.vocab")


def own_model(folder: Path, **ids: int) -> Path:
    """A model that a user trained with SentencePiece's own defaults."""
    import sentencepiece

    settings: dict[str, Any] = {"vocab_size": 200, "minloglevel": 4, **ids}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences()), model_prefix=str(folder / "own"), **settings
    )
    return folder / "own.model"


def test_a_users_own_model_may_have_no_pad_and_bos_and_other_ids(tmp_path: Path) -> None:
    own = SentencePiece(model=own_model(tmp_path, pad_id=-1, bos_id=-1, unk_id=0, eos_id=1))
    assert (own.unk_id, own.eos_id, own.pad_id, own.bos_id) == (0, 1, 1, 1)
    assert own.decode([*own.encode("abc def"), own.eos_id]) == "abc def"
    assert own.encode("\u2581") == own.encode(" ")  # nothing to escape with where bytes are missing


def test_a_model_without_end_of_sentence_is_refused(tmp_path: Path) -> None:
    model = own_model(tmp_path, eos_id=-1)
    with pytest.raises(ConfigError, match=r"own\.model: this SentencePiece model has no end of sentence"):
        SentencePiece(model=model)


@pytest.mark.parametrize("learn", [LearnCharacters, LearnWords])
def test_newlines_are_tokens_that_can_be_saved(learn: Callable[..., Any], tmp_path: Path) -> None:
    text = "a\nb \n \\n\uffff c\n\n"
    made = learn(max_size=None, min_count=1).learn([text])
    node = made.save(tmp_path, "x")
    loaded = type(made)(vocab=tmp_path / "x.vocab")
    assert node["vocab"] == "${folder}/x.vocab" and loaded.fingerprint() == made.fingerprint()
    assert loaded.decode(loaded.encode(text)) == text


@pytest.mark.parametrize("model_type", TYPES)
def test_long_texts_are_learned_from_and_come_back(model_type: str) -> None:
    """Longer than what SentencePiece takes for a sentence."""
    text = "\n".join(sentences(1500)) + "\n"
    assert len(text.encode()) > 40_000
    made = learner(model_type).learn([text])
    assert made.decode(made.encode(text)) == text
    assert len(made.encode(text)) < 0.7 * len(text), "pieces are learned, not characters alone"
    assert learner(model_type).learn([text.replace("\n", " ")]) is not None
