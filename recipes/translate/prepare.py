"""Fetches Multi30k (Elliott et al. 2016): 31,014 captions in several languages, as gzipped UTF-8, one sentence a line.

    python recipes/translate/prepare.py data/multi30k
    python -m seq2seq.train recipe=translate data=multi30k data.root=data/multi30k

A download that was cut is taken up where it stopped; every file is checked by its sha256 and only then takes its name,
so what stands in the folder is whole; files that are already right are left alone. Files that you have elsewhere are
taken with ``--from FOLDER``. The captions are for non-commercial research and education (see the dataset's README).
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import http.client
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
import zlib
from pathlib import Path

from tqdm import tqdm

COMMIT = "a3d2e0d26b56f3846f66a952536ffed4e401d05a"
BASE_URL = f"https://raw.githubusercontent.com/multi30k/dataset/{COMMIT}/data/task1/raw"
SPLITS = ("train", "val", "test_2016_flickr")
CHECKSUMS = {
    "train.de.gz": "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
    "train.en.gz": "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
    "val.de.gz": "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
    "val.en.gz": "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
    "test_2016_flickr.de.gz": "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
    "test_2016_flickr.en.gz": "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
}
CHUNK = 1 << 16


class PrepareError(Exception):
    """What the user is told in one line."""


class Cut(Exception):
    """A fetch that did not come to its end; trying again may help."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the script; returns its exit status."""
    parser = argparse.ArgumentParser(description="Fetch Multi30k and lay it down, checked.")
    parser.add_argument("root", type=Path, nargs="?", default=Path("data/multi30k"), help="where (%(default)s)")
    parser.add_argument("--languages", nargs="+", default=["de", "en"], metavar="LANGUAGE", help="of de en fr cs")
    parser.add_argument("--base-url", default=BASE_URL, help="where train.de.gz and the others are (%(default)s)")
    parser.add_argument("--from", dest="folder", type=Path, help="copy from this folder instead of fetching")
    parser.add_argument(
        "--allow-unverified", action="store_true", help="take languages whose sha256 is not known here (fr, cs)"
    )
    parser.add_argument("--retries", type=int, default=5, help="tries more after a failed one (%(default)s)")
    parser.add_argument("--wait", type=float, default=1.0, help="seconds before the first retry, then doubled")
    options = parser.parse_args(arguments)
    try:
        prepare(options)
    except (PrepareError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def prepare(options: argparse.Namespace) -> None:
    """Lays down every file that is not there yet."""
    names = [f"{split}.{language}.gz" for split in SPLITS for language in options.languages]
    unknown = [name for name in names if name not in CHECKSUMS]
    if unknown and not options.allow_unverified:
        raise PrepareError(
            f"no sha256 is known for {', '.join(unknown)}; --allow-unverified takes them, checked only to be whole"
        )
    options.root.mkdir(parents=True, exist_ok=True)
    for name in names:
        target = options.root / name
        if target.exists() and is_right(target, name):
            print(f"{name}: already there", flush=True)
            continue
        if target.exists():
            print(f"{name}: there, but not as it should be; replacing it", flush=True)
        lay_down(target, options)
        checked = "its sha256 is right" if name in CHECKSUMS else "whole, but no sha256 is known"
        print(f"{name}: {target.stat().st_size:,} bytes, {checked}", flush=True)
    check_lines(options.root, options.languages)
    print(f"ready: python -m seq2seq.train recipe=translate data=multi30k data.root={options.root}")


def lay_down(target: Path, options: argparse.Namespace) -> None:
    """Brings one file beside its place, checks it, and only then gives it its name."""
    part = target.with_name(target.name + ".part")
    for last in (False, True):
        if options.folder is not None:
            source = str(options.folder / target.name)
            if not Path(source).is_file():
                raise PrepareError(f"{source}: no such file; --from expects a folder with {target.name} in it")
            shutil.copyfile(source, part)
        else:
            source = f"{options.base_url.rstrip('/')}/{target.name}"
            fetch(source, part, retries=options.retries, wait=options.wait)
        if is_right(part, target.name):
            part.replace(target)
            return
        found = digest(part)
        part.unlink()  # nothing can be built upon it
        if last or options.folder is not None:
            raise PrepareError(
                f"{source}: its sha256 is {found}, expected {CHECKSUMS[target.name]}; nothing was laid down"
                if target.name in CHECKSUMS
                else f"{source}: is no whole gzip file; nothing was laid down"
            )
        print(f"{target.name}: not what it should be; fetching it once more", flush=True)


def fetch(url: str, part: Path, *, retries: int, wait: float) -> None:
    """Fetches a file into ``part``, going on from what is there; bytes that came start the count of tries anew."""
    if not url.startswith(("http://", "https://")):
        raise PrepareError(f"{url}: is not fetched by http or https; files that you have are taken with --from FOLDER")
    tries = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            fetch_rest(url, part)
            return
        except Cut as cut:
            after = part.stat().st_size if part.exists() else 0
            tries = 1 if after > before else tries + 1
            if tries > retries:
                raise PrepareError(f"{url}: {cut}, on try {tries}; the same command goes on from here") from cut
            print(f"{part.stem}: {cut}; trying again", file=sys.stderr, flush=True)
            time.sleep(wait * 2 ** (tries - 1))


def fetch_rest(url: str, part: Path) -> None:
    """One request for what ``part`` still lacks. Raises Cut where another try may help."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            # A server that does not know ranges answers 200 with the whole file.
            if response.status != 206 or not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                if response.status == 206:
                    part.unlink()
                    raise Cut("the server sent another part than asked for")
                have = 0
            receive(response, part, have)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # nothing lies beyond what we have: it is whole, or it is not this file
            if error.headers.get("Content-Range") == f"bytes */{have}":
                return
            part.unlink()
            raise Cut("what was here is longer than the file") from error
        if error.code == 429 or error.code >= 500:
            raise Cut(f"the server answered {error.code} {error.reason}") from error
        raise PrepareError(f"{url}: the server answered {error.code} {error.reason}; check --base-url") from error
    except urllib.error.URLError as error:
        raise Cut(f"cannot be reached ({error.reason})") from error
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise Cut(f"the connection was cut ({type(error).__name__})") from error


def receive(response: http.client.HTTPResponse, part: Path, have: int) -> None:
    """Writes what comes behind the first ``have`` bytes of ``part``, with a bar in a terminal."""
    length = response.headers.get("Content-Length")
    total = have + int(length) if length is not None else None
    with (
        part.open("ab" if have else "wb") as file,
        tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=part.stem, disable=None, leave=False) as bar,
    ):
        while chunk := response.read(CHUNK):
            file.write(chunk)
            bar.update(len(chunk))
        file.flush()
        os.fsync(file.fileno())
        got = file.tell()
    if total is not None and got < total:
        raise Cut(f"the connection was cut at {got:,} of {total:,} bytes")


def digest(path: Path) -> str:
    """The sha256 of a file."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            sha.update(chunk)
    return sha.hexdigest()


def is_right(path: Path, name: str) -> bool:
    """Whether a file has the sha256 of that name; where none is known, whether it is a whole gzip file."""
    if name in CHECKSUMS:
        return digest(path) == CHECKSUMS[name]
    try:
        count_lines(path)
        return True
    except (OSError, EOFError, zlib.error):
        return False


def count_lines(path: Path) -> int:
    """The number of lines of a gzip file."""
    with gzip.open(path) as file:
        return sum(1 for _ in file)


def check_lines(root: Path, languages: list[str]) -> None:
    """Line n of every language is a caption of the same picture, so the counts agree."""
    for split in SPLITS:
        counts = {language: count_lines(root / f"{split}.{language}.gz") for language in languages}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{count:,} of {language}" for language, count in counts.items())
            raise PrepareError(f"{root}: {split} has different numbers of lines ({told}); remove the wrong one")


if __name__ == "__main__":
    sys.exit(main())
