"""The files that MNIST comes in: arrays of bytes with their shape before them, plain or gzip."""

from __future__ import annotations

import functools
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seq2seq.data.readers import content_hash, joint_hash
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Example


class IdxPictures:
    """Reads the pictures of one file and their labels from another. A source is ``FILE#17``, a place in the file.

    Args:
        images: File of the pictures.
        labels: File of as many numbers.
        first, last: Which of them, counted from 0; ``last`` is not among them, and None stands for the end.
    """

    def __init__(self, *, images: str | Path, labels: str | Path, first: int = 0, last: int | None = None) -> None:
        if first < 0 or (last is not None and last <= first):
            raise ConfigError(f"{first=}, {last=}: expected places in the file, the first before the last")
        self.images, self.labels, self.first, self.last = Path(images), Path(labels), first, last

    def __iter__(self) -> Iterator[Example]:
        pictures, labels = read_idx(self.images), read_idx(self.labels)
        if len(pictures) != len(labels):
            raise DataError(
                f"{self.images} has {len(pictures):,} pictures but {self.labels} has {len(labels):,} labels: "
                "give files that belong together"
            )
        for place, label in enumerate(labels[self.first : self.last].tolist(), start=self.first):
            yield Example(f"{self.images}#{place}", str(label), f"{self.images.name}#{place}")

    def fingerprint(self) -> str:
        """A hash of both files and of which pictures are read."""
        places = [str(self.images), str(self.first), str(self.last)]
        return joint_hash(["idx", *places, content_hash(self.images), content_hash(self.labels)])


@functools.lru_cache(maxsize=4)
def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array of a file, which is kept for the next to ask for it. Raises DataError where it is damaged or no such
    file."""
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file (looked in {Path.cwd()}); check the path") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); fetch it again") from error
    if len(content) < 4 or content[:3] != b"\x00\x00\x08" or len(content) < 4 + 4 * content[3]:
        raise DataError(f"{path}: is no idx file of bytes, as MNIST's are; check the path")
    shape = np.frombuffer(content, ">u4", content[3], 4)
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * content[3])
    if len(values) != shape.prod():
        raise DataError(
            f"{path}: holds {len(values):,} bytes, but says it is {' x '.join(map(str, shape))}; fetch it again"
        )
    return values.reshape(shape)
