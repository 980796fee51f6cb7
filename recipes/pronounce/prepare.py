"""Fetches the CMU pronouncing dictionary and the customary list of test words, and lays them down as pairs.

    python recipes/pronounce/prepare.py data/cmudict
    python -m seq2seq.train recipe=pronounce data=cmudict data.root=data/cmudict

Both files are checked by their sha256; files that you have elsewhere, gzipped or not, are taken with ``--from FOLDER``.
What is laid down are train.tsv, valid.tsv and test.tsv: a word in small letters, a tab, and its sounds without stress;
a line for each pronunciation. The test words are those of the list (11,994 words, the test part of CNTK's recipe, on
which others report), with the list's own pronunciations; no word of it is in the other files. Of the other words one in
forty is for validation. The dictionary's licence is BSD-like, Carnegie Mellon University's.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator

from seq2seq.data.fetch import as_script
from seq2seq.data.published import content, parser

DICTIONARY, LIST = "cmudict.dict", "cmudict-0.7b.test.txt"
GITHUB = "https://raw.githubusercontent.com"
HOMES = {
    DICTIONARY: f"{GITHUB}/cmusphinx/cmudict/0f8072f814306c5ee4fbf992ed853601b12c01f9",
    LIST: f"{GITHUB}/kalaivani-s/grapheme-to-phoneme/54b80f26bc7aaa23ae5c6ada049a8ebc0be22fed/data",
}
CHECKSUMS = {
    DICTIONARY: "81917843c7f44ce2b094ac63873c2c7a4cf802040792c455ba3ca406891c3d22",
    LIST: "6278b991c685d29e1acd9f7dce2a11db990a79add697d95359289bfd745d5444",
}
VALIDATED = 40
"""Of the words that are not tested, one in so many is for validation"""

Pair = tuple[str, str]
"""A word and its sounds"""


def main(arguments: list[str] | None = None) -> int:
    """Runs the script; returns its exit status."""
    command = parser("CMUdict with its customary test words", base_url=None, root="data/cmudict")
    options = command.parse_args(arguments)
    return as_script(lambda: prepare(options))


def prepare(options: argparse.Namespace) -> None:
    """Lays down the three parts."""
    options.root.mkdir(parents=True, exist_ok=True)
    dictionary, tested = (list(read(_lines(name, options))) for name, read in READ.items())
    words = {word for word, _ in tested}
    rest = [pair for pair in dictionary if pair[0] not in words]
    parts = {
        "train": [pair for pair in rest if not is_validated(pair[0])],
        "valid": [pair for pair in rest if is_validated(pair[0])],
        "test": tested,
    }
    for part, pairs in parts.items():
        lines = sorted(set(pairs))  # without stress some pronunciations are the same
        target = options.root / f"{part}.tsv"
        aside = target.with_name(target.name + ".part")
        aside.write_text("".join(f"{word}\t{sounds}\n" for word, sounds in lines), encoding="utf-8", newline="\n")
        aside.replace(target)
        print(f"{target}: {len(lines):,} pronunciations of {len({word for word, _ in lines}):,} words", flush=True)
    print(f"ready: python -m seq2seq.train recipe=pronounce data=cmudict data.root={options.root}")


def _lines(name: str, options: argparse.Namespace) -> list[str]:
    return content(name, CHECKSUMS[name], options, home=HOMES[name]).decode("utf-8").splitlines()


def from_dictionary(lines: Iterable[str]) -> Iterator[Pair]:
    """``word(2) W ER1 D # what it is`` as ``word`` and ``W ER D``."""
    for line in lines:
        word, *sounds = line.partition(" #")[0].split()
        yield re.sub(r"\(\d+\)$", "", word), " ".join(sound.rstrip("012") for sound in sounds)


def from_list(lines: Iterable[str]) -> Iterator[Pair]:
    """``<s> W O R D <s/> ~W ~ER ~D </s>`` as ``word`` and ``W ER D``."""
    for line in lines:
        letters, _, sounds = line.removeprefix("<s> ").removesuffix(" </s>").partition(" <s/> ")
        yield letters.replace(" ", "").lower(), sounds.replace("~", "")


READ: dict[str, Callable[[Iterable[str]], Iterator[Pair]]] = {DICTIONARY: from_dictionary, LIST: from_list}


def is_validated(word: str) -> bool:
    """Whether a word is for validation: a question of the word alone."""
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big") % VALIDATED == 0


if __name__ == "__main__":
    sys.exit(main())
