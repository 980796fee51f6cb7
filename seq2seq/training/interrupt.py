"""Ctrl-C that waits for the end of an update."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType


class Interrupt:
    """Within it, the first Ctrl-C (or SIGTERM) sets ``asked`` instead of stopping; the second stops at once.

    Args:
        tells: Whether to say so. Of several processes that hear the same signal, one is enough.
    """

    def __init__(self, *, tells: bool = True) -> None:
        self.asked, self._tells = False, tells
        self._kept: dict[int, object] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():  # elsewhere Python does not let handlers be set
            for number in (signal.SIGINT, signal.SIGTERM):
                self._kept[number] = signal.signal(number, self._heard)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._kept.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        if self._tells:
            # Not by print: this may come in the middle of one, which may not be entered twice.
            os.write(2, b"\nstopping after this update, with a checkpoint; once more to stop at once\n")
