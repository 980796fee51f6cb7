"""Recurrent encoder-decoder models with attention: train, search, score.

model = seq2seq.load("runs/translate/latest")
model(["Ein Hund rennt."], beam_size=5)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Batch", "Hypothesis", "Memory", "Padded", "Step", "UserError", "build", "load"]

if TYPE_CHECKING:
    from seq2seq.bundle import load
    from seq2seq.config import build
    from seq2seq.errors import UserError
    from seq2seq.types import Batch, Hypothesis, Memory, Padded, Step


_HOMES = {
    "load": "bundle",
    "build": "config",
    "UserError": "errors",
    **dict.fromkeys(("Batch", "Hypothesis", "Memory", "Padded", "Step"), "types"),
}


def __getattr__(name: str) -> Any:
    # Importing torch takes a second; a command that only prints its help should not wait for it.
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module 'seq2seq' has no attribute {name!r}")
    return getattr(importlib.import_module(f"seq2seq.{_HOMES[name]}"), name)
