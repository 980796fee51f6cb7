"""References: what predictions are compared with, one or several for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from seq2seq.errors import DataError

References: TypeAlias = Sequence[str] | Sequence[Sequence[str]]
"""For each prediction its reference, or a list of its references; such lists may differ in length"""


def grouped(predictions: Sequence[str], references: References, of: str = "") -> list[list[str]]:
    """A list of references for each prediction, one or more.

    Args:
        predictions: What is to be scored.
        references: As many entries.
        of: Ends the word "predictions" in messages: `` of`` and the name of a system.

    Raises:
        ValueError: The numbers of predictions and references differ, or there are none.
        DataError: A prediction is left without a reference.
    """
    if len(references) != len(predictions):
        raise ValueError(f"there are {len(predictions)} predictions{of} but {len(references)} references")
    if not predictions:
        raise ValueError(f"there are no predictions{of} to score")
    groups = [[entry] if isinstance(entry, str) else [*entry] for entry in references]
    for number, group in enumerate(groups, start=1):
        if not group:
            raise DataError(
                f"example {number} of {len(groups)} has no references: give it one or more, or leave it out"
            )
    return groups


def spread(groups: Sequence[Sequence[str]]) -> str:
    """How many references a prediction has, as a part of a signature: ``nrefs:5``, or ``nrefs:var`` where it varies."""
    numbers = {len(group) for group in groups}
    return f"nrefs:{numbers.pop() if len(numbers) == 1 else 'var'}"
