"""The pictures of a run: what they show, and what is said where a font is missing."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

from seq2seq import fonts, plots
from seq2seq.errors import DataError
from seq2seq.plots import draw_attention, draw_curves, draw_looks, draw_marks

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures as they were saved, to be looked into."""
    seen: list[Any] = []
    save = plots.save_png

    def keep(figure: Any, target: Path) -> None:
        save(figure, target)
        seen.append(figure)

    monkeypatch.setattr(plots, "save_png", keep)
    return seen


def rows(targets: int, sources: int) -> np.ndarray:
    weights = np.random.default_rng(1).random((targets, sources))
    return weights / weights.sum(axis=1, keepdims=True)


def write_metrics(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def labels_of(axis: Any) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


def test_attention_has_a_row_for_each_target_piece(tmp_path: Path, figures: list[Any]) -> None:
    weights = rows(3, 2)
    target = tmp_path / "deep" / "attention.png"
    said: list[str] = []
    draw_attention(weights, ["▁Hallo", "</s>"], ["▁hel", "lo", "</s>"], target, "Hallo → hello", said.append)
    assert target.read_bytes().startswith(PNG)
    assert [path.name for path in target.parent.iterdir()] == ["attention.png"]
    axes = figures[0].axes[0]
    assert labels_of(axes.xaxis) == ["▁Hallo", "</s>"]
    assert labels_of(axes.yaxis) == ["▁hel", "lo", "</s>"]
    np.testing.assert_array_equal(axes.images[0].get_array(), weights)
    assert figures[0].get_suptitle() == "Hallo → hello"
    assert said == []


@pytest.mark.parametrize("count", [1, 2, 30, 31, 60])
def test_labels_never_touch(tmp_path: Path, figures: list[Any], count: int) -> None:
    pieces = [f"▁Äpfel{number}" for number in range(count)]
    draw_attention(rows(count, count), pieces, pieces, tmp_path / "a.png", "a title of some words " * 5)
    axes = figures[0].axes[0]
    boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert all(above.y0 >= below.y1 for above, below in itertools.pairwise(boxes))
    boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
    assert all(left.x1 <= right.x0 for left, right in itertools.pairwise(boxes))
    assert axes.get_yticklabels()[0].get_fontsize() >= 6


def test_marks_of_formulas_and_long_pieces_stay_text(tmp_path: Path, figures: list[Any]) -> None:
    draw_attention(rows(2, 1), ["$x_1$"], ["\\frac{", "a" * 99], tmp_path / "a.png", "$5 and $6")
    axes = figures[0].axes[0]
    assert labels_of(axes.xaxis) == ["$x_1$"] and not axes.get_xticklabels()[0].get_parse_math()
    assert labels_of(axes.yaxis) == ["\\frac{", "a" * 23 + "…"]


@pytest.mark.parametrize("shape", [(2, 3), (3,), (0, 0)])
def test_attention_of_another_shape_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    pieces = ["a"] * shape[0]
    with pytest.raises(ValueError, match=r"attention has the shape \["):
        draw_attention(np.ones(shape), pieces, pieces, tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()


def test_what_no_font_has_becomes_code_points_and_is_said(
    tmp_path: Path, figures: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fonts, "candidates", list)
    said: list[str] = []
    draw_attention(rows(2, 2), ["▁中文", "한"], ["▁नम", "ok"], tmp_path / "a.png", "中 → ok", said.append)
    axes = figures[0].axes[0]
    assert labels_of(axes.xaxis) == ["▁U+4E2DU+6587", "U+D55C"]
    assert labels_of(axes.yaxis) == ["▁U+0928U+092E", "ok"]
    assert figures[0].get_suptitle() == "U+4E2D → ok"
    told = [line for line in said if "no installed font" in line]
    assert [line.split("(")[1].split(")")[0] for line in told] == ["DEVANAGARI", "CJK, HANGUL"]
    assert told[1].startswith("a.png: no installed font has 中文한 (") and "fonts-noto-cjk" in told[1]


def test_characters_without_a_shape_are_spelled_out_quietly(tmp_path: Path, figures: list[Any]) -> None:
    said: list[str] = []
    draw_attention(rows(1, 3), ["\t", "\x00", "a\ud800"], ["ok"], tmp_path / "a.png", "", said.append)
    assert labels_of(figures[0].axes[0].xaxis) == ["U+0009", "U+0000", "aU+D800"]
    assert said == []


def test_the_fewest_fonts_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"Han": set("中文"), "All": set("中文한"), "Hangul": set("한국"), "None": set("x")}
    monkeypatch.setattr(fonts, "candidates", lambda: [(name, name) for name in known])
    monkeypatch.setattr(fonts, "covered", lambda path, characters: known[path] & characters)
    assert fonts.families("abc") == ([], set())
    assert fonts.families("a中文한") == (["All"], set())
    assert fonts.families("a中文한국ก") == (["All", "Hangul"], {"ก"})


def test_no_font_that_only_draws_boxes_is_a_candidate() -> None:
    candidates = fonts.candidates()
    assert candidates
    # U+E0000 is unassigned: only a font that claims everything has it.
    assert not [family for family, path in candidates if fonts.covered(path, {"\U000e0000"})]


def test_installed_fonts_are_used(tmp_path: Path, figures: list[Any]) -> None:
    if "中" in fonts.families("中")[1]:
        pytest.skip("no font with Chinese is installed")
    said: list[str] = []
    draw_attention(rows(1, 1), ["中"], ["ok"], tmp_path / "a.png", "", said.append)
    assert said == [] and labels_of(figures[0].axes[0].xaxis) == ["中"]


def test_right_to_left_is_said_where_matplotlib_cannot() -> None:
    lines = fonts.complaints(set(), "سلام")
    old = tuple(int(part) for part in matplotlib.__version__.split(".")[:2]) < (3, 11)
    assert len(lines) == old
    assert fonts.complaints(set(), "Grüße 中文") == []


def test_the_settings_of_the_user_neither_matter_nor_change(tmp_path: Path, figures: list[Any]) -> None:
    with matplotlib.rc_context({"text.usetex": True, "font.size": 40, "font.family": ["serif"]}):
        draw_attention(rows(1, 1), ["a"], ["b"], tmp_path / "a.png")
        assert matplotlib.rcParams["font.size"] == 40 and matplotlib.rcParams["text.usetex"]
    assert figures[0].axes[0].get_xticklabels()[0].get_fontfamily() == ["DejaVu Sans"]


def test_curves_share_panels_by_meaning(tmp_path: Path, figures: list[Any]) -> None:
    path = write_metrics(
        tmp_path / "metrics.jsonl",
        {"update": 1, "split": "train", "loss": 4.0, "lr": 0.1},
        {"update": 2, "split": "train", "loss": 3.0, "lr": 0.2},
        {"update": 2, "split": "valid", "loss": 3.5, "bleu": None, "chrf": 5.0, "edits": 2.0},
        {"update": 4, "split": "valid", "loss": 3.1, "bleu": 7.0, "chrf": 9.0, "edits": 1.0},
    )
    draw_curves(path, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(PNG)
    panels = {axes.get_title(): {line.get_label(): line for line in axes.lines} for axes in figures[0].axes}
    assert {title: list(lines) for title, lines in panels.items()} == {
        "loss": ["train", "valid"],
        "scores": ["valid bleu", "valid chrf"],
        "learning rate": ["train"],
        "edits": ["valid"],
    }
    np.testing.assert_array_equal(panels["loss"]["train"].get_xydata(), [[1, 4.0], [2, 3.0]])
    np.testing.assert_array_equal(panels["scores"]["valid bleu"].get_xydata(), [[2, np.nan], [4, 7.0]])


def test_half_a_last_line_is_no_matter_but_another_bad_line_is_named(tmp_path: Path) -> None:
    path = write_metrics(tmp_path / "metrics.jsonl", {"update": 1, "split": "train", "loss": 4.0})
    with path.open("a") as file:
        file.write('{"update": 2, "spl')
    draw_curves(path, tmp_path / "curves.png")
    path.write_text("nonsense\n" + path.read_text())
    with pytest.raises(DataError, match=r"metrics\.jsonl:1: "):
        draw_curves(path, tmp_path / "curves.png")


def test_nothing_to_draw_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        draw_curves(tmp_path / "metrics.jsonl", tmp_path / "curves.png")
    path = write_metrics(tmp_path / "metrics.jsonl", {"update": 1, "split": "train", "loss": None})
    with pytest.raises(DataError, match="no figures yet"):
        draw_curves(path, tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


def test_a_picture_is_lit_where_the_decoder_looked(tmp_path: Path, figures: list[Any]) -> None:
    picture = np.full((30, 30, 3), 200, np.uint8)
    weights = np.array([[0, 0, 0, 1.0], [0.25] * 4])
    draw_looks(weights, picture, ["a", "$dog"], tmp_path / "1.png", title="a $dog")
    assert (tmp_path / "1.png").read_bytes().startswith(PNG)
    plain, first, second = figures[0].axes
    assert len(plain.images) == 1 and [axes.get_title() for axes in (first, second)] == ["a", "$dog"]
    shades = [np.asarray(axes.images[1].get_array())[..., 3] for axes in (first, second)]
    assert shades[0][1, 1] == 0 and shades[0][0, 0] == shades[0].max() > 0.5
    assert shades[1].min() == shades[1].max() > 0.4  # no attention lights nothing
    assert list(first.images[1].get_extent()) == list(plain.images[0].get_extent())
    draw_looks(np.array([[0.0, 1.0, 0.0]]), picture, ["rows"], tmp_path / "2.png")
    shade = np.asarray(figures[1].axes[1].images[1].get_array())[..., 3]
    assert shade.shape == (3, 1) and shade[1, 0] == 0 and shade[0, 0] > 0.5
    with pytest.raises(ValueError, match="cells of a grid"):
        draw_looks(weights, picture, ["a"], tmp_path / "3.png")


def test_marks_are_the_colours_of_what_was_read(tmp_path: Path, figures: list[Any]) -> None:
    pieces = ["from", "new", "york", "to", "rome"]
    draw_marks(pieces, ["O", "B-from", "I-from", "O", "B-to"], tmp_path / "a.png", "book")
    texts = figures[0].axes[0].texts
    assert [text.get_text() for text in texts] == pieces
    assert [text.get_color() for text in texts] == ["black", "C0", "C0", "black", "C1"]
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == ["from", "to"]
    columns = [text.get_position()[0] for text in texts]
    assert columns == [0, 5, 9, 14, 17], "words stand apart"
    draw_marks("if␤ x", "kk__n", tmp_path / "b.png")
    places = [(text.get_text(), *text.get_position()) for text in figures[1].axes[0].texts]
    assert places == [("i", 0, 0.7), ("f", 1, 0.7), (" ", 0, 1.7), ("x", 1, 1.7)]
    with pytest.raises(ValueError, match="2 pieces and 1 marks"):
        draw_marks(["a", "b"], ["O"], tmp_path / "c.png")
