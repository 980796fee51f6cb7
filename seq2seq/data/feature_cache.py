"""Features of pictures that are computed once: a store on disk that grows, and a field that reads from it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from seq2seq.data.encoding import unwritable
from seq2seq.data.features import Regions, collate_regions
from seq2seq.data.images import ImageField
from seq2seq.data.pictures import Picture, read_picture
from seq2seq.data.progress import Progress
from seq2seq.data.storage import Mapped, locked, write_atomically
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Example, Padded

Item = TypeVar("Item")
_KEY = 32
_FORMAT = "1"


class FeatureStore:
    """Arrays of one shape in half precision, by the hash of what they were computed from.

    ``rows`` holds them one after the other and ``keys`` their hashes in the same order, written after them and only
    once they are on the disk: whatever a killed process leaves behind, a key has its row. Reading maps the rows into
    memory and gives the pages back, so that a store may be larger than memory.

    Args:
        folder: Made where it is not there.
    """

    def __init__(self, *, folder: Path) -> None:
        self.folder = folder
        self._rows, self._keys, self._shape = folder / "rows", folder / "keys", folder / "shape.json"
        folder.mkdir(parents=True, exist_ok=True)
        self._mapped: Mapped | None = None
        self._places: dict[bytes, int] = {}
        self._refresh()

    def __len__(self) -> int:
        return len(self._places)

    @property
    def shape(self) -> tuple[int, int] | None:
        """Of each array; None in an empty store."""
        return tuple(json.loads(self._shape.read_bytes())) if self._shape.exists() else None

    def place(self, key: bytes) -> int | None:
        """Where the array of a key lies, or None."""
        return self._places.get(key)

    def take(self, places: Sequence[int]) -> list[Regions]:
        """Copies of some arrays, float16."""
        if not places:
            return []
        if self._mapped is None:
            self._mapped = Mapped(self._rows, np.float16)
        assert self.shape is not None
        size = int(np.prod(self.shape))
        taken = [self._mapped.array[place * size : (place + 1) * size].reshape(self.shape).copy() for place in places]
        self._mapped.release()
        return taken

    def append(self, keys: Sequence[bytes], arrays: Regions) -> None:
        """Adds arrays ``[N, …]`` under their keys; those that have come in meanwhile, from another process, stay.

        Raises DataError where their shape is another, or half precision cannot hold them.
        """
        with np.errstate(over="ignore"):
            half = arrays.astype(np.float16)
        if not np.isfinite(half).all():
            raise DataError("a picture's features are larger than half precision holds: train without keeping them")
        with locked(self.folder / ".lock"):
            if self.shape is None:
                write_atomically(self._shape, json.dumps(half.shape[1:]).encode())
            if half.shape[1:] != self.shape:
                raise DataError(f"{self.folder}: holds features of shape {self.shape}, not {half.shape[1:]}; remove it")
            self._refresh()
            new = [number for number, key in enumerate(keys) if key not in self._places]
            size = half[0].nbytes
            _extend(self._rows, len(self._places) * size, half[new].tobytes())
            _extend(self._keys, len(self._places) * _KEY, b"".join(keys[number] for number in new))
            self._refresh()

    def _refresh(self) -> None:
        """Reads the keys that have come since."""
        known = len(self._places)
        if self._keys.exists():
            with self._keys.open("rb") as file:
                file.seek(known * _KEY)
                content = file.read()
            for place in range(len(content) // _KEY):
                self._places[content[place * _KEY : (place + 1) * _KEY]] = known + place
            self._mapped = None


def _extend(path: Path, end: int, content: bytes) -> None:
    """Writes at the end of a file, over what an interrupted writer may have left there, and waits for the disk."""
    with path.open("r+b" if path.exists() else "wb") as file:
        file.seek(end)
        file.write(content)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())


class CachedImages:
    """Pictures by the features that a frozen network gives them, each computed once and kept.

    In training it stands in the place of the pictures' own field, and is saved as that one: a bundle reads pictures.
    A picture is known by its content, so that copies and new names cost nothing.

    Args:
        images: The pictures' field, which draws nothing at random.
        extract: Pictures ``[B, H, W, 3]`` of bytes to features ``[B, S, D]``.
        fingerprint: Of all that ``extract`` depends on.
        cache: Folder of all kept things; a folder of this network's and size's is made in it.
        say: Is told what takes long.
        batch_size: Pictures that are put to the network together.

    Raises:
        ConfigError: The pictures are cropped or mirrored at random, so that there is nothing to keep.
    """

    kept = False
    stochastic = False

    def __init__(
        self,
        *,
        images: ImageField,
        extract: Callable[[Tensor], Tensor],
        fingerprint: str,
        cache: Path,
        say: Callable[[str], None],
        batch_size: int = 16,
    ) -> None:
        if images.stochastic:
            raise ConfigError(
                "crop=random and flip=true show another picture every time, of which no features can be kept: use "
                "crop=center and flip=false, or keep none"
            )
        self.images, self.extract, self.say, self.batch_size = images, extract, say, batch_size
        facts = f"{_FORMAT} {fingerprint} {images.size} {images.shorter}"
        folder = Path(cache) / f"features-{hashlib.sha256(facts.encode()).hexdigest()[:32]}"
        try:
            self.store = FeatureStore(folder=folder)
        except OSError as error:
            raise unwritable(folder, error) from error
        self._places: dict[str, int | None] = {}
        self._complaints: dict[str, str] = {}

    @property
    def size(self) -> int:
        """The side of the pictures, in pixels."""
        return self.images.size

    def encode(self, raw: str) -> Tensor:
        """The features ``[S, D]`` of a picture, float32."""
        return torch.from_numpy(self.encode_all([raw])[0].astype(np.float32))

    def encode_all(self, raws: Sequence[str]) -> list[Regions]:
        """The features ``[S, D]`` of each picture, float16; ``[0, D]`` for one that is skipped.

        What is not there yet is computed. Raises DataError as the pictures' field does.
        """
        self._fill(raws)
        places = [self._places[raw] for raw in raws]
        found = iter(self.store.take([place for place in places if place is not None]))
        nothing = np.zeros((0, (self.store.shape or (0, 0))[1]), np.float16)
        return [nothing if place is None else next(found) for place in places]

    def sample_all(self, raws: Sequence[str], seed: int) -> list[Regions]:
        """As ``encode_all``: nothing is drawn."""
        return self.encode_all(raws)

    def prepare(self, raws: Sequence[str], say: Callable[[str], None]) -> list[bool]:
        """Computes what is not there yet; see ``ImageField.prepare``."""
        self._fill(raws)
        unique = dict.fromkeys(raws)
        complaints = [self._complaints[raw] for raw in unique if raw in self._complaints]
        for complaint in complaints:
            say(complaint)
        if complaints:
            say(f"left out {len(complaints):,} of {len(unique):,} pictures, which cannot be decoded")
        return [self._places[raw] is not None for raw in raws]

    def learn(self, examples: Iterable[Example]) -> None:
        """See ``ImageField.learn``."""
        self.images.learn(examples)

    def listed(self, given: str) -> list[str] | None:
        """See ``ImageField.listed``."""
        return self.images.listed(given)

    def collate(self, encoded: Sequence[Tensor | Regions]) -> Padded:
        """See ``features.collate_regions``."""
        return collate_regions(encoded, encoded[0].shape[1] if len(encoded) else 0)

    def decode(self, tokens: Iterable[int] | Tensor) -> Any:
        """No model writes pictures."""
        return self.images.decode(tokens)

    def pieces(self, encoded: Any) -> list[str]:
        """See ``ImageField.pieces``."""
        return self.images.pieces(encoded)

    def view(self, raw: str) -> Picture:
        """See ``ImageField.view``."""
        return self.images.view(raw)

    def is_empty(self, encoded: Tensor | Regions) -> bool:
        """Whether a picture was skipped."""
        return len(encoded) == 0

    def fingerprint(self) -> str:
        """That of the pictures: a corpus keeps no more than their paths."""
        return self.images.fingerprint()

    def save(self, folder: Path, name: str) -> dict[str, Any]:
        """Saves the pictures' own field."""
        return self.images.save(folder, name)

    def _fill(self, raws: Sequence[str]) -> None:
        """Finds the place of every picture, and computes the features of those that have none."""
        missing = [raw for raw in dict.fromkeys(raws) if raw not in self._places]
        if not missing:
            return
        progress = Progress(verb="features", done="features of", unit="pictures", total=len(missing), say=self.say)
        batches = [missing[first : first + self.batch_size] for first in range(0, len(missing), self.batch_size)]
        try:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                for batch, read in zip(batches, _ahead(pool, self._read, batches)):
                    self._add(batch, read)
                    progress.advance(len(batch))
        except OSError as error:
            raise unwritable(self.store.folder, error) from error
        finally:
            progress.close()

    def _read(self, raw: str) -> tuple[bytes, Picture | None] | DataError:
        """A picture's key and, where it has no features yet, its square."""
        try:
            content = read_picture(raw)
            key = hashlib.sha256(content).digest()
            return key, None if self.store.place(key) is not None else self.images.decoded(content, raw)
        except DataError as error:
            if self.images.on_error == "stop":
                raise
            return error

    def _add(self, raws: Sequence[str], read: Sequence[tuple[bytes, Picture | None] | DataError]) -> None:
        """Computes the features of what was read and has none, and remembers where all of them lie."""
        new: dict[bytes, Picture] = {}
        for each in read:
            if not isinstance(each, DataError) and each[1] is not None and self.store.place(each[0]) is None:
                new[each[0]] = each[1]
        if new:
            features = self.extract(torch.from_numpy(np.stack(list(new.values()))))
            self.store.append(list(new), features.float().cpu().numpy())
        for raw, each in zip(raws, read):
            if isinstance(each, DataError):
                self._complaints[raw], self._places[raw] = str(each), None
            else:
                self._places[raw] = self.store.place(each[0])


def _ahead(
    pool: ThreadPoolExecutor, work: Callable[[str], Item], batches: Sequence[Sequence[str]]
) -> Iterator[list[Item]]:
    """The results of each batch; the next batch is worked on while the caller is busy with one."""
    waiting = pool.map(work, batches[0])
    for following in [*batches[1:], []]:
        done, waiting = waiting, pool.map(work, following)
        yield list(done)
