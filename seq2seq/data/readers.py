"""Readers: files in, examples out, one at a time.

Text is UTF-8 and nothing else. A line ends at ``\\n`` only; one ``\\r`` before it is dropped, so that files written on
Windows read the same, and a byte order mark at the start of a file is dropped. Every other character is text, among
them those that ``str.splitlines`` would split at. Files may be compressed with gzip, whatever their name.
"""

from __future__ import annotations

import gzip
import hashlib
import sys
import zlib
from collections.abc import Iterator
from itertools import repeat, zip_longest
from pathlib import Path
from typing import Protocol

from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Example

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"


class Reader(Protocol):
    """An iterable of examples that can be read more than once, always the same and in the same order."""

    def __iter__(self) -> Iterator[Example]: ...

    def fingerprint(self) -> str:
        """A hash of all that the examples depend on: equal fingerprints mean equal examples."""
        ...


def read_lines(path: str | Path) -> Iterator[str]:
    """The lines of a text file, plain or gzip, without their ends; ``-`` is standard input (plain, as it arrives).

    Raises DataError for a file that is missing, unreadable, cut short or not UTF-8, naming the file and the line.
    """
    for number, line in enumerate(raw_lines(path), start=1):
        yield decode_line(line, path, number)


class ParallelText:
    """Two files of equally many lines, line n of one the translation of line n of the other.

    Args:
        src: the source's file, plain or gzip.
        tgt: the target's file, or None when there is nothing but sources.
    """

    def __init__(self, *, src: str | Path, tgt: str | Path | None) -> None:
        self.src = Path(src)
        self.tgt = None if tgt is None else Path(tgt)

    def __iter__(self) -> Iterator[Example]:
        name = self.src.name
        if self.tgt is None:
            for number, text in enumerate(read_lines(self.src), start=1):
                yield Example(text, None, f"{name}:{number}")
            return
        sources, targets = raw_lines(self.src), raw_lines(self.tgt)
        for number, (src, tgt) in enumerate(zip_longest(sources, targets), start=1):
            if src is None or tgt is None:
                longer = number + sum(1 for _ in (targets if src is None else sources))
                counts = (number - 1, longer) if src is None else (longer, number - 1)
                raise DataError(
                    f"{self.src} has {counts[0]:,} lines but {self.tgt} has {counts[1]:,}: "
                    "parallel files need a line in each for every pair"
                )
            yield Example(decode_line(src, self.src, number), decode_line(tgt, self.tgt, number), f"{name}:{number}")

    def fingerprint(self) -> str:
        """A hash of the content of both files, and of the source's name, which messages about examples show."""
        parts = ["parallel", self.src.name, content_hash(self.src)]
        return joint_hash([*parts, content_hash(self.tgt) if self.tgt else "none"])


class TabSeparated:
    """One file with a pair on each line, its columns separated by tabs; quotes and backslashes mean themselves.

    Args:
        path: the file, plain or gzip.
        src_column: which column holds the source, counted from 0.
        tgt_column: which column holds the target, or None when there is nothing but sources.
        header: whether the first line names the columns and is no pair.
    """

    def __init__(
        self, *, path: str | Path, src_column: int = 0, tgt_column: int | None = 1, header: bool = False
    ) -> None:
        for name, column in (("src_column", src_column), ("tgt_column", tgt_column)):
            if column is not None and column < 0:
                raise ConfigError(f"{name}={column} is no column: they are counted from 0")
        self.path = Path(path)
        self.src_column = src_column
        self.tgt_column = tgt_column
        self.header = header

    def __iter__(self) -> Iterator[Example]:
        needed = max(self.src_column, -1 if self.tgt_column is None else self.tgt_column) + 1
        for number, line in enumerate(read_lines(self.path), start=1):
            if self.header and number == 1:
                continue
            columns = line.split("\t")
            if len(columns) < needed:
                has = f"has {_count(len(columns), 'column')}" if line.strip() else "is empty"
                raise DataError(
                    f"{self.path}:{number} {has} but {needed} are needed "
                    f"(src_column={self.src_column}, tgt_column={self.tgt_column}): separate columns by one tab"
                )
            tgt = None if self.tgt_column is None else columns[self.tgt_column]
            yield Example(columns[self.src_column], tgt, f"{self.path.name}:{number}")

    def fingerprint(self) -> str:
        """A hash of the file's content and name and of the columns that are read."""
        columns = [str(self.src_column), str(self.tgt_column), *(["header"] if self.header else [])]
        return joint_hash(["tabs", self.path.name, content_hash(self.path), *columns])


class TaggedText:
    """Files of equally many lines: words, and a tag for each of them; both with single spaces between them.

    Args:
        words: the file of the words, plain or gzip.
        tags: the file of their tags.
        labels: a file with a label for each whole line, which examples have behind a tab; None where there is none.
    """

    def __init__(self, *, words: str | Path, tags: str | Path, labels: str | Path | None) -> None:
        self._pairs = ParallelText(src=words, tgt=tags)
        self._wholes = None if labels is None else ParallelText(src=words, tgt=labels)
        self.src = self._pairs.src

    def __iter__(self) -> Iterator[Example]:
        wholes = repeat(None) if self._wholes is None else (f"\t{pair.tgt}" for pair in self._wholes)
        names = self._names()
        for number, (pair, whole) in enumerate(zip(self._pairs, wholes), start=1):
            words, tags = (text.count(" ") + 1 if text else 0 for text in (pair.src, pair.tgt))
            if words != tags:
                raise DataError(
                    f"{self.src}:{number} has {_count(words, 'word')} but {self._pairs.tgt}:{number} has "
                    f"{_count(tags, 'tag')}: give every word one, with single spaces between them"
                )
            yield pair._replace(tgt=pair.tgt + (whole or ""), where=f"{names}:{number}")

    def fingerprint(self) -> str:
        """A hash of the content of all files, and of their names, which messages about examples show."""
        parts = [self._pairs, *([] if self._wholes is None else [self._wholes])]
        return joint_hash(["tagged", self._names(), *(part.fingerprint() for part in parts)])

    def _names(self) -> str:
        files = [self.src, self._pairs.tgt, *([] if self._wholes is None else [self._wholes.tgt])]
        *others, last = [file.name for file in files if file is not None]
        return f"{', '.join(others)} and {last}"


class TextFile:
    """A text file as one text after another, of a million characters or the rest: for a language model, no pairs.

    Args:
        path: the file, plain or gzip.
        start: the share of its characters that comes before what is read, 0 for none.
        end: the share that what is read ends at, 1 for all.
        most: characters of a text, so that memory does not grow with the file.
    """

    def __init__(self, *, path: str | Path, start: float, end: float, most: int = 1 << 20) -> None:
        if not 0 <= start < end <= 1:
            raise ConfigError(f"{start=}, {end=}: expected shares of the file from 0 to 1, the first one smaller")
        self.path, self.start, self.end, self.most = Path(path), start, end, most

    def __iter__(self) -> Iterator[Example]:
        size = sum(len(line) + 1 for line in read_lines(self.path))
        first, last = int(size * self.start), int(size * self.end)
        kept, where, place = "", "", 0
        for number, line in enumerate(read_lines(self.path), start=1):
            part = f"{line}\n"[max(first - place, 0) : max(last - place, 0)]
            place += len(line) + 1
            if part and not kept:
                where = f"{self.path.name}:{number}"
            kept += part
            while len(kept) >= self.most:
                yield Example("", kept[: self.most], where)
                kept = kept[self.most :]
                where = f"{self.path.name}:{number}"
        if kept:
            yield Example("", kept, where)

    def fingerprint(self) -> str:
        """A hash of the file's content and name, and of which part of it is read."""
        shares = [str(share) for share in (self.start, self.end, self.most)]
        return joint_hash(["text", self.path.name, content_hash(self.path), *shares])


def raw_lines(path: str | Path) -> Iterator[bytes]:
    """The lines of a file as they stand there; ``decode_line`` makes text of them."""
    if str(path) == "-":
        yield from sys.stdin.buffer
        return
    try:
        with Path(path).open("rb") as file:
            packed = file.peek(2)[:2] == _GZIP
            yield from gzip.GzipFile(fileobj=file) if packed else file
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is a damaged or incomplete gzip file ({error}): fetch or compress it again") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def decode_line(line: bytes, path: str | Path, number: int) -> str:
    """The text of line ``number`` (from 1) of a file, without its end and without the first line's byte order mark.

    Raises DataError where it is not UTF-8, naming the file (``-`` is standard input) and the line.
    """
    line = line.removesuffix(b"\n").removesuffix(b"\r")
    if number == 1:
        line = line.removeprefix(_BOM)
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        name = "standard input" if str(path) == "-" else path
        raise DataError(
            f"{name}:{number} is not UTF-8 (byte 0x{line[error.start]:02x} at position {error.start + 1} of the line): "
            "convert it to UTF-8, for example with iconv"
        ) from error


def content_hash(path: Path) -> str:
    """A hash of a file's bytes, read in pieces."""
    digest = hashlib.sha256()
    try:
        if path.exists() and not path.is_file():
            raise DataError(f"{path} is not a regular file: a corpus is read more than once, so give it as a file")
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    except OSError as error:
        raise _unreadable(path, error) from error
    return digest.hexdigest()


def joint_hash(parts: list[str]) -> str:
    """A hash of several texts, such as the hashes of files and the settings they are read with."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _unreadable(path: str | Path, error: OSError) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path} does not exist (looked in {Path.cwd()}): check the path")
    return DataError(f"{path} cannot be read: {error.strerror or error}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
