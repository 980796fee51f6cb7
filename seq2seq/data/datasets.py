"""Datasets: what training, validation and batching see of the data, and how a reader becomes one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from seq2seq.data.batching import Lengths
from seq2seq.data.corpus import Corpus, Successive
from seq2seq.data.fields import Fields
from seq2seq.data.filters import Filters
from seq2seq.data.mixture import Mixture
from seq2seq.data.permutation import Indices
from seq2seq.data.readers import Reader
from seq2seq.data.recast import Following, Joined, Several
from seq2seq.data.windows import Windows
from seq2seq.errors import ConfigError
from seq2seq.types import Batch, Example

__all__ = ["Corpus", "Dataset", "Filters", "Mixture", "open_dataset"]


class Dataset(Lengths, Protocol):
    """Examples by their index, from 0 on. ``Corpus``, ``Mixture`` and ``Windows`` are datasets."""

    carries: bool
    """Whether examples go on from others, so that a model carries its state from batch to batch: ``Batch.follows``"""

    def example(self, index: int) -> Example:
        """One example as it was read."""
        ...

    def where(self, index: int) -> str:
        """Where one example came from, for messages: ``train.de:17``."""
        ...

    def batch(self, indices: Sequence[int] | Indices, seed: int | None = None) -> Batch:
        """Some examples, collated by their fields; with a seed, what is stochastic about them is drawn by it."""
        ...


def open_dataset(
    reader: Reader, fields: Fields, cache: Path, *, filters: Filters | None, name: str, say: Callable[[str], None]
) -> Dataset:
    """A reader's examples, encoded, filtered and mixed.

    Args:
        reader: gives the examples; those of ``Several`` readers become a mixture, ``Joined`` ones windows, and those
            that are ``Following`` each other carry a state.
        fields: encode the two sides.
        cache: a folder for encoded corpora, shared by all runs.
        filters: which pairs are left out; None keeps all.
        name: what messages call these data, for example ``train``.
        say: is told, in lines, what takes long and what is left out.

    Raises:
        DataError: a file that is not what was promised, no examples, or none left.
    """
    if isinstance(reader, (Following, Joined)) and filters is not None:
        raise ConfigError("data.filters: examples that go on from each other cannot be filtered: filters=null")
    if isinstance(reader, Following):
        return Successive.following(reader, fields, cache, say)
    if isinstance(reader, Joined):
        return Windows.open(reader, fields, cache, name=name, say=say)
    if isinstance(reader, Several):
        names = [f"{name}[{number}]" for number in range(len(reader.readers))]
        corpora = [_opened(each, fields, cache, filters, part, say) for each, part in zip(reader.readers, names)]
        return Mixture(corpora=corpora, weights=reader.weights)
    return _opened(reader, fields, cache, filters, name, say)


def _opened(
    reader: Reader, fields: Fields, cache: Path, filters: Filters | None, name: str, say: Callable[[str], None]
) -> Corpus:
    corpus = Corpus.open(reader, fields, cache, say)
    return corpus if filters is None else corpus.filtered(filters, name=name, say=say)
