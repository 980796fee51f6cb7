"""Measurements that are kept in a file, so that a long series can be taken in pieces, or go on where it was stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Kept:
    """What was measured, by name.

    Args:
        path: A JSON file, which may not be there yet; None to keep nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._found: dict[str, Any] = json.loads(path.read_text()) if path is not None and path.exists() else {}

    def __call__(self, name: str, measure: Callable[[], Any]) -> Any:
        """A measurement, taken now if it is not there."""
        if name not in self._found:
            self._found[name] = measure()
            if self._path is not None:
                self._path.write_text(json.dumps(self._found, indent=1))
        return self._found[name]
