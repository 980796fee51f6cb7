from __future__ import annotations

from pathlib import Path

import pytest

from seq2seq.data.readers import TabSeparated
from seq2seq.data.recast import Grouped, OneSide
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Example


def tabs(folder: Path, content: bytes) -> Path:
    (folder / "a.tsv").write_bytes(content)
    return folder / "a.tsv"


def test_one_side_as_both(tmp_path: Path) -> None:
    pairs = TabSeparated(path=tabs(tmp_path, b"eins\tone\nzwei\ttwo\n"))
    english = OneSide(reader=pairs, side="tgt")
    assert list(english) == [Example("one", "one", "a.tsv:1"), Example("two", "two", "a.tsv:2")]
    german = OneSide(reader=pairs, side="src")
    assert [example.tgt for example in german] == ["eins", "zwei"]
    assert len({reader.fingerprint() for reader in (pairs, english, german)}) == 3
    with pytest.raises(ConfigError, match="side='both': expected src or tgt"):
        OneSide(reader=pairs, side="both")
    sources = OneSide(reader=TabSeparated(path=tmp_path / "a.tsv", tgt_column=None), side="tgt")
    with pytest.raises(DataError, match=r"a\.tsv:1 has no target: choose side=src"):
        list(sources)


def test_equal_sources_in_a_row_are_one_example(tmp_path: Path) -> None:
    pairs = TabSeparated(path=tabs(tmp_path, b"read\tR EH D\nread\tR IY D\nred\tR EH D\n"))
    words = Grouped(reader=pairs)
    assert list(words) == [
        Example("read", ("R EH D", "R IY D"), "a.tsv:1"),
        Example("red", ("R EH D",), "a.tsv:3"),
    ]
    assert list(words) == list(words) and words.fingerprint() != pairs.fingerprint()
