"""The page of a coloured source."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

import seq2seq
from tests.recipes.scripts import script


@pytest.fixture
def colour() -> ModuleType:
    return script("highlight/colour.py")


def test_a_file_becomes_a_page_with_what_is_wrong_underlined(
    colour: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.py").write_text("if x < 1:\n    y\n", encoding="utf-8")
    # A model for which all is a name, and which is asked for lines without an end of line in them.
    monkeypatch.setattr(seq2seq, "load", lambda folder: lambda parts: [re.sub(r"[^\n]", "n", part) for part in parts])
    assert colour.main(["model", str(tmp_path / "a.py")]) == 0
    said = capsys.readouterr()
    assert said.err == "12.50 % of 16 characters are right\n"
    assert '<span class="n wrong">if </span><span class="n">x</span><span class="n wrong"> &lt; 1:\n    ' in said.out


def test_parts_lose_nothing_and_are_not_too_long(colour: ModuleType) -> None:
    text = "x = 1\n" * 100 + "y" * 450 + "\nz"
    parts = colour.cut(text)
    assert "".join(parts) == text and max(map(len, parts)) <= colour.LENGTH
    assert all(part.endswith("\n") for part in parts[:3])


def test_what_cannot_be_read_is_told(colour: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert colour.main(["only one"]) == 1 and colour.main(["model", str(tmp_path / "none.py")]) == 1
    (tmp_path / "a.py").write_text("x", encoding="utf-8")
    assert colour.main([str(tmp_path / "none"), str(tmp_path / "a.py")]) == 1
    assert [line[:6] for line in capsys.readouterr().err.splitlines()] == ["error:"] * 3
