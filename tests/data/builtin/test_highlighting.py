"""Kinds of the characters of Python source."""

from __future__ import annotations

from itertools import islice

import pytest

from seq2seq.data.builtin.highlighting import END_OF_LINE, KINDS, Highlighting, chunks, kinds
from seq2seq.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("if x1 >= 1.5e3:  # yes\n", "kk_nn_oo_dddddo__ccccc_"),
        ("print('a' \"b\")\n", "nnnnnosss_ssso_"),
        ('"""two\nlines"""\nNone\n', "s" * 15 + "_kkkk_"),
        ("f'{a + 1:>{w}} {b!r}' + c\n", "s" * 21 + "_o_n_"),
        ("x = \\\n    y\n", "n_o_______n_"),
        ("a\x0cb = 1\n", "n_n_o_d_"),
        ("print 'old\n", None),
        ("if (", None),
    ],
)
def test_each_character_has_the_kind_of_its_token(text: str, expected: str | None) -> None:
    assert kinds(text) == expected


def test_chunks_are_whole_lines_and_lose_nothing_but_long_and_blank_ones() -> None:
    text = "import os\n\n\n" + "x = 1\n" * 4 + "y" * 30 + "\nz = 2"
    found = list(chunks(text, 12))
    assert [first for first, _, _ in found] == [1, 4, 6, 9]
    assert [chunk for _, chunk, _ in found] == ["import os␤␤␤", "x = 1␤x = 1␤", "x = 1␤x = 1␤", "z = 2"]
    assert all(len(chunk) == len(letters) <= 12 for _, chunk, letters in found)
    assert not list(chunks("what is this?\n", 80))
    assert found[0][2] == "kkkkkk_nn___"


def test_modules_are_held_out_whole() -> None:
    parts = [list(islice(Highlighting(part=part, size=400, length=80), 400)) for part in ("train", "valid", "test")]
    names = [{example.where.partition(":")[0] for example in part} for part in parts]
    assert not names[0] & names[1] and not names[1] & names[2] and not names[0] & names[2]
    assert {letter for example in parts[0] for letter in example.tgt} == set(KINDS)
    assert all(len(e.src) == len(e.tgt) and e.src.strip(f" {END_OF_LINE}") and "\n" not in e.src for e in parts[0])
    with pytest.raises(ConfigError, match="size=0"):
        Highlighting(part="train", size=0, length=80)
