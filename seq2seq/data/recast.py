"""Readers of what other readers give, in another form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from seq2seq.data.readers import Reader, joint_hash
from seq2seq.errors import ConfigError
from seq2seq.types import Example


class Grouped:
    """Another reader's examples, those in a row that have the same source made one: each target is equally right.

    Args:
        reader: whose examples.
    """

    def __init__(self, *, reader: Reader) -> None:
        self.reader = reader

    def __iter__(self) -> Iterator[Example]:
        for src, examples in groupby(self.reader, key=lambda example: example.src):
            same = list(examples)
            yield Example(src, tuple(example.tgt for example in same), same[0].where)

    def fingerprint(self) -> str:
        """A hash of what the reader depends on."""
        return joint_hash(["grouped", self.reader.fingerprint()])


class Several:
    """Several readers as one. As a dataset they are a mixture, each drawn from as often as its weight says.

    Args:
        readers: what is read, one after the other.
        weights: how many times an epoch holds each example of a reader; 0.5 takes another half every epoch.
    """

    def __init__(self, *, readers: Sequence[Reader], weights: Sequence[float]) -> None:
        if len(readers) != len(weights) or not readers:
            raise ConfigError(f"a weight is needed for each reader: {len(readers)} readers, {len(weights)} weights")
        self.readers, self.weights = list(readers), list(weights)

    def __iter__(self) -> Iterator[Example]:
        for reader in self.readers:
            yield from reader

    def fingerprint(self) -> str:
        """A hash of what the readers depend on; weights change no example."""
        return joint_hash(["several", *(reader.fingerprint() for reader in self.readers)])


class Joined:
    """The targets of a reader's examples as one long text. As a dataset they are windows of it, see ``data.windows``.

    Args:
        reader: gives the texts; each is followed by eos.
        window: tokens of a window.
        prompt: tokens before a window that are its source, for predictions of it.
    """

    def __init__(self, *, reader: Reader, window: int, prompt: int) -> None:
        if window < 1 or prompt < 0:
            raise ConfigError(f"{window=}, {prompt=}: a window has 1 token or more, a prompt 0 or more")
        self.reader, self.window, self.prompt = reader, window, prompt

    def __iter__(self) -> Iterator[Example]:
        return iter(self.reader)

    def fingerprint(self) -> str:
        """The reader's: how the text is cut changes nothing that is kept."""
        return self.reader.fingerprint()


class Following:
    """A reader whose examples go on from each other, as the windows of a long series do: a model carries its state.

    Args:
        reader: gives the examples.
        every: how many go on from each other before one begins anew; None for all.
    """

    def __init__(self, *, reader: Reader, every: int | None) -> None:
        if every is not None and every < 1:
            raise ConfigError(f"every={every}: expected how many examples go on from each other, 1 or more, or null")
        self.reader, self.every = reader, every

    def __iter__(self) -> Iterator[Example]:
        return iter(self.reader)

    def fingerprint(self) -> str:
        """The reader's: who follows whom changes nothing that is kept."""
        return self.reader.fingerprint()
