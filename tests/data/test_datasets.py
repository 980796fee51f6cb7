"""Corpora give back what went in, are encoded once, mended when damaged, filtered with a report, mixed by weight."""

from __future__ import annotations

import errno
import multiprocessing
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from seq2seq.data import encoding, progress
from seq2seq.data.batching import Batching
from seq2seq.data.datasets import Corpus, Filters, Mixture, open_dataset
from seq2seq.data.fields import Fields
from seq2seq.data.recast import Several
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Example
from tests.data.letters import EOS, Letters, letters


class Pairs:
    """A reader of pairs that are in memory."""

    def __init__(self, *pairs: tuple[str, str | None], name: str = "pairs") -> None:
        self.pairs, self.name = pairs, name

    def __iter__(self) -> Iterator[Example]:
        for number, (src, tgt) in enumerate(self.pairs, start=1):
            yield Example(src, tgt, f"{self.name}:{number}")

    def fingerprint(self) -> str:
        return repr((self.name, self.pairs))


PAIRS = Pairs(("Hund", "dog"), ("", "nothing"), ("größer 漢字 🎉\u2028", "x\0y\t"), ("a", "  "), ("b" * 30, "c"))


def silent(line: str) -> None:
    """Hears nothing."""


def numbered(count: int, name: str = "pairs") -> Pairs:
    return Pairs(*((f"s{number}", f"{number} t") for number in range(count)), name=name)


def test_what_went_in_comes_out(tmp_path: Path) -> None:
    fields = letters()
    corpus = Corpus.open(PAIRS, fields, tmp_path, silent)
    assert len(corpus) == 5
    assert [corpus.example(index) for index in range(5)] == list(PAIRS)
    assert corpus.where(2) == "pairs:3"
    src, tgt = corpus.lengths(np.array([0, 1, 4]))
    assert (src.tolist(), tgt.tolist()) == ([5, 1, 31], [4, 8, 2])
    batch = corpus.batch(np.array([4, 0, 2]))
    assert batch.indices == [4, 0, 2]
    for side, raws in ((batch.src, [PAIRS.pairs[i][0] for i in (4, 0, 2)]), (batch.tgt, ["c", "dog", "x\0y\t"])):
        decoded = [fields.src.decode(row[:length]) for row, length in zip(side.values, side.lengths)]
        assert decoded == raws
    assert batch.src.values[1].tolist() == [*(byte + 4 for byte in b"Hund"), EOS] + [0] * 26


@pytest.mark.parametrize("index", [5, -1])
def test_an_index_outside_is_an_error(tmp_path: Path, index: int) -> None:
    corpus = Corpus.open(PAIRS, letters(), tmp_path, silent)
    for use in (corpus.example, lambda i: corpus.batch([i]), Mixture(corpora=[corpus], weights=[1]).example):
        with pytest.raises(IndexError, match="from 0 to 4"):
            use(index)


def test_large_vocabularies_fit(tmp_path: Path) -> None:
    class Wide(Letters):
        def encode_all(self, raws: Sequence[str]) -> list[np.ndarray]:
            return [np.array([69_999, EOS], np.int32) for _ in raws]

        def is_empty(self, encoded: object) -> bool:
            return False

    fields = Fields(src=Wide(size=70_000), tgt=Wide(size=70_000))
    assert Corpus.open(PAIRS, fields, tmp_path, silent).batch([0]).src.values.tolist() == [[69_999, EOS]]


def test_sources_alone(tmp_path: Path) -> None:
    corpus = Corpus.open(Pairs(("a b", None), ("", None), ("c", None)), letters(), tmp_path, silent)
    batch = corpus.batch([2, 0])
    assert batch.tgt is None and batch.src.lengths.tolist() == [2, 4]
    assert corpus.example(2) == Example("c", None, "pairs:3")
    lines: list[str] = []
    kept = corpus.filtered(Filters(max_length=3, max_ratio=2), name="test", say=lines.append)
    assert [kept.example(index).src for index in range(len(kept))] == ["c"]
    assert [len(batch) for batch in Batching(sentences=2).in_order(kept)] == [1]


def test_encoded_once_for_each_content_and_field(tmp_path: Path) -> None:
    fields = letters()
    Corpus.open(PAIRS, fields, tmp_path, silent)
    assert fields.src.encoded == 5
    again = Corpus.open(PAIRS, fields, tmp_path, silent)
    assert fields.src.encoded == 5 and again.example(0).src == "Hund"
    Corpus.open(Pairs(("Hund", "dogs")), fields, tmp_path, silent)
    assert fields.src.encoded == 6
    Corpus.open(PAIRS, Fields(src=fields.src, tgt=letters(name="others").tgt), tmp_path, silent)
    assert fields.src.encoded == 11


def entries(cache: Path) -> list[Path]:
    return [path for path in cache.iterdir() if path.is_dir()]


def test_a_damaged_cache_is_mended(tmp_path: Path) -> None:
    fields, filters = letters(), Filters(max_length=20, max_ratio=3)

    def content() -> list[Example]:
        corpus = Corpus.open(PAIRS, fields, tmp_path, silent).filtered(filters, name="train", say=silent)
        return [corpus.example(index) for index in range(len(corpus))]

    expected = content()
    (folder,) = entries(tmp_path)
    names = sorted(path.name for path in folder.iterdir())
    assert any(name.startswith("kept") for name in names) and len(names) == 14
    for name in names:
        whole = (folder / name).read_bytes()
        for broken in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1]), None):
            (folder / name).unlink()
            if broken is not None:
                (folder / name).write_bytes(broken)
            assert content() == expected, (name, broken)
            assert sorted(path.name for path in folder.iterdir()) == names
    assert entries(tmp_path) == [folder]


def test_encoding_that_stops_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Pairs):
        def __iter__(self) -> Iterator[Example]:
            yield from super().__iter__()
            raise DataError("pairs:6 is not UTF-8")

    with pytest.raises(DataError, match="not UTF-8"):
        Corpus.open(Broken(*PAIRS.pairs), letters(), tmp_path, silent)
    assert entries(tmp_path) == []

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(encoding.ColumnWriter, "extend", full)
        with pytest.raises(DataError, match=r"cannot be written \(No space left on device\)"):
            Corpus.open(PAIRS, letters(), tmp_path, silent)
    assert entries(tmp_path) == []
    # What a killed process left is no hindrance.
    Corpus.open(PAIRS, letters(), tmp_path, silent)
    (folder,) = entries(tmp_path)
    half = folder.with_name(f"{folder.name}.part")
    shutil.copytree(folder, half)
    shutil.rmtree(folder)
    assert len(Corpus.open(PAIRS, letters(), tmp_path, silent)) == 5
    assert entries(tmp_path) == [folder]


def _open(cache: Path) -> int:
    return len(Corpus.open(numbered(20_000), letters(), cache, silent))


def test_two_processes_encode_one_corpus(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(_open, [tmp_path, tmp_path], chunksize=1) == [20_000, 20_000]
    assert len(entries(tmp_path)) == 1


def test_an_empty_corpus_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Pairs holds no example"):
        Corpus.open(Pairs(), letters(), tmp_path, silent)


def test_filters_report_what_they_leave_out(tmp_path: Path) -> None:
    lines: list[str] = []
    corpus = Corpus.open(PAIRS, letters(), tmp_path, silent)
    for _ in range(2):  # worked out, then found in the cache
        kept = corpus.filtered(Filters(max_length=30, max_ratio=2.5), name="train", say=lines.append)
        assert [kept.where(index) for index in range(len(kept))] == ["pairs:1"]
    assert lines == ["train: 1 of 5 pairs; left out 4 (longer than 30: 1, ratio over 2.5: 1, empty: 2)"] * 2
    everything = corpus.filtered(Filters(max_length=99, max_ratio=16), name="train", say=lines.append)
    assert [everything.where(index) for index in range(len(everything))] == ["pairs:1", "pairs:3", "pairs:5"]


def test_filters_keep_what_is_just_within(tmp_path: Path) -> None:
    # Lengths with eos are 4 and 2.
    corpus = Corpus.open(Pairs(("abc", "d")), letters(), tmp_path, silent)
    assert len(corpus.filtered(Filters(max_length=4, max_ratio=2), name="train", say=silent)) == 1
    for filters in (Filters(max_length=3, max_ratio=2), Filters(max_length=4, max_ratio=1.9)):
        with pytest.raises(DataError, match="train: no pair is left, 0 of 1 pairs"):
            corpus.filtered(filters, name="train", say=silent)
    with pytest.raises(ConfigError, match="at least 1"):
        Filters(max_length=4, max_ratio=0.5)


def test_filters_work_in_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [("" if number % 7 == 0 else "x" * (number % 5 + 1), "xxx") for number in range(100)]
    corpus = Corpus.open(Pairs(*pairs), letters(), tmp_path, silent)
    monkeypatch.setattr("seq2seq.data.filters._SLICE", 9)
    kept = corpus.filtered(Filters(max_length=5, max_ratio=9), name="train", say=silent)
    expected = [number for number in range(100) if number % 7 and number % 5 < 4]
    assert [kept.where(index) for index in range(len(kept))] == [f"pairs:{number + 1}" for number in expected]


def test_stochastic_sides_are_drawn_by_the_seed(tmp_path: Path) -> None:
    plain, drawn = letters(), letters(stochastic=True)
    corpus = Corpus.open(PAIRS, Fields(src=drawn.src, tgt=plain.tgt), tmp_path, silent)

    def first(seed: int | None) -> list[int]:
        return corpus.batch([0, 4], seed=seed).src.values[:, 0].tolist()

    assert first(None) == [ord("H") + 4, ord("b") + 4]
    assert first(1) == first(1) != first(2)
    assert corpus.batch([0], seed=1).tgt.values.tolist() == corpus.batch([0]).tgt.values.tolist()
    both = Corpus.open(PAIRS, drawn, tmp_path, silent).batch([0], seed=1)
    assert both.src.values[0, 0] != both.tgt.values[0, 0]


def parts(tmp_path: Path, *counts: int) -> list[Corpus]:
    fields = letters()
    return [Corpus.open(numbered(n, "abc"[i]), fields, tmp_path, silent) for i, n in enumerate(counts)]


def test_a_mixture_is_used_like_a_corpus(tmp_path: Path) -> None:
    mixture = Mixture(corpora=parts(tmp_path, 3, 1, 4), weights=[1, 1, 1])
    places = ["a:1", "a:2", "a:3", "b:1", "c:1", "c:2", "c:3", "c:4"]
    assert [mixture.where(index) for index in range(len(mixture))] == places
    batch = mixture.batch(np.array([7, 0, 3, 4]))
    decoded = [letters().tgt.decode(row[:length]) for row, length in zip(batch.tgt.values, batch.tgt.lengths)]
    assert decoded == ["3 t", "0 t", "0 t", "0 t"] and batch.indices == [7, 0, 3, 4]
    assert [lengths.tolist() for lengths in mixture.lengths(np.array([7, 3]))] == [[3, 3], [4, 4]]
    assert sorted(np.concatenate(list(Batching(sentences=3).in_order(mixture))).tolist()) == list(range(8))


def test_weights_say_how_often(tmp_path: Path) -> None:
    mixture = Mixture(corpora=parts(tmp_path, 10, 40, 6), weights=[2, 0.5, 1.5])
    assert mixture.draws == 20 + 20 + 9
    epochs = []
    for epoch in range(4):
        batches = Batching(sentences=4).epoch(mixture, seed=3, epoch=epoch)
        epochs.append(Counter(np.concatenate(list(batches)).tolist()))
    for epoch in epochs:
        assert epoch.total() == 49
        assert [epoch[index] for index in range(10)] == [2] * 10
        assert {epoch[index] for index in range(50, 56)} == {1, 2}
    halves = [{index for index in epoch if 10 <= index < 50} for epoch in epochs]
    assert [len(half) for half in halves] == [20] * 4
    assert not halves[0] & halves[1] and not halves[2] & halves[3] and halves[0] != halves[2]
    assert (epochs[0] + epochs[1])[50] == 3


def test_mixtures_that_cannot_work(tmp_path: Path) -> None:
    one, two = parts(tmp_path, 2, 3)
    other = Corpus.open(numbered(2), letters(name="other"), tmp_path, silent)
    for corpora, weights, message in (
        ([one, two], [1.0], "2 corpora, 1 weights"),
        ([one, two], [1.0, 0.0], "positive"),
        ([one, other], [1.0, 1.0], "the same fields"),
    ):
        with pytest.raises(ConfigError, match=message):
            Mixture(corpora=corpora, weights=weights)


def test_open_dataset_encodes_filters_and_mixes(tmp_path: Path) -> None:
    lines: list[str] = []
    reader = Several(readers=[PAIRS, numbered(3)], weights=[1, 2])
    filters = Filters(max_length=30, max_ratio=2.5)
    data = open_dataset(reader, letters(), tmp_path, filters=filters, name="train", say=lines.append)
    assert (len(data), data.draws) == (4, 7)
    assert [line.split(";")[0] for line in lines] == ["train[0]: 1 of 5 pairs", "train[1]: 3 of 3 pairs"]
    assert len(open_dataset(PAIRS, letters(), tmp_path, filters=None, name="valid", say=lines.append)) == 5


def test_a_long_encoding_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "_CHUNK", 2)
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    lines: list[str] = []
    Corpus.open(PAIRS, letters(), tmp_path, lines.append)
    assert lines == ["encoded 2 examples", "encoded 4 examples", "encoded 5 examples"]


def test_of_several_targets_all_are_kept_and_the_first_is_encoded(tmp_path: Path) -> None:
    class Grouped(Pairs):
        def __iter__(self) -> Iterator[Example]:
            return (Example(src, ("first", f"Zweit\u00ebs, {src}"), "") for src, _ in self.pairs)

    corpus = Corpus.open(Grouped(("a", None), ("b", None)), letters(stochastic=True), tmp_path, print)
    assert [corpus.example(i).tgt for i in range(2)] == [("first", "Zweit\u00ebs, a"), ("first", "Zweit\u00ebs, b")]
    assert corpus.example(1).first == "first"
    first = [*(byte + 4 for byte in b"first"), EOS]
    assert corpus.batch([1, 0]).tgt.values.tolist() == [first, first]
    assert [row[1:] for row in corpus.batch([1, 0], 3).tgt.values.tolist()] == [first, first]  # sampled


def test_a_side_that_is_not_kept_is_encoded_when_it_is_wanted(tmp_path: Path) -> None:
    class Fresh(Letters):
        kept = False

        def prepare(self, raws: Sequence[str], say: Callable[[str], None]) -> list[bool]:
            return [raw != "b" for raw in raws]

    fields = Fields(src=Fresh(), tgt=Letters())
    said: list[str] = []
    filters = Filters(max_length=9, max_ratio=2)
    pairs = Pairs(("a" * 99, "x"), ("b", "y"), ("c", "z"))
    corpus = open_dataset(pairs, fields, tmp_path, filters=filters, name="train", say=said.append)
    assert "empty: 1" in said[-1] and len(corpus) == 2
    assert fields.src.encoded == 0
    assert corpus.batch([1]).src.values.tolist() == [[ord("c") + 4, EOS]] and fields.src.encoded == 1
