"""Why gates matter: cells side by side, and how far back in time the gradient of each reaches.

    python recipes/gates/gates.py
    python recipes/gates/gates.py threads=1 --tasks recall --cells elman lstm --updates 300 --output runs/gates-300

Each cell is trained on each task with and without clipping, by ``python -m seq2seq.train``. Then the loss of the last
step is taken back in time, and the norm of its gradient with respect to the state after every step is kept: over a
distance at which it is nothing, nothing is learned. ``gates.png`` draws that, and ``gates.md`` has the table. A run
that is there already is not trained again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import torch
from omegaconf import OmegaConf
from torch import Tensor
from torch.nn import functional as F

import seq2seq
from seq2seq import inputs
from seq2seq.data.datasets import open_dataset
from seq2seq.errors import DataError, UserError
from seq2seq.nn.cells import CELLS, Cell
from seq2seq.trained import Model
from seq2seq.types import Batch, Padded

EXAMPLES = 64
"""Over so many the norms are averaged"""
BACK = (10, 25, 50)
"""Steps, at which the table says what is left of the gradient"""
STDERR = 2
"""Where the runs say how far they are, beside the table"""
CLIPS = {"clipped": "1.0", "not clipped": "null"}


class Task(NamedTuple):
    """A recipe that cells are compared by."""

    cell: str
    """The option that chooses the cell"""
    layer: str
    """The cell's name in the network"""
    metric: str
    """What the table tells"""
    last: Callable[[Model, Batch], Tensor]
    """The loss of the last step alone, summed over a batch"""
    updates: int
    options: tuple[str, ...] = ()


def whole(model: Model, batch: Batch) -> Tensor:
    """The loss where all of it comes after the last step."""
    return model.task().loss(model.network, batch).total


def last_token(model: Model, batch: Batch) -> Tensor:
    """The loss of the last token of windows of a text."""
    window = batch.tgt
    outputs, _ = model.network.unroll(Padded(window.values[:, :-1], window.lengths - 1))
    rows, ends = torch.arange(len(window.lengths)), window.lengths - 1
    return F.cross_entropy(model.network.logits(outputs[rows, ends - 1]), window.values[rows, ends], reduction="sum")


ENCODER = ("model.encoder.recurrent.cell", "encoder.recurrent.layers.0.0")
ONE_WAY = ("model.encoder.recurrent.bidirectional=false", "model/head/pooling=last")
TASKS = {
    "recall": Task(*ENCODER, "exact_match", whole, 600),
    "digits": Task(*ENCODER, "accuracy", whole, 500, ONE_WAY),
    "write": Task("model.recurrent.cell", "recurrent.layers.0.0", "bits_per_character", last_token, 300),
}


class Found(NamedTuple):
    """What came of one run."""

    score: float
    seconds: float
    norms: list[float]
    """By the distance from the last step, 0 first"""


def main(arguments: list[str] | None = None) -> int:
    """Runs the script; returns its exit status."""
    parser = argparse.ArgumentParser(description="Train cells on tasks, and see how far back their gradients reach.")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS, metavar="TASK", help="of %(choices)s")
    parser.add_argument("--cells", nargs="+", default=["elman", "gru", "lstm"], choices=CELLS, metavar="CELL")
    parser.add_argument("--updates", type=int, help="of each run, instead of the task's own number")
    parser.add_argument("--output", type=Path, default=Path("runs/gates"), help="a folder (%(default)s)")
    parser.add_argument("options", nargs="*", help="more options of training, such as threads=1")
    options = parser.parse_args(arguments)
    found: dict[tuple[str, str, str], Found] = {}
    try:
        for task in options.tasks:
            for cell in options.cells:
                for clip in CLIPS:
                    found[task, cell, clip] = ran(task, cell, clip, options)
                    print(row(task, cell, clip, found[task, cell, clip]), flush=True)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    lines = [HEAD, *(row(*names, each) for names, each in found.items())]
    (options.output / "gates.md").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    draw(found, options.output / "gates.png")
    print(f"{options.output / 'gates.png'} and {options.output / 'gates.md'} are there")
    return 0


def ran(name: str, cell: str, clip: str, options: argparse.Namespace) -> Found:
    """Trains one cell on one task, unless that was done before, and looks back in time."""
    task, run = TASKS[name], options.output / f"{name}-{cell}-{clip.replace(' ', '-')}"
    updates = task.updates if options.updates is None else options.updates
    told = " ".join([str(updates), *options.options])
    if (run / "finished").exists():
        if finished(run)[1] != told:
            raise DataError(f"{run}: was trained for other updates or with other options: give another --output")
    else:
        chosen = [f"recipe={name}", f"{task.cell}={cell}", f"trainer.clip_norm={CLIPS[clip]}", f"run={run}"]
        length = [f"trainer.max_updates={updates}", f"trainer.validate_every={updates}"]
        began = time.monotonic()
        command = [sys.executable, "-m", "seq2seq.train", *chosen, *length, *task.options, *options.options]
        if subprocess.run(command, stdout=STDERR).returncode:
            raise DataError(f"{run}: the training did not come to its end; what it said stands above")
        (run / "finished").write_text(f"{time.monotonic() - began:.0f} {told}")
    model = seq2seq.load(run, device="cpu")
    tested = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    score = next(figures[task.metric] for figures in tested if figures["split"] == "test")
    return Found(score, finished(run)[0], norms(model, task, examples(model)))


def finished(run: Path) -> tuple[float, str]:
    """The seconds that a run took, and the updates and options that it was asked for."""
    seconds, _, told = (run / "finished").read_text().partition(" ")
    return float(seconds), told


def examples(model: Model) -> Batch:
    """Some examples of the test part of the data that a model was trained with."""
    reader = inputs.reader_of(model, OmegaConf.create({"split": "test"}))
    with tempfile.TemporaryDirectory() as cache:
        data = open_dataset(reader, model.fields, Path(cache), filters=None, name="test", say=lambda _: None)
        return data.batch(range(min(EXAMPLES, len(data)))).to(model.device)


def norms(model: Model, task: Task, batch: Batch) -> list[float]:
    """The norm of the gradient of the last loss with respect to the state after each step, the last step first.

    A state is all that a cell carries; the norm is that of one example, averaged over them.
    """
    cell: Any = model.network.get_submodule(task.layer)
    with watched(cell) as states:
        task.last(model, batch).backward()
    squares = [sum(part.grad.square().sum(1) for part in state if part.grad is not None) for state in states]
    return [float(torch.as_tensor(each).sqrt().mean()) for each in reversed(squares)]


@contextmanager
def watched(cell: Cell) -> Iterator[list[tuple[Tensor, ...]]]:
    """Within it, the states that a cell goes through are kept, and their gradients too."""
    kind, states = type(cell), list[tuple[Tensor, ...]]()

    def step(*given: Any) -> tuple[Tensor, ...]:
        state = kind.step(*given)
        for part in state:
            part.retain_grad()
        states.append(state)
        return state

    # A class with a step of its own goes step by step, whatever else a cell can do.
    cell.__class__ = type(kind.__name__, (kind,), {"step": step, "unroll": Cell.unroll})
    try:
        yield states
    finally:
        cell.__class__ = kind


HEAD = f"""| task | cell | | score | {" | ".join(f"gradient {back} steps back" for back in BACK)} | seconds |
|---|---|---|---|{"---|" * len(BACK)}---|"""


def row(task: str, cell: str, clip: str, found: Found) -> str:
    """A line of the table. The gradients are shares of that at the last step."""
    shares = [
        f"{found.norms[back] / found.norms[0]:.1e}" if back < len(found.norms) and found.norms[0] else ""
        for back in BACK
    ]
    score = f"{TASKS[task].metric} {found.score:.4g}"
    return f"| {task} | {cell} | {clip} | {score} | {' | '.join(shares)} | {found.seconds:.0f} |"


def draw(found: dict[tuple[str, str, str], Found], target: Path) -> None:
    """The gradient's norm against the distance in time: a panel for each task, a line for each run."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    tasks, cells = ([*dict.fromkeys(names[place] for names in found)] for place in (0, 1))
    figure, panels = pyplot.subplots(1, len(tasks), figsize=(6 * len(tasks), 4.2), squeeze=False, layout="constrained")
    for task, panel in zip(tasks, panels[0]):
        for (name, cell, clip), each in found.items():
            if name == task:
                style, colour = "-" if clip == "clipped" else "--", f"C{cells.index(cell)}"
                panel.semilogy(each.norms, style, color=colour, label=f"{cell}, {clip} ({each.score:.3g})")
        panel.set(
            title=task, xlabel="steps back from the last", ylabel="norm of the gradient with respect to the state"
        )
        panel.legend(fontsize="small", title=TASKS[task].metric)
    figure.savefig(target, dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    sys.exit(main())
