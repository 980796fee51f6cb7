"""The pictures that a run leaves behind: its curves, and where a model looked while it wrote.

Labels may be in any script. Fonts are looked for among those installed; a character that none of them has is drawn as
its code point (U+4E2D) and said, so that no box stands for it silently. Scripts whose letters join or run from right to
left are laid out by matplotlib 3.11 or newer; under an older one that, too, is said.
"""

from __future__ import annotations

import json
import math
import textwrap
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from seq2seq import fonts
from seq2seq.errors import DataError

# Which figures of metrics.jsonl share a panel, in this order; any other figure has a panel of its own after them.
PANELS = {
    "loss": ("loss",),
    "perplexity": ("perplexity",),
    "scores": ("bleu", "chrf", "ter", "bleu4", "rouge_l", "cider_d", "truth"),
    "learning rate": ("lr",),
    "target tokens per second": ("tokens_per_second",),
}
LOOKS_IN_A_ROW = 6
"""Pictures beside each other in the maps of a caption."""
FLAT = 3
"""How many times the mean weight full light stands for at least."""
DARK = 0.75
"""How much of the light is taken from where a decoder did not look."""
LONGEST_LINE = 100
"""Characters of a line of marked text."""
END_OF_LINE = "␤"
"""The character that stands for the end of a line where a text with several has to be one."""
PLAIN = ("O", "_")
"""Labels that say that there is nothing to say: black."""
LONGEST_LABEL = 24
"""Characters of a piece's label; what is longer ends with an ellipsis."""


def draw_curves(metrics_jsonl: Path, target: Path) -> None:
    """Draws every figure of a run against its updates, as a PNG.

    Args:
        metrics_jsonl: lines such as ``{"update": 100, "split": "train", "loss": 3.2, "lr": 0.001}``; null is a gap.
        target: the PNG to write.

    Raises:
        DataError: where there is no such file, or nothing in it to draw.
    """
    from matplotlib.ticker import MaxNLocator

    panels = _panels(_curves(metrics_jsonl))
    columns = min(len(panels), 2)
    rows = math.ceil(len(panels) / columns)
    with styled([]):
        figure = new_figure(5.6 * columns, 3.4 * rows)
        for number, (title, curves) in enumerate(panels.items(), start=1):
            axes = figure.add_subplot(rows, columns, number)
            for label, points in curves.items():
                updates, values = zip(*points)
                axes.plot(updates, values, label=label, linewidth=1.5, marker="o" if len(points) < 40 else "", ms=3)
            axes.set_title(title, fontsize=11)
            axes.set_xlabel("update")
            axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
            axes.grid(alpha=0.3)
            axes.legend(frameon=False, fontsize=9, loc="upper left")  # "best" takes long, and warns
        save_png(figure, target)


def draw_attention(
    attention: Any,
    src_pieces: Sequence[str],
    tgt_pieces: Sequence[str],
    target: Path,
    title: str = "",
    say: Callable[[str], None] = print,
) -> None:
    """Draws where the decoder looked, a row for each piece that it wrote (Bahdanau et al. 2015, figure 3), as a PNG.

    Args:
        attention: [T, S] weights, as an array or a tensor on the CPU; each row sums to one.
        src_pieces: the S pieces that were read.
        tgt_pieces: the T pieces that were written.
        target: the PNG to write.
        title: what stands above, in any script.
        say: told, in a line, of characters that cannot be drawn as they should be.
    """
    weights = np.asarray(attention, dtype=np.float64)
    if weights.shape != (len(tgt_pieces), len(src_pieces)) or weights.size == 0:
        raise ValueError(
            f"attention has the shape {list(weights.shape)}; expected [{len(tgt_pieces)}, {len(src_pieces)}], "
            "a row for each target piece and a column for each source piece, at least one of both"
        )
    text = "".join((*src_pieces, *tgt_pieces, title))
    families, missing = fonts.families(set(text))
    for line in fonts.complaints(missing, text):
        say(f"{target.name}: {line}")
    labels = [_shorten(fonts.spell_out(piece, missing)) for piece in (*src_pieces, *tgt_pieces)]
    src_labels, tgt_labels = labels[: len(src_pieces)], labels[len(src_pieces) :]

    cell = 0.34 if max(weights.shape) <= 30 else 0.24  # inches
    width, height = max(cell * len(src_pieces), 1.5), max(cell * len(tgt_pieces), 1.5)
    with styled(families):
        figure = new_figure(width + 2.6, height + 2.2)
        axes = figure.add_subplot()
        image = axes.imshow(weights, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto", interpolation="nearest")
        size = 26 * cell  # points: three eighths of a cell's height
        axes.set_xticks(range(len(src_labels)), src_labels, rotation=90, fontsize=size)
        axes.set_yticks(range(len(tgt_labels)), tgt_labels, fontsize=size)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.set_xticks(np.arange(len(src_labels) + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(len(tgt_labels) + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="0.9", linewidth=0.5)
        axes.tick_params(which="minor", length=0)
        bar = figure.colorbar(image, ax=axes, shrink=min(1.0, 2.5 / height), aspect=12, pad=0.03)
        bar.ax.tick_params(labelsize=8)
        if title:
            heading = fonts.spell_out(title, missing)
            wide = any(unicodedata.east_asian_width(character) in "WF" for character in heading)
            letters = (6 if wide else 12) * (width + 2.0)  # six or twelve to the inch
            figure.suptitle("\n".join(textwrap.wrap(heading, int(letters))), fontsize=10)
        save_png(figure, target)


def draw_looks(
    attention: Any,
    picture: Any,
    pieces: Sequence[str],
    target: Path,
    title: str = "",
    say: Callable[[str], None] = print,
) -> None:
    """Draws where in a picture the decoder looked, as a PNG: the picture once for each piece that it wrote, lit by the
    attention (Xu et al. 2015, figure 3).

    Args:
        attention: [T, S] weights of the cells of a square grid over the picture, row by row; or, where S is no square
            number, of S rows.
        picture: [H, W, 3] of bytes.
        pieces: the T pieces that were written.
        target: the PNG to write.
        title: what stands above, in any script.
        say: told, in a line, of characters that cannot be drawn as they should be.
    """
    weights = np.asarray(attention, dtype=np.float64)
    cells = weights.shape[-1] if weights.ndim else 0
    side = math.isqrt(cells)
    down, across = (side, side) if side * side == cells else (cells, 1)
    if weights.shape != (len(pieces), cells) or weights.size == 0:
        raise ValueError(
            f"attention has the shape {list(weights.shape)}; expected [{len(pieces)}, S], a row for each piece, at "
            "least one, and S the cells of a grid"
        )
    text = "".join((*pieces, title))
    families, missing = fonts.families(set(text))
    for line in fonts.complaints(missing, text):
        say(f"{target.name}: {line}")
    height, width = np.shape(picture)[:2]
    columns = min(len(pieces) + 1, LOOKS_IN_A_ROW)
    rows = math.ceil((len(pieces) + 1) / columns)
    with styled(families):
        figure = new_figure(1.7 * columns, 2.0 * rows + 0.5)
        for number in range(len(pieces) + 1):
            axes = figure.add_subplot(rows, columns, number + 1)
            axes.set_axis_off()
            axes.imshow(picture)
            if number:
                looks = weights[number - 1]
                # All is dark in a map that is as flat as that of no attention at all, whatever its highest cell.
                light = (looks / max(looks.max(), FLAT / looks.size)).reshape(down, across)
                shade = np.dstack([np.zeros((down, across, 3)), DARK * (1 - light)])
                axes.imshow(shade, interpolation="bilinear", extent=(-0.5, width - 0.5, height - 0.5, -0.5))
                axes.set_title(_shorten(fonts.spell_out(pieces[number - 1], missing)), fontsize=11)
        if title:
            figure.suptitle("\n".join(textwrap.wrap(fonts.spell_out(title, missing), 16 * columns)), fontsize=11)
        save_png(figure, target)


def draw_marks(
    pieces: Sequence[str],
    marks: Sequence[str],
    target: Path,
    title: str = "",
    say: Callable[[str], None] = print,
) -> None:
    """Draws what was read with the label that each piece was given as its colour, as a PNG.

    Pieces that are single characters stand beside each other as in a text, others apart; ``␤`` ends a line.

    Args:
        pieces: what was read.
        marks: the label of each.
        target: the PNG to write.
        title: what stands above, in any script.
        say: told, in a line, of characters that cannot be drawn as they should be.
    """
    if len(pieces) != len(marks) or not pieces:
        raise ValueError(f"{len(pieces)} pieces and {len(marks)} marks: expected a mark for each piece, at least one")
    text = "".join((*pieces, *marks, title)).replace(END_OF_LINE, "")
    families, missing = fonts.families(set(text))
    for line in fonts.complaints(missing, text):
        say(f"{target.name}: {line}")
    gap = 0 if all(len(piece) == 1 for piece in pieces) else 1
    placed, column, row = [], 0, 0
    for piece, mark in zip(pieces, marks):
        shown = fonts.spell_out(piece, missing)
        if column and (column + len(shown) > LONGEST_LINE or piece == END_OF_LINE):
            column, row = 0, row + 1
        if piece != END_OF_LINE:
            placed.append((column, row, shown, mark[2:] if mark[:2] in ("B-", "I-") else mark))
            column += len(shown) + gap
    kinds = sorted({mark for *_, mark in placed} - set(PLAIN))
    colours = {kind: f"C{number % 10}" for number, kind in enumerate(kinds)}
    with styled(families, monospace=True):
        height = 0.2 * (row + 1) + 0.3 * (len(kinds) // 5 + 1) + (0.3 if title else 0)
        figure = new_figure(0.0755 * LONGEST_LINE, height)
        axes = figure.add_subplot()
        axes.set_axis_off()
        axes.set(xlim=(0, LONGEST_LINE), ylim=(row + 1, 0))
        for column, row, shown, mark in placed:
            axes.text(column, row + 0.7, shown, color=colours.get(mark, "black"), fontsize=9)
        for kind, colour in colours.items():
            axes.plot([], [], "s", color=colour, label=kind)
        if kinds:
            figure.legend(ncols=5, frameon=False, fontsize=8, loc="outside lower center")
        if title:
            figure.suptitle("\n".join(textwrap.wrap(fonts.spell_out(title, missing), LONGEST_LINE)), fontsize=10)
        save_png(figure, target)


def _curves(path: Path) -> dict[tuple[str, str], list[tuple[int, float]]]:
    """(split, figure) → its points, in the order of the updates."""
    curves: dict[tuple[str, str], list[tuple[int, float]]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); expected the metrics.jsonl of a run") from error
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            update, split = int(record.pop("update")), str(record.pop("split"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if number == len(lines):
                continue  # a process that was killed may leave half a line
            raise DataError(f"{path}:{number}: is no figures of an update and a split; remove it") from error
        for name, value in record.items():
            curves.setdefault((split, name), []).append((update, math.nan if value is None else float(value)))
    curves = {key: sorted(points) for key, points in curves.items() if any(math.isfinite(y) for _, y in points)}
    if not curves:
        raise DataError(f"{path}: holds no figures yet; train for some updates first")
    return curves


def _panels(curves: dict[tuple[str, str], list[tuple[int, float]]]) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Panel → the label of a curve → its points."""
    homes = {name: title for title, names in PANELS.items() for name in names}
    panels: dict[str, dict[str, list[tuple[int, float]]]] = {title: {} for title in PANELS}
    for (split, name), points in curves.items():
        title = homes.get(name, name)
        label = f"{split} {name}" if len(PANELS.get(title, ())) > 1 else split
        panels.setdefault(title, {})[label] = points
    return {title: lines for title, lines in panels.items() if lines}


def new_figure(width: float, height: float) -> Any:
    """A figure in inches that no window and no global state knows of."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    return figure


@contextmanager
def styled(families: list[str], monospace: bool = False) -> Iterator[None]:
    """matplotlib's own settings, whatever the user's are, with these fonts; a "$" in a piece begins no formula."""
    from matplotlib import rc_context, rcParamsDefault

    plain: dict[Any, Any] = {
        key: value for key, value in rcParamsDefault.items() if not key.startswith(("backend", "interactive"))
    }
    first = "DejaVu Sans Mono" if monospace else "DejaVu Sans"
    with rc_context({**plain, "text.parse_math": False, "font.family": [first, *families]}):
        yield


def save_png(figure: Any, target: Path) -> None:
    """Writes a PNG aside, then gives it its name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    figure.savefig(part, format="png")
    part.replace(target)


def _shorten(piece: str) -> str:
    return piece if len(piece) <= LONGEST_LABEL else piece[: LONGEST_LABEL - 1] + "…"
