"""Fields of labels: one for a whole input, or one for each of its steps."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seq2seq.errors import ConfigError, DataError, nearest
from seq2seq.types import Example, Padded

UNKNOWN = ("stop", "wrong")


class TagsField:
    """Labels, one for each step of the other side.

    Their numbers go from 0 on, the most frequent label first. Where unknown ones are let pass, they have the number
    ``size``: no model predicts it, so it counts as wrong, and in no loss.

    Args:
        unknown: What to do about a label that training has not seen: ``stop``, or count it as ``wrong``.
        labels: Their names, by number; None for those that ``learn`` finds.
        separator: What stands between two labels; the empty text where each is one character.
    """

    kept = True
    stochastic = False

    def __init__(self, *, unknown: str, labels: Sequence[str] | None = None, separator: str = " ") -> None:
        if unknown not in UNKNOWN:
            raise ConfigError(f"unknown={unknown!r}: {nearest(unknown, UNKNOWN)}")
        self.unknown, self.labels, self.separator = unknown, list(labels or []), separator
        self._ids = {label: number for number, label in enumerate(self.labels)}

    @property
    def size(self) -> int:
        """The number of labels."""
        return len(self.labels)

    @property
    def tags(self) -> list[str]:
        """Names of the labels that single steps can have."""
        return self.labels

    def marks(self, pieces: list[str]) -> list[str] | None:
        """What each step is called, given the names of all labels of an input; None where no step has a label."""
        return pieces

    def learn(self, examples: Iterable[Example]) -> None:
        """Learns the labels of the training part, the most frequent first, equally frequent ones by their names."""
        counts: Counter[str] = Counter()
        for example in examples:
            try:
                counts.update(self._split(example.src))
            except DataError as error:
                raise DataError(f"{example.where}: {error}") from error
        if not counts:
            raise DataError("no label to learn: expected at least one example with a label")
        self.labels = sorted(counts, key=lambda label: (self._of_step(label), -counts[label], label))
        self._ids = {label: number for number, label in enumerate(self.labels)}

    def prepare(self, raws: Sequence[str], say: Callable[[str], None]) -> list[bool]:
        """All can be encoded, or ``encode_all`` says which cannot."""
        return [True] * len(raws)

    def listed(self, given: str) -> None:
        """Labels are lines of a file."""

    def encode(self, raw: str) -> Tensor:
        """The numbers ``[T]`` of some labels, int64."""
        return torch.from_numpy(self.encode_all([raw])[0].astype(np.int64))

    def encode_all(self, raws: Sequence[str]) -> list[np.ndarray]:
        """The numbers ``[T]`` of the labels of each raw value, int32.

        Raises DataError for a label that training has not seen, where those are to stop.
        """
        return [np.array([self._number(label) for label in self._split(raw)], dtype=np.int32) for raw in raws]

    def sample_all(self, raws: Sequence[str], seed: int) -> list[np.ndarray]:
        """As ``encode_all``: nothing is drawn."""
        return self.encode_all(raws)

    def collate(self, encoded: Sequence[Tensor | np.ndarray]) -> Padded:
        """Labels as one batch: values ``[B, T]`` int64, 0 past the lengths ``[B]``."""
        lengths = [len(row) for row in encoded]
        values = np.zeros((len(encoded), max(lengths, default=0)), dtype=np.int64)
        for target, row, length in zip(values, encoded, lengths):
            target[:length] = row
        return Padded(torch.from_numpy(values), torch.tensor(lengths, dtype=torch.int64))

    def decode(self, tokens: Iterable[int] | Tensor) -> str:
        """The names of labels, with the separator between them."""
        return self.separator.join(self.pieces(tokens))

    def pieces(self, encoded: Iterable[int] | Tensor) -> list[str]:
        """The name of each label."""
        numbers = encoded.tolist() if isinstance(encoded, Tensor) else encoded
        return [self.labels[number] if number < self.size else "?" for number in numbers]

    def view(self, raw: str) -> None:
        """Labels are no picture."""

    def is_empty(self, encoded: Tensor | np.ndarray) -> bool:
        """Whether there is no label."""
        return len(encoded) == 0

    def fingerprint(self) -> str:
        """A hash of all that ``encode_all`` depends on."""
        names = hashlib.sha256("\0".join(self.labels).encode()).hexdigest()
        return f"{type(self).__name__}-{self.unknown}-{self.separator}-{names}"

    def save(self, folder: Path, name: str) -> dict[str, Any]:
        """The configuration, labels and all."""
        target = f"{type(self).__module__}.{type(self).__name__}"
        return {"_target_": target, "unknown": self.unknown, "labels": self.labels, "separator": self.separator}

    def _split(self, raw: str) -> list[str]:
        return raw.split(self.separator) if raw and self.separator else list(raw)

    def _of_step(self, label: str) -> bool:
        return True

    def _number(self, label: str) -> int:
        found = self._ids.get(label, self.size)
        if found == self.size and self.unknown == "stop":
            names = [name.strip() for name in self.labels if self._of_step(name) == self._of_step(label)]
            shown = nearest(label.strip(), names) if len(names) <= 100 else f"{len(names):,} labels are known"
            raise DataError(
                f"the label {label.strip()!r} was never seen in training ({shown}); mend it, or count such labels as "
                "wrong by target.unknown=wrong"
            )
        return found


class LabelField(TagsField):
    """One label for a whole input, which may have spaces in it. All else is that of ``TagsField``."""

    @property
    def tags(self) -> list[str]:
        """None: it is the input as a whole that has a label."""
        return []

    def marks(self, pieces: list[str]) -> None:
        """No step has a label."""

    def decode(self, tokens: Iterable[int] | Tensor) -> str:
        """The name of the label."""
        return "".join(self.pieces(tokens))

    def _split(self, raw: str) -> list[str]:
        return [raw]


class JointField(TagsField):
    """A label for each step and one for the whole, behind a tab: ``O O B-city<TAB>flight``.

    Encoded, the label of the whole comes first, and its numbers are lower than those of the steps. All else is that of
    ``TagsField``.
    """

    @property
    def tags(self) -> list[str]:
        """Names of the labels that single steps can have."""
        return [label for label in self.labels if self._of_step(label)]

    def marks(self, pieces: list[str]) -> list[str]:
        """What each step is called: all but the first."""
        return pieces[1:]

    def decode(self, tokens: Iterable[int] | Tensor) -> str:
        """The names of the labels, that of the whole last."""
        whole, *steps = self.pieces(tokens)
        return f"{self.separator.join(steps)}\t{whole}"

    def pieces(self, encoded: Iterable[int] | Tensor) -> list[str]:
        """The name of each label, that of the whole first."""
        return [name.removeprefix("\t") for name in super().pieces(encoded)]

    def _split(self, raw: str) -> list[str]:
        steps, tab, whole = raw.rpartition("\t")
        if not tab:
            raise DataError(
                f"the labels {raw!r} have no tab: expected one for each step, a tab, and one for the whole; give the "
                "file of those as labels=FILE, or train on steps alone (target=tags model=tagger)"
            )
        return [f"\t{whole}", *super()._split(steps)]

    def _of_step(self, label: str) -> bool:
        return not label.startswith("\t")
