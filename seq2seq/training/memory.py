"""What to do when a batch does not fit into memory: halve it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

from seq2seq.errors import RowError, TrainingError

Result = TypeVar("Result")
_SIGNS = ("out of memory", "can't allocate memory", "alloc_failed")  # CUDA's, the CPU allocator's, cuBLAS's and cuDNN's


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out. torch says so by several, all of them ``RuntimeError``."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(sign in text for sign in _SIGNS)


def halves(
    indices: np.ndarray, error: Exception, *, during: str, where: Callable[[int], str], say: Callable[[str], None]
) -> list[np.ndarray]:
    """Both halves of a batch that memory ran out on.

    Args:
        indices: Of the batch's examples.
        error: What was raised.
        during: What was being done, for messages.
        where: Where an example came from.
        say: Is told.

    Raises:
        TrainingError: The batch is a single example.
    """
    place = where(int(indices[0]))
    if len(indices) == 1:
        raise TrainingError(
            f"{during}: out of memory on one example alone, {place}: use a smaller model, or leave out long examples "
            "by data.filters.max_length"
        ) from error
    say(f"{during}: out of memory on {len(indices)} examples ({place} and others); split in two")
    return np.array_split(indices, 2)


def in_parts(
    work: Callable[[np.ndarray], Result],
    indices: np.ndarray,
    *,
    during: str,
    where: Callable[[int], str],
    say: Callable[[str], None],
) -> Iterator[tuple[np.ndarray, Result]]:
    """Does work on a batch, or on parts of it that fit into memory; gives each part and its result.

    Raises:
        DataError: An example is not what was promised, with its place.
    """
    waiting = [indices]
    while waiting:
        part, failed = waiting.pop(0), None
        try:
            result = work(part)
        except RowError as error:
            raise error.placed(where(int(part[error.row]))) from None
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            failed = halves(part, error, during=during, where=where, say=say)
        # Outside of the handler, since the error there keeps alive all that the work had allocated.
        if failed is None:
            yield part, result
        else:
            waiting[:0] = failed
