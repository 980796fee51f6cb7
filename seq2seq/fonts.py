"""Fonts for any script: which of those installed have some characters, and what to say where none has."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from itertools import groupby


def spell_out(text: str, missing: set[str]) -> str:
    """The text with each missing character as its code point."""
    return "".join(f"U+{ord(character):04X}" if character in missing else character for character in text)


def families(characters: Iterable[str]) -> tuple[list[str], set[str]]:
    """The font families that together have these characters, beside DejaVu Sans, and the characters that none has."""
    from matplotlib import font_manager, ft2font

    # Surrogates and control characters have no shape in any font.
    missing = {character for character in characters if unicodedata.category(character) in ("Cc", "Cs")}
    wanted = set(characters) - missing
    dejavu = ft2font.FT2Font(font_manager.findfont("DejaVu Sans"))
    wanted = {character for character in wanted if not dejavu.get_char_index(ord(character))}
    if not wanted:
        return [], missing
    found = {family: covered(path, wanted) for family, path in candidates()}
    chosen: list[str] = []
    while wanted:
        best = max(found, key=lambda family: len(found[family] & wanted), default=None)
        if best is None or not found[best] & wanted:
            break
        chosen.append(best)
        wanted -= found[best]
    return chosen, missing | wanted


def candidates() -> list[tuple[str, str]]:
    """(family, file) of the upright fonts of normal weight that are installed, plain sans-serif ones first."""
    from matplotlib import font_manager

    manager = font_manager.fontManager
    known = {os.fspath(entry.fname) for entry in manager.ttflist}
    for path in font_manager.findSystemFonts():
        if path not in known:  # matplotlib keeps a list on disk, older than fonts that were installed since
            try:
                manager.addfont(path)
            except Exception:
                continue  # a font that cannot be read is none of ours, whatever is wrong with it
    upright = {
        (entry.name, os.fspath(entry.fname))
        for entry in manager.ttflist
        if entry.style == "normal" and entry.weight in (400, "normal", "regular") and not getattr(entry, "index", 0)
    }
    # Last-resort fonts claim every character and draw a box for it, which is what we are to avoid.
    upright = {font for font in upright if "lastresort" not in font[0].lower().replace(" ", "")}
    return sorted(upright, key=lambda font: ("Sans" not in font[0], "Mono" in font[0], len(font[0]), font))


def covered(path: str, characters: set[str]) -> set[str]:
    """Those of the characters that a font can draw. Colour fonts are bitmaps, which matplotlib cannot scale: none."""
    from matplotlib import ft2font

    try:
        font = ft2font.FT2Font(path)
        if not font.scalable:
            return set()
        return {character for character in characters if font.get_char_index(ord(character))}
    except (OSError, RuntimeError):
        return set()


def complaints(missing: set[str], text: str) -> list[str]:
    """What is to be said of characters that cannot be drawn as they should be, a line for each reason."""
    from matplotlib import ft2font

    lines = []
    shapeless = {character for character in missing if unicodedata.category(character) in ("Cc", "Cs")}
    for remedy, group in groupby(sorted(missing - shapeless, key=_remedy), key=_remedy):
        characters = sorted(group)
        shown = "".join(characters[:12]) + ("…" if len(characters) > 12 else "")
        scripts = ", ".join(sorted({_script(character) for character in characters}))
        lines.append(
            f"no installed font has {shown} ({scripts}); drawn as code points; install a font, such as {remedy}"
        )
    if not hasattr(ft2font, "__libraqm_version__") and any(_needs_layout(character) for character in text):
        lines.append("letters that join or run from right to left are drawn singly; install matplotlib 3.11 or newer")
    return lines


def _script(character: str) -> str:
    """The first word of the character's name, which for letters is the script."""
    return unicodedata.name(character, "unnamed character").split()[0].split("-")[0]


def _remedy(character: str) -> str:
    """Fonts that have it."""
    if _script(character) in ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC", "FULLWIDTH"):
        return "Noto Sans CJK (Debian: fonts-noto-cjk)"
    return "Noto (Debian: fonts-noto-core; for emoji fonts-symbola)"


def _needs_layout(character: str) -> bool:
    """Whether a character joins with its neighbours or runs from right to left."""
    brahmic = ((0x0900, 0x0DFF), (0x0F00, 0x109F), (0x1780, 0x17FF))
    joins = any(first <= ord(character) <= last for first, last in brahmic)
    return joins or unicodedata.bidirectional(character) in ("R", "AL")
