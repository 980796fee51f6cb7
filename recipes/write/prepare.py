"""Fetches tinyshakespeare (Karpathy 2015): 1,115,394 characters of plays in one file, public-domain text.

    python recipes/write/prepare.py data/tinyshakespeare
    python -m seq2seq.train recipe=write data=tinyshakespeare data.root=data/tinyshakespeare

A download that was cut is taken up where it stopped; the file is checked by its sha256 and only then takes its name.
One that you have elsewhere is taken with ``--from FILE``.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from seq2seq.data.fetch import as_script, digest, fetch
from seq2seq.errors import DataError

COMMIT = "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e"
URL = f"https://raw.githubusercontent.com/karpathy/char-rnn/{COMMIT}/data/tinyshakespeare/input.txt"
CHECKSUM = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


def main(arguments: list[str] | None = None) -> int:
    """Runs the script; returns its exit status."""
    parser = argparse.ArgumentParser(description="Fetch tinyshakespeare and lay it down, checked.")
    parser.add_argument("root", type=Path, nargs="?", default=Path("data/tinyshakespeare"), help="where (%(default)s)")
    parser.add_argument("--url", default=URL, help="where the file is (%(default)s)")
    parser.add_argument("--from", dest="file", type=Path, help="copy this file instead of fetching")
    parser.add_argument("--retries", type=int, default=5, help="tries more after a failed one (%(default)s)")
    parser.add_argument("--wait", type=float, default=1.0, help="seconds before the first retry, then doubled")
    options = parser.parse_args(arguments)
    return as_script(lambda: prepare(options))


def prepare(options: argparse.Namespace) -> None:
    """Lays the file down unless it is there."""
    target = options.root / "input.txt"
    if target.is_file() and digest(target) == CHECKSUM:
        print(f"{target.name}: already there")
    else:
        options.root.mkdir(parents=True, exist_ok=True)
        lay_down(target, options)
        print(f"{target.name}: {target.stat().st_size:,} bytes, its sha256 is right")
    print(f"ready: python -m seq2seq.train recipe=write data=tinyshakespeare data.root={options.root}")


def lay_down(target: Path, options: argparse.Namespace) -> None:
    """Brings the file beside its place, checks it, and only then gives it its name."""
    part = target.with_name(f"{target.name}.part")
    if options.file is not None:
        if not options.file.is_file():
            raise DataError(f"{options.file}: no such file; --from expects the text itself")
        shutil.copyfile(options.file, part)
    else:
        fetch(options.url, part, retries=options.retries, wait=options.wait)
    found = digest(part)
    if found != CHECKSUM:
        part.unlink()  # nothing can be built upon it
        source = options.file or options.url
        raise DataError(f"{source}: its sha256 is {found}, expected {CHECKSUM}; nothing was laid down")
    part.replace(target)


if __name__ == "__main__":
    sys.exit(main())
