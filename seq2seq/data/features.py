"""The field of features that were computed elsewhere: a file of regions for each picture."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Example, Padded

Regions = NDArray[Any]
SUFFIXES = (".npy", ".npz")
FEATURES, BOXES = ("features", "feat", "x"), ("boxes", "bbox")
"""What the arrays of a ``.npz`` may be called."""


class FeatureField:
    """A picture by the features of its regions, read from a file of its name.

    ``photos/a.jpg`` has ``a.npy`` or ``a.npz`` in the folder. A ``.npy`` holds the regions ``[S, features]``, a grid of
    them ``[h, w, features]``, or a single one ``[features]``. A ``.npz`` holds such an array, called ``features``, and
    may hold where each region lies, ``boxes [S, 4]``. The number of regions may differ from picture to picture.

    Args:
        features: Of a region.
        folder: Of the files; None where a picture is given by the path of its features.
    """

    kept = False
    """A corpus keeps the names, and reads the features whenever they are wanted."""
    stochastic = False

    def __init__(self, *, features: int, folder: str | Path | None) -> None:
        self.features, self.folder = features, None if folder is None else Path(folder)

    @property
    def size(self) -> int:
        """The features of a region."""
        return self.features

    def encode(self, raw: str) -> Tensor:
        """The regions ``[S, features]`` of a picture, float32."""
        return torch.from_numpy(self.encode_all([raw])[0].astype(np.float32))

    def encode_all(self, raws: Sequence[str]) -> list[Regions]:
        """The regions ``[S, features]`` of each picture, as precise as they were saved.

        A blank path has none. Raises DataError for a file that is missing, damaged, or of another size.
        """
        return [self._all_regions(raw) for raw in raws]

    def sample_all(self, raws: Sequence[str], seed: int) -> list[Regions]:
        """As ``encode_all``: nothing is drawn."""
        return self.encode_all(raws)

    def boxes(self, raw: str) -> Regions | None:
        """Where each region of a picture lies, ``[S, 4]`` as its file says; None where that says nothing."""
        path = self.place(raw)
        return _array(path, BOXES, optional=True) if path.suffix == ".npz" else None

    def place(self, raw: str) -> Path:
        """The file of a picture's features. Raises DataError where there is none."""
        given = Path(raw)
        if given.suffix in SUFFIXES:
            candidates = [given]
        elif self.folder is None:
            raise DataError(f"{raw}: expected a file of features ({' or '.join(SUFFIXES)}), or folder=… that has it")
        else:
            candidates = [self.folder / f"{given.stem}{suffix}" for suffix in SUFFIXES]
        for path in candidates:
            if path.is_file():
                return path
        if self.folder is not None and not self.folder.is_dir():
            raise DataError(
                f"folder={self.folder}: no such folder of features (looked in {Path.cwd()}); check the path"
            )
        raise DataError(f"{raw}: has no features, {' or '.join(map(str, candidates))} is not there; check the folder")

    def prepare(self, raws: Sequence[str], say: Callable[[str], None]) -> list[bool]:
        """Whether each picture has features: all do, or DataError is raised about the first that has none."""
        for raw in dict.fromkeys(raws):
            self.encode_all([raw])
        return [True] * len(raws)

    def learn(self, examples: Iterable[Example]) -> None:
        """Nothing."""

    def listed(self, given: str) -> list[str] | None:
        """The features of a folder, those that a pattern fits, or a single file of them; None for any other file."""
        path = Path(given)
        if path.is_dir():
            return sorted(str(each) for each in path.iterdir() if each.suffix in SUFFIXES)
        return [given] if path.suffix in SUFFIXES else None

    def collate(self, encoded: Sequence[Tensor | Regions]) -> Padded:
        """See ``collate_regions``."""
        return collate_regions(encoded, self.features)

    def decode(self, tokens: Iterable[int] | Tensor) -> Any:
        """No model writes features."""
        raise ConfigError("features are no output: put their field on the source's side")

    def pieces(self, encoded: Tensor | Regions) -> list[str]:
        """The number of each region, from 1."""
        return [str(number) for number in range(1, len(encoded) + 1)]

    def view(self, raw: str) -> None:
        """The picture is not known."""

    def is_empty(self, encoded: Tensor | Regions) -> bool:
        """Whether a picture has no region."""
        return len(encoded) == 0

    def fingerprint(self) -> str:
        """A hash of all that ``encode_all`` depends on, the files' content aside."""
        return f"features-{self.features}-{self.folder}"

    def save(self, folder: Path, name: str) -> dict[str, Any]:
        """The configuration. Where the folder is gone, pictures are given by the paths of their features."""
        place = None if self.folder is None else str(self.folder)
        return {"_target_": "seq2seq.data.features.FeatureField", "features": self.features, "folder": place}

    def _all_regions(self, raw: str) -> Regions:
        if not raw.strip():
            return np.zeros((0, self.features), dtype=np.float32)
        path = self.place(raw)
        return self._regions(path, _array(path, FEATURES))

    def _regions(self, path: Path, array: Regions) -> Regions:
        if array.dtype.kind != "f" or not 1 <= array.ndim <= 3:
            raise DataError(
                f"{path}: holds {array.dtype} of shape {list(array.shape)}: expected numbers with a point, "
                f"[regions, {self.features}]"
            )
        if array.shape[-1] != self.features:
            raise DataError(
                f"{path}: its regions have {array.shape[-1]} features, but features={self.features}: give the files "
                f"that the model was built for, or features={array.shape[-1]}"
            )
        return array.reshape(-1, self.features)


def collate_regions(encoded: Sequence[Tensor | Regions], features: int) -> Padded:
    """Regions of several pictures as one batch: values ``[B, S, features]`` float32, zeros past the lengths ``[B]``."""
    lengths = [len(regions) for regions in encoded]
    halves = len(encoded) > 0 and all(isinstance(each, np.ndarray) and each.dtype == np.float16 for each in encoded)
    # torch makes floats of halves many times faster than numpy does.
    values = np.zeros((len(encoded), max(lengths, default=0), features), np.float16 if halves else np.float32)
    for target, regions, length in zip(values, encoded, lengths):
        target[:length] = regions
    return Padded(torch.from_numpy(values).float(), torch.tensor(lengths, dtype=torch.int64))


def _array(path: Path, names: Sequence[str], *, optional: bool = False) -> Any:
    """The array of a ``.npy``, or the first of a ``.npz`` that has one of the names."""
    try:
        with path.open("rb") as file:
            found = np.load(file, allow_pickle=False)
            if isinstance(found, np.ndarray):
                return found
            for name in names:
                if name in found.files:
                    return found[name]
            if optional:
                return None
            held = ", ".join(found.files)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{path}: cannot be read as features ({reason}); compute it again") from error
    raise DataError(f"{path}: holds {held or 'nothing'}: expected an array called {names[0]}")
