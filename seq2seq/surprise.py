"""A page that shows what a language model has written, each token the redder the less it was to be expected."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

MOST = 8.0
"""Bits of surprise that are shown in full red: one token of 256"""
_PAGE = """<!doctype html><meta charset="utf-8"><title>{title}</title>
<style>body{{font:16px/1.6 monospace;white-space:pre-wrap;margin:2em}} i{{color:#888;font-style:normal}}</style>
<i>{prompt}</i>{text}
"""


def write_page(prompt: str, pieces: Sequence[str], probs: Sequence[float], target: Path) -> None:
    """Writes an HTML page: a prompt in grey, then the pieces on red of as much strength as they were surprising.

    A piece's title, which browsers show beside the pointer, is its probability.

    Args:
        prompt: what was gone on with.
        pieces: what was written.
        probs: how probable each piece was.
        target: the page to write; its folder is made.
    """
    spans = []
    for piece, prob in zip(pieces, probs, strict=True):
        strength = min(abs(math.log2(max(prob, 2.0**-64))) / MOST, 1.0)
        spans.append(
            f'<span title="{prob:.3f}" style="background:rgba(230,60,40,{strength:.2f})">{escape(piece)}</span>'
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    page = _PAGE.format(title=escape(target.stem), prompt=escape(prompt), text="".join(spans))
    target.write_text(page, encoding="utf-8")
