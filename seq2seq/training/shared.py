"""Memory that the processes of one machine have in common."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from seq2seq.training.distributed import Processes

FOLDER = Path("/dev/shm")
"""Where Linux keeps files in memory; other systems have no such place, and their processes send what they add up"""


class Shared:
    """A row of numbers of each process, where all of them can read it.

    Sockets copy every number several times; here it is read once where it is added.

    Args:
        rows: ``[processes, numbers]``, the same memory in all of them.
        processes: Which they are.
    """

    def __init__(self, rows: Tensor, *, processes: Processes) -> None:
        self._rows, self._processes = rows, processes
        self.own = rows[processes.rank]
        """This process's row, ``[numbers]``"""

    def add(self) -> None:
        """Puts the sum of all rows into each of them: every process adds up a part, and takes the rest from the others.

        All read the same sums, so that their rows are equal to the last bit.
        """
        size, rank = self._processes.size, self._processes.rank
        parts = [row.tensor_split(size) for row in self._rows]
        others = [other for other in range(size) if other != rank]
        self._processes.meet()  # every row is there
        for other in others:
            parts[rank][rank].add_(parts[other][rank])
        self._processes.meet()  # every sum is there
        for other in others:
            parts[rank][other].copy_(parts[other][other])
        self._processes.meet()  # nobody reads any more what its owner may now change


def shared(numbers: int, dtype: torch.dtype, *, processes: Processes) -> Shared | None:
    """Rows of so many numbers each.

    Returns:
        None, in all processes alike, where they are on several machines, or there is no room.
    """
    path = processes.once(lambda: _room(numbers * processes.size * dtype.itemsize))
    if path is None:
        return None
    rows = None
    with suppress(OSError, RuntimeError):
        if path.exists():  # what is missing would be made
            rows = torch.from_file(str(path), shared=True, size=numbers * processes.size, dtype=dtype)
    try:
        everywhere = all(processes.gather(rows is not None))
    finally:
        if processes.first:
            path.unlink()  # it stays for those that have it mapped, and goes with the last of them
    if rows is None or not everywhere:
        return None
    return Shared(rows.view(processes.size, numbers), processes=processes)


def _room(size: int) -> Path | None:
    """A file of so many bytes, which are really there: memory that is promised only kills who writes to it."""
    if not FOLDER.is_dir():
        return None
    try:
        descriptor, name = tempfile.mkstemp(prefix="seq2seq-", dir=FOLDER)
    except OSError:
        return None
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError:
        Path(name).unlink()
        return None
    finally:
        os.close(descriptor)
    return Path(name)
