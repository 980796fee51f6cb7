"""The page of a text that was written: all of it is there, and what was not to be expected is red."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from seq2seq.surprise import write_page


def test_every_piece_stands_there_as_red_as_it_was_improbable(tmp_path: Path) -> None:
    pieces, probs = ["x", "<", "\n", "&y", "</s>"], [1.0, 0.5, 2**-4, 2**-8, 0.0]
    target = tmp_path / "deep" / "1.html"
    write_page("if a < b:", pieces, probs, target)
    page = target.read_text(encoding="utf-8")
    spans = re.findall(r'<span title="([^"]*)" style="background:rgba\([^)]*,([0-9.]+)\)">([^<]*)</span>', page)
    assert [unescape(text) for *_, text in spans] == pieces
    assert [float(prob) for prob, *_ in spans] == pytest.approx(probs, abs=0.001)
    assert [float(strength) for _, strength, _ in spans] == pytest.approx([0, 1 / 8, 0.5, 1, 1], abs=0.01)
    assert "<i>if a &lt; b:</i>" in page


def test_each_piece_has_a_probability(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shorter"):
        write_page("", ["a", "b"], [0.5], tmp_path / "1.html")
