"""Batches made in the background, where making them would keep the training waiting."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from seq2seq.types import Batch

WORTH = 0.02
"""Share of an update's time from which on making its batches is done beside it. Text takes 0.1 %, photos far more"""

Wanted = tuple[np.ndarray, int]
"""The indices of a batch's examples, and the seed of what is drawn about them"""


class Ahead:
    """Makes batches, where that takes long a few ahead in a thread; which they are, it is told.

    A batch depends on its examples and its seed alone, so that those made ahead equal those made when wanted.

    Args:
        make: From indices and a seed to a batch.
    """

    def __init__(self, make: Callable[[np.ndarray, int], Batch]) -> None:
        self._make = make
        self._thread: ThreadPoolExecutor | None = None
        self._coming: dict[tuple[bytes, int], Future[Batch]] = {}
        self._making = 0.0
        self._since = time.perf_counter()

    def take(self, indices: np.ndarray, seed: int) -> Batch:
        """A batch. What went wrong when it was made is raised here."""
        coming = self._coming.pop((indices.tobytes(), seed), None)
        return self._made(indices, seed) if coming is None else coming.result()

    def expect(self, now: list[Wanted], following: list[Wanted]) -> None:
        """Called at the beginning of each update: which batches it is made of, and which come in the next one.

        Those are begun in the background if making batches took worth a thread since the last call.
        """
        began, self._since = self._since, time.perf_counter()
        slow, self._making = self._making > WORTH * (self._since - began), 0.0
        still = {(indices.tobytes(), seed) for indices, seed in now}
        for key in self._coming.keys() - still:  # not taken after all: memory ran out, and the batch was split
            self._coming.pop(key).cancel()
        if slow:
            self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="batches")
            for indices, seed in following:
                self._coming[indices.tobytes(), seed] = self._thread.submit(self._made, indices, seed)

    def _made(self, indices: np.ndarray, seed: int) -> Batch:
        began = time.perf_counter()
        batch = self._make(indices, seed)
        self._making += time.perf_counter() - began
        return batch
