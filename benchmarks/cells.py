"""Whole sequences through torch's kernel for a cell, beside the loop over the cell's own steps.

    python benchmarks/cells.py
    python benchmarks/cells.py --rows 16 --steps 100 --hidden 64 128

Prints what share of the loop's time the kernel takes, in reading (no gradients) and in training (there and back), in
fp32 and, for LSTMs, in bfloat16. Both take turns; times are the processor's, on one thread, so that other programs do
not count; medians. The kernel is run here even where the toolkit would rather loop (``nn.fused.TRAINS``).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch

from seq2seq.nn import fused
from seq2seq.nn.cells import CELLS, Cell
from seq2seq.types import Padded

KINDS = {"lstm": ("fp32", "bf16"), "gru": ("fp32",), "elman": ("fp32",)}
"""The cells that have a kernel, and the precisions in which it stands in for the loop on a CPU"""


@contextmanager
def by(way: str) -> Iterator[None]:
    """Has cells run by their ``kernel`` or by the ``loop``, whatever the toolkit would choose."""
    kernel = (lambda cell, *_: type(cell).kernel) if way == "kernel" else (lambda *_: None)
    with patch.object(fused, "fitting", kernel):
        yield


def run(cell: Cell, inputs: Padded, precision: str, training: bool) -> None:
    """The sequences once, and back where it trains."""
    bf16 = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")
    with torch.set_grad_enabled(training), bf16:
        outputs, _ = cell.unroll(inputs, cell.start(len(inputs.lengths)))
    if training:
        cell.zero_grad(set_to_none=True)
        outputs.sum().backward()


def share(cell: Cell, inputs: Padded, precision: str, training: bool, rounds: int) -> float:
    """The kernel's time as a share of the loop's."""
    taken: dict[str, list[float]] = {"kernel": [], "loop": []}
    for turn in range(rounds + 1):  # the first is not counted
        for way, times in taken.items():
            with by(way):
                begun = time.process_time()
                run(cell, inputs, precision, training)
                if turn:
                    times.append(time.process_time() - begun)
    return statistics.median(taken["kernel"]) / statistics.median(taken["loop"])


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="torch's kernels for cells, beside the loop over their steps")
    parser.add_argument("--hidden", type=int, nargs="+", default=[32, 128, 256, 512], help="features (%(default)s)")
    parser.add_argument("--rows", type=int, default=64, help="sequences (%(default)s)")
    parser.add_argument("--steps", type=int, default=30, help="of the longest; others are shorter (%(default)s)")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each (%(default)s)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    lengths = torch.randint(max(1, given.steps // 2), given.steps + 1, (given.rows,))
    lengths[0] = given.steps
    columns = [(kind, precision) for kind, precisions in KINDS.items() for precision in precisions]
    print(f"{'features':>8}" + "".join(f"{kind + ' ' + precision:>22}" for kind, precision in columns))
    print(f"{'':>8}" + f"{'reading':>12}{'training':>10}" * len(columns))
    for hidden in given.hidden:
        inputs = Padded(torch.randn(given.rows, given.steps, hidden), lengths)
        line = f"{hidden:>8}"
        for kind, precision in columns:
            cell = CELLS[kind](input_dim=hidden, hidden_dim=hidden)
            for training, width in ((False, 12), (True, 10)):
                line += f"{share(cell, inputs, precision, training, given.rounds):>{width}.2f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
