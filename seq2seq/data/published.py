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

Files = Mapping[str, "str | None"]
"""Each file's path, below the home that it is published at and below the folder that it is laid down in, and the sha256
of what is in it, unpacked; None where it is not known"""


def run(
    files: Files,
    *,
    base_url: str,
    root: str,
    what: str,
    ready: str,
    arguments: list[str] | None,
    packed: bool = True,
) -> int:
    """Runs a script that lays down files as they are published; returns its exit status.

    Args:
        files: What is laid down.
        base_url: The home that they are published at.
        root: The folder that is offered.
        what: The name of the data.
        ready: The command that trains on them, up to the folder.
        arguments: Of the command line; None for the process's own.
        packed: See ``lay_down``.
    """
    options = parser(what, base_url=base_url, root=root).parse_args(arguments)

    def prepare() -> None:
        lay_down(files, options, packed=packed)
        print(f"ready: {ready}{options.root}")

    return as_script(prepare)


def parser(what: str, *, base_url: str | None, root: str) -> argparse.ArgumentParser:
    """The command line that such scripts have in common; ``base_url=None`` where files have homes of their own."""
    made = argparse.ArgumentParser(description=f"Fetch {what} and lay it down, checked.")
    made.add_argument("root", type=Path, nargs="?", default=Path(root), help="where (%(default)s)")
    homes = f"where the files are ({base_url or 'their public homes'})"
    made.add_argument("--base-url", default=base_url, help=homes)
    made.add_argument("--from", dest="folder", type=Path, help="take the files, gzipped or not, from this folder")
    made.add_argument("--retries", type=int, default=5, help="tries more after a failed one (%(default)s)")
    made.add_argument("--wait", type=float, default=1.0, help="seconds before the first retry, then doubled")
    return made


def lay_down(files: Files, options: argparse.Namespace, *, packed: bool = True) -> None:
    """Lays down the files that are not there, or not as they should be.

    Args:
        files: Which.
        options: What ``parser`` has read.
        packed: All of them as gzip; else only those whose name says so.

    Raises:
        DataError: One cannot be had, or is not what was published. It does not get its name.
    """
    if options.root.exists() and not options.root.is_dir():
        raise DataError(f"{options.root}: is no folder, where files could be laid down: name another one")
    for name, checksum in files.items():
        target = options.root / (name if name.endswith(".gz") or not packed else f"{name}.gz")
        if target.is_file():
            if _is_right(target, checksum):
                print(f"{target}: already there", flush=True)
                continue
            print(f"{target}: there, but not as it should be; replacing it", flush=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        body = content(name, checksum, options)
        aside = target.with_name(f"{target.name}.aside")
        aside.write_bytes(gzip.compress(body, mtime=0) if target.suffix == ".gz" else body)
        aside.replace(target)
        checked = "the sha256 of what is in it is right" if checksum else "whole, but no sha256 is known"
        print(f"{target}: {len(body):,} bytes, {checked}", flush=True)


def content(name: str, checksum: str | None, options: argparse.Namespace, *, home: str | None = None) -> bytes:
    """What is in a file, unpacked and checked: taken from the folder that was given, or fetched.

    A fetch that was cut leaves a part beside the file's place, from which the next one goes on.

    Args:
        name: Its path below the folder, or below its home.
        checksum: The sha256 of what is in it; None where it is not known.
        options: What ``parser`` has read.
        home: Where it is published, where that is not said by the options.

    Raises:
        DataError: It cannot be had, or is not what was published.
    """
    if options.folder is not None:
        other = name.removesuffix(".gz") if name.endswith(".gz") else f"{name}.gz"
        for path in (options.folder / name, options.folder / other):
            if path.is_file():
                return _checked(path, checksum, str(path))
        raise DataError(f"{options.folder / name}: no such file; --from expects a folder with {name} or {other} in it")
    url, part = f"{(options.base_url or home or '').rstrip('/')}/{name}", options.root / f"{name}.part"
    for last in (False, True):
        fetch(url, part, retries=options.retries, wait=options.wait)
        try:
            return _checked(part, checksum, url)
        except DataError as error:
            if last:
                raise
            print(f"{error}; fetching it once more", flush=True)
        finally:
            part.unlink()  # what is wrong cannot be gone on with
    raise AssertionError


def _checked(path: Path, checksum: str | None, where: str) -> bytes:
    """What is in a file, which may be gzipped, if it is what was published."""
    body = path.read_bytes()
    packed = where.endswith(".gz") and checksum is None  # whose name is all that says what it must be
    try:
        body = gzip.decompress(body) if packed or body[:2] == b"\x1f\x8b" else body
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{where}: is no whole gzip file ({error}); it was not laid down") from error
    if checksum is not None and (found := hashlib.sha256(body).hexdigest()) != checksum:
        raise DataError(f"{where}: its sha256 is {found}, expected {checksum}; it was not laid down")
    return body


def _is_right(path: Path, checksum: str | None) -> bool:
    try:
        _checked(path, checksum, str(path))
        return True
    except DataError:
        return False
