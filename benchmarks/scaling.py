"""What more processes bring: training at updates of one size, and decoding a file, against one process.

    python benchmarks/scaling.py --processes 1 2
    python benchmarks/scaling.py --processes 1 2 --model runs/translate/latest --src test.de --plot scaling.png

Training is that of the toolkit at the shape of speed.py (about 4,096 target tokens an update, whatever the number of
processes), one thread each: dealing out, gradients, their reduction, clipping, the optimizer, the averaged weights. All
groups stand ready and take turns, so that a busy machine is busy for all alike; medians are printed, and the ratio is
the median of the ratios of a turn. "apart" is the same work without any exchange between the processes: what the
machine itself allows. "by work" is the ratio of the processor times, in which other people's work does not count, nor
does waiting. With --model, the lines of --src are decoded as a file by ``workers=N``, start-up included, and "apart"
by N commands of one process for every N-th line each: take 10,000 lines or more, and three turns (``--decodings``).
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the processes that are started from here

from benchmarks import speed


class Kind(NamedTuple):
    """A group of processes."""

    size: int
    exchange: bool


def kinds_of(sizes: Sequence[int]) -> list[Kind]:
    """Groups of these sizes with exchange, and those of several processes without."""
    return [Kind(size, True) for size in sizes] + [Kind(size, False) for size in sizes if size > 1]


class Turn(NamedTuple):
    """What some updates took."""

    tokens: float
    """Target tokens a second of the whole group"""
    work: float
    """Processor seconds an update, of one process"""


class Sentences:
    """A dataset of random sentences, which are their own translations."""

    carries = False

    def __init__(self) -> None:
        self.rows = sorted(speed.sentences(4000), key=len)

    def batches(self) -> list[Any]:
        """The examples of each batch of about 4,096 target tokens."""
        import numpy as np

        made, row = [], 0
        while row < len(self.rows):
            count = speed.TOKENS // len(self.rows[min(row + speed.TOKENS // 14, len(self.rows) - 1)])
            made.append(np.arange(row, min(row + count, len(self.rows))))
            row += count
        return made[1:-1]

    def batch(self, indices: Any, seed: int | None = None) -> Any:
        """Some of them, collated."""
        from seq2seq.types import Batch

        side = speed.padded([self.rows[index] for index in indices])
        return Batch(side, side, [int(index) for index in indices])


class Copying:
    """The task of writing what was read."""

    def __init__(self) -> None:
        from seq2seq.nn.objective import CrossEntropy

        self.objective = CrossEntropy(label_smoothing=0.1)

    def loss(self, model: Any, batch: Any, update: int = 0) -> Any:
        """As ``Generation``'s."""
        import torch

        from seq2seq.types import Loss, Padded

        tgt = batch.tgt
        bos = torch.full_like(tgt.values[:, :1], 2)
        outputs = model(batch.src, Padded(torch.cat([bos, tgt.values[:, :-1]], 1), tgt.lengths)).outputs
        sums = self.objective.through(model.decoder.output, outputs[tgt.mask], tgt.values[tgt.mask])
        return Loss(sums.total, int(tgt.lengths.sum()), {"nll": float(sums.nll)})


def trains(kind: Kind, rank: int, port: int, precision: str, turn: Connection) -> None:
    """A process of a group: makes as many updates as it is told to, tells how many tokens a second it was."""
    import torch
    import torch.distributed as dist

    from seq2seq.training.distributed import Processes, group

    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("medium")
    if kind.size == 1 or not kind.exchange:
        _serve(Processes(), kind, rank, precision, turn)
        return
    store = dist.PrefixStore(str(kind), dist.TCPStore("127.0.0.1", port, is_master=False))
    with group(store=store, rank=rank, size=kind.size, local_rank=rank, timeout=600.0) as processes:
        _serve(processes, kind, rank, precision, turn)


def _serve(processes: Any, kind: Kind, rank: int, precision: str, turn: Connection) -> None:
    import torch

    from seq2seq.training.gradients import Gradients
    from seq2seq.training.optim import Constant, MovingAverage
    from seq2seq.training.state import Progress, TrainingState
    from seq2seq.training.stopping import Best

    torch.manual_seed(0)
    model, data = speed.network(), Sentences()
    state = TrainingState(
        model=model,
        optimizer=torch.optim.Adam(model.parameters(), fused=True),
        schedule=Constant(warmup=0),
        best=Best(metric="loss", mode="min", patience=None),
        average=MovingAverage(model, decay=0.999),
        processes=processes,
    )
    settings = {"model": model, "task": Copying(), "clip_norm": 1.0, "seed": 1, "say": print}
    gradients = Gradients(**settings, data=data, precision=precision, processes=processes)  # type: ignore[arg-type]
    batches = data.batches()
    done = 0
    turn.send(0)
    while (updates := turn.recv()) is not None:
        tokens, began, work = 0, time.perf_counter(), time.process_time()
        for _ in range(updates):
            batch = batches[done * 3 % len(batches)]
            done += 1
            tokens += sum(len(data.rows[index]) for index in batch)
            if not kind.exchange:
                batch = batch[rank :: kind.size]
            gradients.fill([batch], done)
            state.step(Progress(done))
            state.size()
        turn.send(Turn(tokens / (time.perf_counter() - began), (time.process_time() - work) / updates))


class Group:
    """Processes that stand ready."""

    def __init__(self, kind: Kind, port: int, precision: str) -> None:
        context = multiprocessing.get_context("spawn")
        ends = [context.Pipe() for _ in range(kind.size)]
        self.turns = [ours for ours, _ in ends]
        self.processes = [
            context.Process(target=trains, args=(kind, rank, port, precision, theirs), daemon=True)
            for rank, (_, theirs) in enumerate(ends)
        ]
        for process in self.processes:
            process.start()
        for turn in self.turns:
            turn.recv()

    def take(self, updates: int) -> Turn:
        """Makes some updates, as slow as the slowest of the processes."""
        for turn in self.turns:
            turn.send(updates)
        tokens, work = zip(*[turn.recv() for turn in self.turns])
        return Turn(min(tokens), max(work))

    def end(self) -> None:
        """Lets them go."""
        for turn in self.turns:
            turn.send(None)
        for process in self.processes:
            process.join()


def training(sizes: Sequence[int], rounds: int, updates: int, precision: str) -> dict[Kind, list[Turn]]:
    """What every kind of group does, turn by turn."""
    import torch.distributed as dist

    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    groups = {kind: Group(kind, store.port, precision) for kind in kinds_of(sizes)}
    for group in groups.values():
        group.take(2)
    found: dict[Kind, list[Turn]] = {kind: [] for kind in groups}
    for _ in range(rounds):
        for kind, group in groups.items():
            found[kind].append(group.take(updates))
    for group in groups.values():
        group.end()
    return found


def decoding(
    sizes: Sequence[int], rounds: int, model: str, src: str, options: Sequence[str]
) -> dict[Kind, list[float]]:
    """Sentences a second of a file that is decoded by so many processes, turn by turn."""
    lines = Path(src).read_text(encoding="utf-8").splitlines()
    found: dict[Kind, list[float]] = {kind: [] for kind in kinds_of(sizes)}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for kind in found:
                shares = 1 if kind.exchange else kind.size
                commands = []
                for share in range(shares):
                    given, made = (Path(folder) / f"{share}.{name}" for name in ("in", "out"))
                    given.write_text("".join(f"{line}\n" for line in lines[share::shares]), encoding="utf-8")
                    made.unlink(missing_ok=True)
                    words = [f"model={Path(model).resolve()}", f"input={given}", f"output={made}"]
                    words += [f"workers={kind.size // shares}", "threads=1", "device=cpu", *options]
                    commands.append([sys.executable, "-m", "seq2seq.predict", *words])
                began = time.perf_counter()
                running = [subprocess.Popen(command) for command in commands]
                codes = [process.wait() for process in running]
                if any(codes):
                    raise SystemExit("predict has failed")
                found[kind].append(len(lines) / (time.perf_counter() - began))
    return found


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """How many times as fast the one is, turn by turn."""
    return statistics.median(first / second for first, second in zip(one, other))


def plot(path: Path, curves: dict[str, dict[int, float]]) -> None:
    """Draws speed-ups against the number of processes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 4))
    most = max(size for curve in curves.values() for size in curve)
    axes.plot([1, most], [1, most], "k:", label="ideal")
    for name, curve in curves.items():
        axes.plot(list(curve), list(curve.values()), "o-", label=name)
    axes.set(xlabel="processes of one thread", ylabel="times one process", xticks=range(1, most + 1))
    axes.legend()
    figure.savefig(path, dpi=120, bbox_inches="tight")


def training_table(sizes: Sequence[int], given: argparse.Namespace) -> dict[int, float]:
    """Measures and prints; how many times as fast as one process so many are."""
    found = training(sizes, given.rounds, given.updates, given.precision)
    print(f"training in {given.precision}   target tokens/s   times one   by work    apart   by work")
    base, curve = found[Kind(1, True)], {}
    for size in sizes:
        print(f"{size} process{'es' if size > 1 else '  '}", end="")
        for exchange in (True, False):
            turns = found.get(Kind(size, exchange), base)
            if exchange:
                print(f"{statistics.median(turn.tokens for turn in turns):22,.0f}", end="")
            times = ratio([turn.tokens for turn in turns], [turn.tokens for turn in base])
            print(f"{times:12.2f}{ratio([turn.work for turn in base], [turn.work for turn in turns]):10.2f}", end="")
            if exchange:
                curve[size] = times
        print()
    return curve


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="of training")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each group")
    parser.add_argument("--updates", type=int, default=3, help="updates of a turn")
    parser.add_argument("--decodings", type=int, default=3, help="turns in which --src is decoded")
    parser.add_argument("--only", choices=["training", "decoding"])
    parser.add_argument("--model", help="a trained model to decode with")
    parser.add_argument("--src", help="a text file to decode")
    parser.add_argument("--plot", help="a file for the curve")
    parser.add_argument("options", nargs="*", help="of seq2seq.predict, as beam_size=5")
    given = parser.parse_args()
    if given.only == "decoding" and not (given.model and given.src):
        parser.error("--only decoding needs --model and --src")
    sizes = sorted({1, *given.processes})
    curves: dict[str, dict[int, float]] = {}
    if given.only != "decoding":
        curves["training"] = training_table(sizes, given)
    if given.model and given.only != "training":
        decoded = decoding(sizes, given.decodings, given.model, given.src, given.options)
        one = decoded[Kind(1, True)]
        print(f"\ndecoding {Path(given.src).name}   sentences/s   times one    apart")
        for size in sizes:
            together, apart = decoded[Kind(size, True)], decoded.get(Kind(size, False), one)
            times = ratio(together, one)
            print(f"{size} process{'es' if size > 1 else '  '}{statistics.median(together):18,.0f}", end="")
            print(f"{times:12.2f}{ratio(apart, one):9.2f}")
            curves.setdefault("decoding a file", {})[size] = times
    if given.plot:
        plot(Path(given.plot), curves)


if __name__ == "__main__":
    main()
