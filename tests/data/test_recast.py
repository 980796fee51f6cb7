from __future__ import annotations

from pathlib import Path

from seq2seq.data.readers import TabSeparated
from seq2seq.data.recast import Grouped
from seq2seq.types import Example


def tabs(folder: Path, content: bytes) -> Path:
    (folder / "a.tsv").write_bytes(content)
    return folder / "a.tsv"


def test_equal_sources_in_a_row_are_one_example(tmp_path: Path) -> None:
    pairs = TabSeparated(path=tabs(tmp_path, b"read\tR EH D\nread\tR IY D\nred\tR EH D\n"))
    words = Grouped(reader=pairs)
    assert list(words) == [
        Example("read", ("R EH D", "R IY D"), "a.tsv:1"),
        Example("red", ("R EH D",), "a.tsv:3"),
    ]
    assert list(words) == list(words) and words.fingerprint() != pairs.fingerprint()
