"""Time and memory of training and decoding as one size grows and the others stay, beside what theory lets them grow.

    python benchmarks/curves.py --plot curves.png
    python benchmarks/curves.py --only beam vocabulary

Each point is a process of its own, so that its peak memory is its own; times are processor times, in which other
programs do not count, and the least of some repetitions. "grows" is the exponent between neighbouring points, the slope
of the curve in the picture, where both axes are logarithmic: 1 is in proportion, 0 not at all. "theory" is the exponent
that the equations give for the far end; a curve may lie below it (what does not grow with a size costs something too)
and must not lie above it. The network is that of speed.py with a fourth of its features, unless --hidden says more.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import math
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.kept import Kept


class Curve(NamedTuple):
    """What grows, where it is measured, and how fast time and memory may grow with it."""

    what: str
    sizes: Sequence[int]
    unit: str
    """What the time is of"""
    theory: tuple[float, float]
    """Exponents of time and of the memory above that of the smallest size"""
    why: str


CURVES = {
    "corpus": Curve(
        "lines of the corpus", (10_000, 100_000, 1_000_000), "line, encoded and read once", (0, 0), "a line is a line"
    ),
    "train_length": Curve(
        "source and target length", (10, 25, 50, 100, 200, 400), "sentence trained", (2, 2), "S + T steps; S·T weights"
    ),
    "decode_length": Curve(
        "source length", (10, 25, 50, 100, 200, 400), "sentence decoded", (2, 1), "S steps, each attends to S"
    ),
    "train_vocabulary": Curve(
        "vocabulary", (1_000, 4_000, 16_000, 64_000), "update of 1,024 tokens", (1, 1), "logits and tables of V rows"
    ),
    "decode_vocabulary": Curve(
        "vocabulary", (1_000, 4_000, 16_000, 64_000), "sentence decoded", (1, 1), "logits and tables of V rows"
    ),
    "beam": Curve("beam", (1, 2, 4, 8, 16, 32), "sentence decoded", (2, 1), "K rows, K of whose K² candidates go on"),
    "train_batch": Curve(
        "sentences in a batch", (4, 16, 64, 256), "sentence trained", (0, 1), "rows share their steps"
    ),
    "decode_batch": Curve("sentences in a batch", (1, 4, 16, 64, 256), "sentence decoded", (0, 1), "likewise"),
}


def sentences(count: int, length: int, vocab: int) -> Any:
    """Random tokens as one batch."""
    import torch

    from seq2seq.types import Padded

    generator = torch.Generator().manual_seed(1)
    return Padded(torch.randint(4, vocab, (count, length), generator=generator), torch.full((count,), length))


def training(hidden: int, *, rows: int, length: int, vocab: int) -> Callable[[], None]:
    """Makes what makes an update."""
    import torch

    from benchmarks import speed
    from benchmarks.plain import shifted
    from seq2seq.nn.objective import CrossEntropy

    model, objective = speed.network(vocab=vocab, hidden=hidden), CrossEntropy(label_smoothing=0.1)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    batch = sentences(rows, length, vocab)

    def update() -> None:
        optimizer.zero_grad(set_to_none=True)
        outputs = model(batch, shifted(batch)).outputs
        objective.through(model.decoder.output, outputs[batch.mask], batch.values[batch.mask]).total.backward()
        optimizer.step()

    return update


def decoding(hidden: int, *, rows: int, length: int, vocab: int, beam: int) -> Callable[[], None]:
    """Makes what decodes a batch, each output as long as its source."""
    import torch

    from benchmarks import speed
    from seq2seq.models.inference import for_inference
    from seq2seq.search.beam import BeamSearch
    from seq2seq.search.limits import Limits
    from seq2seq.search.scoring import GNMT

    model = for_inference(speed.network(vocab=vocab, hidden=hidden).eval().requires_grad_(False), "auto")
    limits, batch = Limits(max_ratio=1.0, max_extra=0, min_ratio=1.0), sentences(rows, length, vocab)
    search = BeamSearch(limits=limits, beam_size=beam, length_penalty=GNMT(alpha=1.0))

    def decode() -> None:
        with torch.inference_mode():
            step, state = model.begin(model.encode(batch))
            search(step, state, bos_id=2, eos_id=3, src_lengths=batch.lengths)

    return decode


def corpus(lines: int) -> tuple[float, float]:
    """Encodes a corpus and reads it once in batches; seconds a line, and peak memory in MB."""
    from benchmarks import corpus_memory

    with tempfile.TemporaryDirectory() as name:
        before = multiprocessing.get_context("spawn").Process(target=corpus_memory.prepare, args=(Path(name), lines))
        before.start()
        before.join()
        began = time.process_time()
        corpus_memory.measure(Path(name))
        return (time.process_time() - began) / lines, peak()


def point(name: str, size: int, hidden: int) -> tuple[float, float]:
    """Seconds of a unit, and peak memory in MB."""
    import torch

    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("medium")
    if name == "corpus":
        return corpus(size)
    kind, _, grows = name.rpartition("_")
    given = {"rows": 32, "length": 16, "vocab": 4000}
    given["length" if grows == "length" else "vocab" if grows == "vocabulary" else "rows"] = size
    if grows == "beam":
        kind, given["rows"] = "decode", 32
    if name == "train_vocabulary":
        given["rows"] = 64
    beam = size if grows == "beam" else 5
    work = training(hidden, **given) if kind == "train" else decoding(hidden, **given, beam=beam)
    units = 1 if name == "train_vocabulary" else given["rows"]
    work()
    took = []
    while len(took) < 3 or (sum(took) < 0.5 and len(took) < 20):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return min(took) / units, peak()


def peak() -> float:
    """Of this process's memory, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(name: str, size: int, hidden: int) -> tuple[float, float]:
    """A point, by a process of its own."""
    command = [sys.executable, __file__, "--hidden", str(hidden), "--one", name, str(size)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    seconds, megabytes = map(float, done.stdout.split())
    return seconds, megabytes


def slopes(sizes: Sequence[int], values: Sequence[float]) -> list[float]:
    """The exponent of growth from each point to the next."""
    pairs = itertools.pairwise(zip(sizes, values))
    return [math.log(max(after, 1e-9) / max(before, 1e-9)) / math.log(n / m) for (m, before), (n, after) in pairs]


def tell(curve: Curve, sizes: Sequence[int], found: Sequence[tuple[float, float]]) -> None:
    """A table of a curve."""
    seconds, megabytes = zip(*found)
    print(f"\n{curve.what}; theory: time n^{curve.theory[0]:g}, memory at most n^{curve.theory[1]:g} ({curve.why})")
    print(f"{'':>10}{'µs per ' + curve.unit:>42}{'grows':>8}{'peak MB':>9}{'grows':>8}")
    growths = [[math.nan, *slopes(sizes, values)] for values in (seconds, megabytes)]
    for size, second, megabyte, *growth in zip(sizes, seconds, megabytes, *growths):
        told = ["" if math.isnan(each) else f"{each:.2f}" for each in growth]
        print(f"{size:10,}{second * 1e6:42,.1f}{told[0]:>8}{megabyte:9,.0f}{told[1]:>8}", flush=True)


def plot(path: Path, curves: dict[str, tuple[Sequence[int], Sequence[tuple[float, float]]]]) -> None:
    """Time above, memory below, both axes logarithmic; dotted is what theory allows from the first point on."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, len(curves), figsize=(3.2 * len(curves), 6), squeeze=False)
    for column, (name, (sizes, found)) in zip(axes.T, curves.items()):
        curve = CURVES[name]
        for axis, values, exponent in zip(column, zip(*found), curve.theory):
            axis.loglog(sizes, values, "o-", base=10)
            axis.loglog(sizes, [values[0] * (size / sizes[0]) ** exponent for size in sizes], "k:")
            axis.set_ylim(min(values) / 3, max(values) * 3)
            axis.grid(alpha=0.3)
            axis.tick_params(which="both", labelsize=7)
        column[0].set(title=name.replace("_", ", "))
        column[1].set(xlabel=curve.what)
        column[0].set_ylabel(f"s per {curve.unit}", fontsize=8)
    axes[1, 0].set_ylabel("peak MB", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measures, prints and draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(CURVES), default=list(CURVES))
    parser.add_argument("--hidden", type=int, default=128, help="features of the decoder; the rest in proportion")
    parser.add_argument("--most", type=int, default=10**6, help="largest corpus, in lines")
    parser.add_argument("--plot", help="a file for the picture")
    parser.add_argument("--keep", type=Path, help="a file of points; those that are there are not measured again")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(*point(given.one[0], int(given.one[1]), given.hidden))
        return
    found, kept = {}, Kept(given.keep)
    for name in given.only:
        sizes = [size for size in CURVES[name].sizes if name != "corpus" or size <= given.most]
        found[name] = (
            sizes,
            [
                kept(f"{name} {size} {given.hidden}", functools.partial(measured, name, size, given.hidden))
                for size in sizes
            ],
        )
        tell(CURVES[name], *found[name])
    if given.plot:
        plot(Path(given.plot), found)


if __name__ == "__main__":
    main()
