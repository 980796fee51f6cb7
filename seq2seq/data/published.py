"""Scripts that lay down published files: fetched or taken from a folder, checked, and gzipped."""

from __future__ import annotations

import argparse
import gzip
import hashlib
import zlib
from collections.abc import Mapping
from pathlib import Path

from seq2seq.data.fetch import as_script, fetch
from seq2seq.errors import DataError


def run(
    files: Mapping[str, str], *, base_url: str, root: str, what: str, ready: str, arguments: list[str] | None
) -> int:
    """Runs such a script; returns its exit status.

    Args:
        files: Each file's path, below the home that it is published at and below the folder that it is laid down in,
            and the sha256 of what is in it.
        base_url: That home.
        root: The folder that is offered.
        what: The name of the data.
        ready: The command that trains on them, up to the folder.
        arguments: Of the command line; None for the process's own.
    """
    parser = argparse.ArgumentParser(description=f"Fetch {what} and lay it down, checked.")
    parser.add_argument("root", type=Path, nargs="?", default=Path(root), help="where (%(default)s)")
    parser.add_argument("--base-url", default=base_url, help="where the files are (%(default)s)")
    parser.add_argument("--from", dest="folder", type=Path, help="take the files, gzipped or not, from this folder")
    parser.add_argument("--retries", type=int, default=5, help="tries more after a failed one (%(default)s)")
    parser.add_argument("--wait", type=float, default=1.0, help="seconds before the first retry, then doubled")
    options = parser.parse_args(arguments)

    def prepare() -> None:
        for name, checksum in files.items():
            _lay_down(name, checksum, options)
        print(f"ready: {ready}{options.root}")

    return as_script(prepare)


def _lay_down(name: str, checksum: str, options: argparse.Namespace) -> None:
    """Lays down one file, unless it is there."""
    target = options.root / (name if name.endswith(".gz") else f"{name}.gz")
    if target.is_file() and _sum(_content(target)) == checksum:
        print(f"{target}: already there", flush=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if options.folder is None:
        body, where = _fetched(name, checksum, target, options)
    else:
        body, where = _taken(name, options.folder)
    if (found := _sum(body)) != checksum:
        raise DataError(f"{where}: its sha256 is {found}, expected {checksum}; it was not laid down")
    aside = target.with_name(f"{target.name}.aside")
    aside.write_bytes(gzip.compress(body, mtime=0))
    aside.replace(target)
    print(f"{target}: {len(body):,} bytes, the sha256 of what is in it is right", flush=True)


def _fetched(name: str, checksum: str, target: Path, options: argparse.Namespace) -> tuple[bytes, str]:
    url, part = f"{options.base_url.rstrip('/')}/{name}", target.with_name(f"{Path(name).name}.part")
    for last in (False, True):
        fetch(url, part, retries=options.retries, wait=options.wait)
        body = _content(part)
        part.unlink()  # what is wrong cannot be gone on with
        if last or _sum(body) == checksum:
            break
        print(f"{url}: not what it should be; fetching it once more", flush=True)
    return body, url


def _taken(name: str, folder: Path) -> tuple[bytes, str]:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return _content(path), str(path)
    raise DataError(f"{folder / name}: no such file; --from expects {name} or {name}.gz in its folder")


def _content(path: Path) -> bytes:
    """What is in a file, unpacked; nothing where it is no whole gzip file."""
    body = path.read_bytes()
    try:
        return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
    except (OSError, EOFError, zlib.error):
        return b""


def _sum(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
