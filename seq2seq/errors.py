"""The mistakes that users make, as one small tree. Their messages are single lines: what, where, what to do.

UserError                what the command line prints as one line, without a traceback
├── DataError            a file, or a line of one, is not what was promised
│   └── RowError         one example of a batch; whoever knows where it came from says so
├── ConfigError          an option, or a combination of options, that cannot work
├── BundleError          a folder that is no usable model
└── TrainingError        a run that cannot go on (not finite, out of memory, disk full)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake that the user can mend, told in one line."""


class DataError(UserError):
    """A file, or a line of one, is not what was promised."""


class RowError(DataError):
    """One example of a batch is not what was promised.

    Args:
        what: In words.
        row: Which of the batch.
    """

    def __init__(self, what: str, row: int) -> None:
        super().__init__(what)
        self.row = row

    def placed(self, where: str) -> DataError:
        """The same, with the file and line that the example came from."""
        return DataError(f"{where}: {self}")


class ConfigError(UserError):
    """An option, or a combination of options, that cannot work."""


class BundleError(UserError):
    """A folder that is no usable model."""


class TrainingError(UserError):
    """A run that cannot go on."""


def nearest(given: str, known: Iterable[str]) -> str:
    """A hint that ends an error message: the nearest known name, or all of them where none is near."""
    names = sorted(known)
    close = difflib.get_close_matches(given, names, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(names)}"
