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
import shutil
import sys
import zlib
from pathlib import Path

from seq2seq.data.fetch import as_script, digest, fetch
from seq2seq.errors import DataError

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
    return as_script(lambda: prepare(options))


def prepare(options: argparse.Namespace) -> None:
    """Lays down every file that is not there yet."""
    names = [f"{split}.{language}.gz" for split in SPLITS for language in options.languages]
    unknown = [name for name in names if name not in CHECKSUMS]
    if unknown and not options.allow_unverified:
        raise DataError(
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
                raise DataError(f"{source}: no such file; --from expects a folder with {target.name} in it")
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
            raise DataError(
                f"{source}: its sha256 is {found}, expected {CHECKSUMS[target.name]}; nothing was laid down"
                if target.name in CHECKSUMS
                else f"{source}: is no whole gzip file; nothing was laid down"
            )
        print(f"{target.name}: not what it should be; fetching it once more", flush=True)


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
            raise DataError(f"{root}: {split} has different numbers of lines ({told}); remove the wrong one")


if __name__ == "__main__":
    sys.exit(main())
