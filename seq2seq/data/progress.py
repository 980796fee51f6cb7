"""What somebody who waits is shown."""

from __future__ import annotations

import time
from collections.abc import Callable

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """A bar in a terminal, a line now and then elsewhere; neither for what takes less than a second or so.

    Args:
        verb: What is being done, as in ``encoding``.
        done: What has been done, as in ``encoded``.
        unit: To what, as in ``examples``.
        total: How many there are; None where that is not known.
        say: Is told the lines.
    """

    def __init__(self, *, verb: str, done: str, unit: str, total: int | None, say: Callable[[str], None]) -> None:
        self._bar = tqdm(total=total, desc=verb, unit=f" {unit}", unit_scale=True, delay=1.0, disable=None, leave=False)
        self._words, self._total, self._say = (done, unit), total, say
        self._said, self._count = time.monotonic(), 0

    def advance(self, count: int) -> None:
        """So many more are done."""
        self._count += count
        self._bar.update(count)
        if self._bar.disable and time.monotonic() - self._said > _SECONDS_BETWEEN_LINES:
            of = "" if self._total is None else f" of {self._total:,}"
            self._say(f"{self._words[0]} {self._count:,}{of} {self._words[1]}")
            self._said = time.monotonic()

    def close(self) -> None:
        """Takes the bar away."""
        self._bar.close()
