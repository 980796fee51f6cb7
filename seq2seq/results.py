"""What a trained model is worth, in figures and pictures."""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from seq2seq import bundle
from seq2seq.config import build
from seq2seq.drawing import draw_all, draw_progress
from seq2seq.errors import ConfigError, DataError
from seq2seq.inputs import remembered
from seq2seq.models.inference import resolved
from seq2seq.runs import record, settle

PICTURES = "pictures"
"""The folder of a run's pictures of its predictions."""

if TYPE_CHECKING:
    import torch

    from seq2seq.data.batching import Batching
    from seq2seq.data.readers import Reader
    from seq2seq.trained import Model
    from seq2seq.training.logging import RunLog
    from seq2seq.training.validation import Validation


def open_model(config: DictConfig) -> Model:
    """The trained model that a command was given, on the device that it was asked for."""
    import torch

    device = settle(config, local_rank=int(os.environ.get("LOCAL_RANK", "0")))
    if config.matmul_precision is None and resolved(config.precision, device) == "int8":
        torch.set_float32_matmul_precision("highest")  # only the small ones of attention are left
    shortlist = config.get("shortlist") or False
    if not isinstance(shortlist, bool):
        raise ConfigError(f"shortlist={shortlist}: expected true or false")
    options = {"precision": config.precision, "shortlist": shortlist, "trust": config.trust}
    model = bundle.load(config.model, device=str(device), **options)
    record(config, model.network, device)
    return model


def evaluate(model: Model, reader: Reader, *, task: Any = None, say: Callable[[str], None]) -> Validation:
    """What a model is worth on the pairs of a reader, by the path that validation takes in training."""
    from seq2seq.data.datasets import open_dataset
    from seq2seq.training.validation import validate

    with tempfile.TemporaryDirectory() as cache:
        data = open_dataset(reader, model.fields, Path(cache), filters=None, name="pairs", say=say)
        return validate(model.network, task or model.task(), data, batching(model), say=say)


def batching(model: Model) -> Batching:
    """How many examples are put to a model at a time: as in its training."""
    return build(OmegaConf.load(model.folder / bundle.RUN).trainer.batching, at="trainer.batching", trusted=model.trust)


def finish(config: DictConfig, folder: Path, best: Path, log: RunLog, device: torch.device) -> None:
    """Scores the best checkpoint on the test part and draws the run's pictures."""
    from seq2seq.plots import draw_curves
    from seq2seq.training.validation import told

    # It names what this very process was told to build it from.
    model = bundle.load(best, device=str(device), trust=None)
    model.fields = remembered(config, model.network, model.fields, log.say)
    if config.data.test is not None:
        reader = build(config.data.test, at="data.test")
        try:
            with log.aside("testing"):
                seen = evaluate(model, reader, say=log.say)
        except DataError as error:  # what was trained is there all the same
            log.say(f"no test: {error}")
        else:
            log.say(f"test, with the best checkpoint ({best.name}): {told(seen.figures)}")
            log.metrics(int(best.name), "test", seen.figures)
            examples = list(itertools.islice(reader, config.trainer.examples))
            found = model.predict([example.src for example in examples], attention=True)
            draw_all(model, examples, found, folder / PICTURES, log.say)
            for predictions in found[:1]:
                draw_progress(predictions[0], model, folder)
    draw_curves(folder / "metrics.jsonl", folder / "curves.png")
    pictures = [path.name for path in (*sorted(folder.glob("*.png")), *folder.glob("*.gif"), folder / PICTURES)]
    pictures = [name for name in pictures if (folder / name).exists()]
    log.say(f"the model is in {folder}, its pictures are {' and '.join(pictures)}")


def to_stderr(text: str) -> None:
    """Says something where it does not mix with a command's output."""
    print(text, file=sys.stderr, flush=True)
