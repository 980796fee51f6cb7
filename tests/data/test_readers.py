"""Files in, examples out; and one clear line for every file that is not what was promised."""

from __future__ import annotations

import gzip
import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from seq2seq.data.readers import ParallelText, TabSeparated, TaggedText, TextFile, read_lines
from seq2seq.data.recast import Several
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Example


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a\nb\n", ["a", "b"]),
        (b"a\n\nb", ["a", "", "b"]),
        (b"a\r\nb\r\r\n\r\n", ["a", "b\r", ""]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", ["a", "\ufeffb"]),
        ("a\x0b\x0c\x1c\x85\u2028\u2029b\rc\n".encode(), ["a\x0b\x0c\x1c\x85\u2028\u2029b\rc"]),
        (b"  a\t\x00 \n", ["  a\t\x00 "]),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_lines_end_at_newlines_only(tmp_path: Path, content: bytes, lines: list[str], packed: bool) -> None:
    # The name says nothing about the content: gzip is known by its first bytes.
    path = write(tmp_path / ("a.txt" if packed else "a.gz"), gzip.compress(content) if packed else content)
    assert list(read_lines(path)) == lines


def test_standard_input_is_read_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    entry, exit_ = os.pipe()
    with os.fdopen(entry, "rb") as buffer, os.fdopen(exit_, "wb", buffering=0) as writer:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=buffer))
        lines = read_lines("-")
        writer.write(b"erste\n")
        assert next(lines) == "erste"  # would wait for ever if it wanted more than a line
        writer.write("zwölfte\n".encode())
        assert next(lines) == "zwölfte"


def test_standard_input_that_is_not_utf8_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"a\n\xe4\n")))
    with pytest.raises(DataError, match="standard input:2 is not UTF-8"):
        list(read_lines("-"))


def test_parallel_files(tmp_path: Path) -> None:
    src = write(tmp_path / "train.de", b"Hund\n\nKatze\n")
    tgt = write(tmp_path / "train.en", gzip.compress(b"dog\ncow\ncat"))
    reader = ParallelText(src=str(src), tgt=tgt)
    expected = [Example("Hund", "dog", "train.de:1"), Example("", "cow", "train.de:2")]
    assert list(reader) == list(reader) == [*expected, Example("Katze", "cat", "train.de:3")]
    assert next(iter(ParallelText(src=src, tgt=None))) == Example("Hund", None, "train.de:1")


@pytest.mark.parametrize("counts", [(3, 5), (5, 3), (0, 2), (2, 0)])
def test_different_line_counts_are_both_told(tmp_path: Path, counts: tuple[int, int]) -> None:
    src, tgt = (write(tmp_path / name, b"x\n" * count) for name, count in zip(("a.de", "a.en"), counts))
    with pytest.raises(DataError, match=rf"a\.de has {counts[0]} lines but .*a\.en has {counts[1]}"):
        list(ParallelText(src=src, tgt=tgt))


@pytest.mark.parametrize("side", ["src", "tgt"])
def test_text_that_is_not_utf8_names_file_and_line(tmp_path: Path, side: str) -> None:
    paths = {name: write(tmp_path / f"{name}.txt", b"a\nb\nc\n") for name in ("src", "tgt")}
    paths[side].write_bytes(b"a\nb\nSch\xf6n\n")
    with pytest.raises(DataError, match=rf"{side}\.txt:3 is not UTF-8 \(byte 0xf6 at position 4"):
        list(ParallelText(src=paths["src"], tgt=paths["tgt"]))


def test_surrogates_are_not_utf8(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.txt:1 is not UTF-8"):
        list(read_lines(write(tmp_path / "a.txt", b"\xed\xa0\x80\n")))


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    there = write(tmp_path / "there", b"a\n")
    missing = ParallelText(src=there, tgt=tmp_path / "missing")
    for use in (list, ParallelText.fingerprint):
        with pytest.raises(DataError, match="missing does not exist"):
            use(missing)
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        list(read_lines(tmp_path))
    if os.geteuid() != 0:
        there.chmod(0)
        with pytest.raises(DataError, match="cannot be read: Permission denied"):
            list(read_lines(there))


def test_what_can_be_read_only_once_is_no_corpus(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="not a regular file"):
        ParallelText(src=tmp_path / "pipe", tgt=None).fingerprint()


def test_damaged_gzip_files(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(b"line %d\n" % number for number in range(5000)))
    swapped = bytearray(whole)
    swapped[len(whole) // 2] ^= 0xFF
    for content in (whole[:-200], bytes(swapped), whole[:-1], whole[:12]):
        with pytest.raises(DataError, match=r"a\.gz is a damaged or incomplete gzip file"):
            list(read_lines(write(tmp_path / "a.gz", content)))


def test_tab_separated(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", b'1\t"dog\tHund\n2\tcat\tKatze\n')
    reader = TabSeparated(path=path, src_column=2, tgt_column=1)
    assert list(reader) == [Example("Hund", '"dog', "a.tsv:1"), Example("Katze", "cat", "a.tsv:2")]
    assert [example.tgt for example in TabSeparated(path=path, tgt_column=None)] == [None, None]
    path.write_bytes(b"a\tb\n\nc\td\n")
    with pytest.raises(DataError, match=r"a\.tsv:2 is empty but 2 are needed"):
        list(TabSeparated(path=path))
    path.write_bytes(b"a\tb\nonly one\n")
    with pytest.raises(DataError, match=r"a\.tsv:2 has 1 column but 2 are needed"):
        list(TabSeparated(path=path))
    with pytest.raises(ConfigError, match="src_column=-1"):
        TabSeparated(path=path, src_column=-1)


def test_a_header_is_no_pair(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", b"label\tsentence\n1\tgood\n")
    reader = TabSeparated(path=path, src_column=1, tgt_column=0, header=True)
    assert list(reader) == [Example("good", "1", "a.tsv:2")]
    assert reader.fingerprint() != TabSeparated(path=path, src_column=1, tgt_column=0).fingerprint()


def test_words_and_tags(tmp_path: Path) -> None:
    words = write(tmp_path / "seq.in", b"to Rome\nhelp\n")
    tags = write(tmp_path / "seq.out", gzip.compress(b"O B-to\nO\n"))
    labels = write(tmp_path / "label", b"book\nask\n")
    plain, whole = (TaggedText(words=words, tags=tags, labels=given) for given in (None, labels))
    pairs = [("to Rome", "O B-to"), ("help", "O")]
    assert list(plain) == [Example(*pair, f"seq.in and seq.out:{n}") for n, pair in enumerate(pairs, start=1)]
    assert [example.tgt for example in whole] == ["O B-to\tbook", "O\task"]
    assert next(iter(whole)).where == "seq.in, seq.out and label:1"
    assert plain.fingerprint() != whole.fingerprint()
    write(tags, b"O B-to\nO O\n")
    with pytest.raises(DataError, match=r"seq\.in:2 has 1 word but .*seq\.out:2 has 2 tags"):
        list(whole)
    write(labels, b"book\n")
    with pytest.raises(DataError, match=r"seq\.in has 2 lines but .*label has 1"):
        list(whole)


def test_fingerprints_follow_content_and_settings(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", b"x\ty\n"), write(tmp_path / "b", b"x\tz\n")
    readers = [
        ParallelText(src=a, tgt=b),
        ParallelText(src=b, tgt=a),
        ParallelText(src=a, tgt=None),
        TabSeparated(path=a),
        TabSeparated(path=a, src_column=1),
        TabSeparated(path=b),
        Several(readers=[TabSeparated(path=a), TabSeparated(path=b)], weights=[1, 1]),
    ]
    before = [reader.fingerprint() for reader in readers]
    assert len(set(before)) == len(readers)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert TabSeparated(path=write(elsewhere / "a", a.read_bytes())).fingerprint() == before[3]
    os.utime(a, (0, 0))
    assert [reader.fingerprint() for reader in readers] == before
    write(b, b"x\tZ\n")
    changed = [reader.fingerprint() != old for reader, old in zip(readers, before)]
    assert changed == [True, True, False, False, False, True, True]


def test_several_readers_one_after_the_other(tmp_path: Path) -> None:
    one, two = (TabSeparated(path=write(tmp_path / name, name.encode() + b"\tx\n")) for name in ("one", "two"))
    assert [example.src for example in Several(readers=[one, two], weights=[1, 0.5])] == ["one", "two"]
    with pytest.raises(ConfigError, match="2 readers, 1 weights"):
        Several(readers=[one, two], weights=[1])


@pytest.mark.parametrize("most", [3, 7, 1000])
def test_a_text_file_is_cut_by_shares_of_its_characters(tmp_path: Path, most: int) -> None:
    text = "eins\nzwei\n\nfünf\nsechs\n"
    path = write(tmp_path / "a.txt", text.replace("\n", "\r\n").encode())
    parts = {}
    for start, end in ((0.0, 0.4), (0.4, 1.0)):
        examples = list(TextFile(path=path, start=start, end=end, most=most))
        assert all(0 < len(example.tgt) <= most and example.src == "" for example in examples)
        parts[start] = "".join(example.tgt for example in examples)
    assert parts[0.0] == text[: int(0.4 * len(text))] and parts[0.0] + parts[0.4] == text
    whole = list(TextFile(path=path, start=0.0, end=1.0, most=most))
    first, last = whole[0], whole[-1]
    assert first.where == "a.txt:1"
    assert last.where == ("a.txt:5" if most < 1000 else "a.txt:1")


def test_a_text_file_of_which_nothing_is_asked(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"ab\n")
    for start, end in ((0.5, 0.5), (-0.1, 1.0), (0.0, 1.1)):
        with pytest.raises(ConfigError, match="expected shares of the file from 0 to 1"):
            TextFile(path=path, start=start, end=end)
    prints = {TextFile(path=path, start=start, end=1.0).fingerprint() for start in (0.0, 0.5)}
    assert len(prints) == 2
    assert list(TextFile(path=path, start=0.0, end=0.1)) == []
