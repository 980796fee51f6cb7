"""Fetches what is too large to lose half of: over http, going on where an earlier try stopped."""

from __future__ import annotations

import http.client
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from seq2seq.errors import DataError, UserError

_CHUNK = 1 << 16


class _Cut(Exception):
    """A fetch that did not come to its end; trying again may help."""


def as_script(work: Callable[[], None]) -> int:
    """Does what a script that fetches is for; returns its exit status. Mistakes are told in one line."""
    try:
        work()
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def fetch(url: str, part: Path, *, retries: int, wait: float) -> None:
    """Fetches a file into ``part``, going on from what is there.

    Args:
        url: of the file, http or https.
        part: the path it is written to, its name the file's and a suffix.
        retries: tries more after a failed one; bytes that came start the count anew.
        wait: seconds before the first retry, then doubled.

    Raises:
        DataError: there is no such file, or it did not come whole.
    """
    if not url.startswith(("http://", "https://")):
        raise DataError(f"{url}: is not fetched by http or https; files that you have are taken with --from FOLDER")
    tries = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            _fetch_rest(url, part)
            return
        except _Cut as cut:
            after = part.stat().st_size if part.exists() else 0
            tries = 1 if after > before else tries + 1
            if tries > retries:
                raise DataError(f"{url}: {cut}, on try {tries}; the same command goes on from here") from cut
            print(f"{part.stem}: {cut}; trying again", file=sys.stderr, flush=True)
            time.sleep(wait * 2 ** (tries - 1))


def _fetch_rest(url: str, part: Path) -> None:
    """One request for what ``part`` still lacks. Raises _Cut where another try may help."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            # A server that does not know ranges answers 200 with the whole file.
            if response.status != 206 or not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                if response.status == 206:
                    part.unlink()
                    raise _Cut("the server sent another part than asked for")
                have = 0
            _receive(response, part, have)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # nothing lies beyond what we have: it is whole, or it is not this file
            if error.headers.get("Content-Range") == f"bytes */{have}":
                return
            part.unlink()
            raise _Cut("what was here is longer than the file") from error
        if error.code == 429 or error.code >= 500:
            raise _Cut(f"the server answered {error.code} {error.reason}") from error
        raise DataError(f"{url}: the server answered {error.code} {error.reason}; check --base-url") from error
    except urllib.error.URLError as error:
        raise _Cut(f"cannot be reached ({error.reason})") from error
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise _Cut(f"the connection was cut ({type(error).__name__})") from error


def _receive(response: http.client.HTTPResponse, part: Path, have: int) -> None:
    """Writes what comes behind the first ``have`` bytes of ``part``, with a bar in a terminal."""
    length = response.headers.get("Content-Length")
    total = have + int(length) if length is not None else None
    with (
        part.open("ab" if have else "wb") as file,
        tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=part.stem, disable=None, leave=False) as bar,
    ):
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            bar.update(len(chunk))
        file.flush()
        os.fsync(file.fileno())
        got = file.tell()
    if total is not None and got < total:
        raise _Cut(f"the connection was cut at {got:,} of {total:,} bytes")
