"""What several tests share: a model that has been trained by the command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from seq2seq.data.builtin.phrases import Phrases
from tests.commands import TINY, command

# The suite runs in as many processes as there are cores; more threads than that only wait for each other.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")


class Trained(NamedTuple):
    """A run, and the files that it was trained and validated on."""

    run: Path
    src: Path
    tgt: Path
    home: Path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A small model that has seen twelve sentences often enough to say something different about each."""
    home = tmp_path_factory.mktemp("trained")
    pairs = list(Phrases(part="train", size=12, seed=1))
    src, tgt = home / "some.de", home / "some.en"
    src.write_text("".join(f"{pair.src}\n" for pair in pairs), encoding="utf-8")
    tgt.write_text("".join(f"{pair.tgt}\n" for pair in pairs), encoding="utf-8")
    files = [f"data.{part}.{side}={path}" for part in ("train", "valid") for side, path in (("src", src), ("tgt", tgt))]
    result = command(
        "train",
        "recipe=translate",
        "data=text",
        *files,
        *TINY,
        "run=run",
        "trainer.max_updates=60",
        "trainer.validate_every=20",
        "trainer.checkpoint_every=10",
        "trainer.keep_last=3",
        "trainer.keep_best=2",
        "trainer.examples=2",
        "trainer.metric=bleu",
        "trainer.mode=max",
        "search=beam",
        "optimizer.lr=0.002",  # slow enough to leave mistakes for the scores to count
        cwd=home,
    )
    assert result.code == 0, result.err
    return Trained(home / "run", src, tgt, home)
