"""Encoding: a reader's examples into arrays on disk, once, found again by what they depend on."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from seq2seq.data.fields import Field, Fields
from seq2seq.data.progress import Progress
from seq2seq.data.readers import Reader
from seq2seq.data.storage import Array, ColumnWriter, locked, seal, unsealed
from seq2seq.errors import DataError
from seq2seq.types import Example

_FORMAT = "2"
"""Changes whenever what is stored does, so that no older cache is taken for a new one."""
_CHUNK = 4096
"""Examples that are encoded at a time, …"""
_TEXT = 1 << 23
"""… or the characters of them, where they are as long as books."""
_SHORT = 4
"""Steps that the encoding of a text may have that is not blank and of which still nothing is left."""


def encoded_folder(
    reader: Reader, fields: Fields, cache: Path, say: Callable[[str], None]
) -> tuple[Path, dict[str, Any]]:
    """The folder that holds a reader's encoded examples, made where it is not there and whole, and facts about it.

    The facts are ``size``, the number of examples; ``columns``, the stored columns and their types; and ``several``,
    the sides of which each example has several raw values, as JSON. Arguments and errors are those of ``Corpus.open``.
    """
    key = [_FORMAT, reader.fingerprint(), fields.src.fingerprint(), fields.tgt.fingerprint()]
    folder = cache / hashlib.sha256("\0".join(key).encode()).hexdigest()[:32]
    facts = unsealed(folder)
    try:
        if facts is None:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with locked(folder.with_name(f".{folder.name}.lock")):
                facts = unsealed(folder) or _build(reader, fields, folder, say)
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder, facts


def unwritable(folder: Path, error: OSError) -> DataError:
    """What is raised when the cache's disk is full or its folder is not ours to write."""
    return DataError(
        f"the cache {folder} cannot be written ({error.strerror or error}): free space or choose another by cache=…"
    )


def _build(reader: Reader, fields: Fields, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Encodes a corpus beside its place in the cache and moves it there, so that it is there whole or not at all."""
    if folder.exists():
        say(f"{folder} is damaged or incomplete: encoding again")
        shutil.rmtree(folder)
    aside = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        facts = _encode(reader, fields, aside, say)
        seal(aside, facts)
        aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return facts


def _encode(reader: Reader, fields: Fields, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Streams the reader's examples into columns: each side's steps and raw text, and where each came from."""
    examples = iter(reader)
    first = next(examples, None)
    if first is None:
        raise DataError(f"{_name(reader)} holds no example: a corpus needs at least one line")
    examples = chain([first], examples)
    sides = {"src": fields.src} if first.tgt is None else {"src": fields.src, "tgt": fields.tgt}
    dtypes = {name: _narrowest(field) for name, field in sides.items() if field.kept}
    dtypes |= {f"{name}.raw": "uint8" for name in sides} | {"where": "uint8"}
    several = [name for name in sides if isinstance(getattr(first, name), tuple)]
    writers = {name: ColumnWriter(folder, name, dtype) for name, dtype in dtypes.items()}
    progress = Progress(verb="encoding", done="encoded", unit="examples", total=None, say=say)
    size = 0
    try:
        with (folder / "empty.values").open("wb") as empty:
            for chunk in _chunks(examples):
                blank = np.zeros(len(chunk), bool)
                for name, field in sides.items():
                    values = [getattr(example, name) for example in chunk]
                    texts = [json.dumps(value) for value in values] if name in several else values
                    writers[f"{name}.raw"].extend([_bytes(text) for text in texts])
                    raws = [value[0] for value in values] if name in several else values
                    if not field.kept:
                        blank |= ~np.array(field.prepare(raws, say))
                        continue
                    encoded = _encoded(field, raws, chunk)
                    writers[name].extend(encoded)
                    blank |= [_is_empty(field, raw, each) for raw, each in zip(raws, encoded)]
                writers["where"].extend([_bytes(example.where) for example in chunk])
                empty.write((size + np.flatnonzero(blank)).astype(np.int64).tobytes())
                size += len(chunk)
                progress.advance(len(chunk))
    finally:
        progress.close()
        for writer in writers.values():
            writer.close()
    return {"size": size, "columns": dtypes, "several": several}


def _chunks(examples: Iterable[Example]) -> Iterator[list[Example]]:
    chunk: list[Example] = []
    size = 0
    for example in examples:
        chunk.append(example)
        size += sum(len(side) for side in (example.src, example.tgt) if isinstance(side, str))
        if len(chunk) == _CHUNK or size >= _TEXT:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _encoded(field: Field, raws: list[Any], examples: Sequence[Example]) -> list[Array]:
    """All at once; where that fails, one after the other, to say which it was."""
    try:
        return field.encode_all(raws)
    except DataError:
        for raw, example in zip(raws, examples):
            try:
                field.encode_all([raw])
            except DataError as error:
                raise DataError(f"{example.where}: {error}") from error
        raise


def _is_empty(field: Field, raw: str, encoded: Array) -> bool:
    # A field may have to decode to know, which takes longer than to encode: it is asked only where it may say yes.
    return (len(encoded) <= _SHORT or not raw.strip()) and field.is_empty(encoded)


def _narrowest(field: Field) -> str:
    return "uint16" if field.size <= 1 << 16 else "int32"


def _bytes(text: str) -> Array:
    return np.frombuffer(text.encode(), np.uint8)


def _name(reader: Reader) -> str:
    """What a message calls a reader: its file where it has one."""
    for name in ("src", "path"):
        if hasattr(reader, name):
            return str(getattr(reader, name))
    return type(reader).__name__
