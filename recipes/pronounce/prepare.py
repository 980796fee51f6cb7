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
import gzip
import hashlib
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from seq2seq.data.fetch import as_script, fetch
from seq2seq.errors import DataError

DICTIONARY, LIST = "cmudict.dict", "cmudict-0.7b.test.txt"
GITHUB = "https://raw.githubusercontent.com"
HOMES = {
    DICTIONARY: f"{GITHUB}/cmusphinx/cmudict/0f8072f814306c5ee4fbf992ed853601b12c01f9/cmudict.dict",
    LIST: f"{GITHUB}/kalaivani-s/grapheme-to-phoneme/54b80f26bc7aaa23ae5c6ada049a8ebc0be22fed/data/{LIST}",
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
    parser = argparse.ArgumentParser(description="Fetch CMUdict and its test list, and lay them down as pairs.")
    parser.add_argument("root", type=Path, nargs="?", default=Path("data/cmudict"), help="where (%(default)s)")
    parser.add_argument("--base-url", help=f"where {DICTIONARY} and {LIST} are, instead of their public homes")
    parser.add_argument("--from", dest="folder", type=Path, help="take both files from this folder")
    parser.add_argument("--retries", type=int, default=5, help="tries more after a failed one (%(default)s)")
    parser.add_argument("--wait", type=float, default=1.0, help="seconds before the first retry, then doubled")
    options = parser.parse_args(arguments)
    return as_script(lambda: prepare(options))


def prepare(options: argparse.Namespace) -> None:
    """Lays down the three parts."""
    options.root.mkdir(parents=True, exist_ok=True)
    dictionary, tested = (list(read(text(name, options).splitlines())) for name, read in READ.items())
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


def text(name: str, options: argparse.Namespace) -> str:
    """One of the two files, checked."""
    if options.folder is not None:
        for path in (options.folder / name, options.folder / f"{name}.gz"):
            if path.is_file():
                return checked(path.read_bytes(), name, str(path))
        raise DataError(f"{options.folder / name}: no such file; --from expects {name} or {name}.gz in its folder")
    url = HOMES[name] if options.base_url is None else f"{options.base_url.rstrip('/')}/{name}"
    part = options.root / f"{name}.part"
    for last in (False, True):
        fetch(url, part, retries=options.retries, wait=options.wait)
        body = part.read_bytes()
        part.unlink()  # what is wrong can not be gone on with
        try:
            return checked(body, name, url)
        except DataError as error:
            if last:
                raise
            print(f"{error}; fetching it once more", flush=True)
    raise AssertionError


def checked(body: bytes, name: str, where: str) -> str:
    """The text of a file, which may be gzipped, if it is what was published under its name."""
    try:
        body = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{where}: is no whole gzip file ({error}); nothing was laid down") from error
    if (found := hashlib.sha256(body).hexdigest()) != CHECKSUMS[name]:
        raise DataError(f"{where}: its sha256 is {found}, expected {CHECKSUMS[name]}; nothing was laid down")
    return body.decode("utf-8")


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
