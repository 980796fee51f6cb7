"""Batches made in the background: the same ones, only where it is worth it, with their mistakes."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from seq2seq.training import ahead
from seq2seq.training.ahead import Ahead
from seq2seq.types import Batch

ONE, TWO, THREE = (np.array(rows) for rows in ([1, 5], [2], [3, 4]))


class Maker:
    """Says which batches were made where."""

    def __init__(self) -> None:
        self.made: list[tuple[list[int], int, str]] = []

    def __call__(self, indices: np.ndarray, seed: int) -> Batch:
        self.made.append((indices.tolist(), seed, threading.current_thread().name.partition("_")[0]))
        if 2 in indices and seed == 8:
            raise ValueError("train.de:2 cannot be read")
        return Batch(torch.tensor(indices) * seed, None, indices.tolist())


def test_what_makes_the_step_wait_is_made_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "WORTH", 0.0)
    make = Maker()
    batches = Ahead(make)
    batches.expect([(ONE, 7)], [(TWO, 9), (THREE, 9)])  # nothing is known yet
    assert batches.take(ONE, 7).src.tolist() == [7, 35]
    batches.expect([(TWO, 9), (THREE, 9)], [(ONE, 10)])
    assert [batches.take(rows, 9).src.tolist() for rows in (TWO, THREE)] == [[18], [27, 36]]
    batches.expect([(ONE, 10)], [])
    assert batches.take(ONE, 10).src.tolist() == [10, 50]
    assert [made for made in make.made if made[2] == "batches"] == [([1, 5], 10, "batches")]
    assert len(make.made) == 4
    assert batches.take(ONE, 10).src.tolist() == [10, 50], "an update begun anew has the same batch"


def test_what_is_made_quickly_is_made_when_wanted() -> None:
    make = Maker()
    batches = Ahead(make)
    for seed in range(5):
        batches.expect([(ONE, seed)], [(ONE, seed + 1)])
        batches.take(ONE, seed)
        threading.Event().wait(0.05)
    assert {name for *_, name in make.made} == {"MainThread"}


def test_a_mistake_is_told_when_its_batch_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "WORTH", 0.0)
    batches = Ahead(Maker())
    batches.expect([(ONE, 7)], [])
    batches.take(ONE, 7)
    batches.expect([], [(TWO, 8), (THREE, 8)])
    with pytest.raises(ValueError, match=r"train\.de:2 cannot be read"):
        batches.take(TWO, 8)
    assert batches.take(THREE, 8).src.tolist() == [24, 32]
