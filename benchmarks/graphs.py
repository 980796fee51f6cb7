"""What recording a decoder's steps as CUDA graphs brings on a GPU (``compile=true``), in training and in decoding.

    python benchmarks/graphs.py

Two shapes: that of speed.py, and one of two layers with 1,024 features in the decoder; in fp32 and in bf16. Each figure
is the median of some rounds in which the recorded network and the other take turns on the same batches, after a round
that makes the recordings. Without a GPU it says so and measures nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

SHAPES = {"1 layer of 512": (512, 1), "2 layers of 1,024": (1024, 2)}


def made(hidden: int, layers: int, recorded: bool) -> Any:
    """A network on the GPU."""
    import torch

    from benchmarks import speed
    from seq2seq.models.recorded import use_graphs

    torch.manual_seed(0)
    device = torch.device("cuda")
    network = speed.network(hidden=hidden, layers=layers).to(device)
    if recorded:
        use_graphs(network, device)
    return network


def training(network: Any, batches: Sequence[Any], precision: str) -> Callable[[], None]:
    """Makes what makes an update on each batch."""
    import torch

    from benchmarks.plain import shifted
    from seq2seq.nn.objective import CrossEntropy

    optimizer, objective = torch.optim.Adam(network.parameters(), fused=True), CrossEntropy(label_smoothing=0.1)

    def updates() -> None:
        for batch in batches:
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cuda", dtype=torch.bfloat16) if precision == "bf16" else nullcontext():
                real = batch.mask.flatten().nonzero().squeeze(1)
                outputs = network(batch, shifted(batch)).outputs.flatten(0, 1).index_select(0, real)
                targets = batch.values.flatten().index_select(0, real)
                total = objective.through(network.decoder.output, outputs, targets).total / len(real)
            total.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()

    return updates


def decoding(network: Any, batches: Sequence[Any], precision: str) -> Callable[[], None]:
    """Makes what decodes each batch with a beam of 5, held to the source's length."""
    import torch

    from seq2seq.models.inference import for_inference
    from seq2seq.search.beam import BeamSearch
    from seq2seq.search.limits import Limits
    from seq2seq.search.scoring import GNMT

    network = for_inference(network.eval().requires_grad_(False), precision)
    search = BeamSearch(limits=Limits(max_ratio=1.0, max_extra=0), beam_size=5, length_penalty=GNMT(alpha=1.0))

    def decode() -> None:
        with torch.inference_mode():
            for batch in batches:
                step, state = network.begin(network.encode(batch))
                search(step, state, bos_id=2, eos_id=3, src_lengths=batch.lengths)

    return decode


def seconds(work: Callable[[], None]) -> float:
    """Until the GPU has done it."""
    import torch

    torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    import torch

    from benchmarks import speed

    if not torch.cuda.is_available():
        sys.exit("no GPU here: torch sees no CUDA device")
    torch.set_float32_matmul_precision("medium")
    device = torch.device("cuda")
    print(f"{torch.cuda.get_device_name()}\n{'target tokens/s':<44}{'plain':>12}{'recorded':>12}{'times':>8}")
    for (shape, (hidden, layers)), precision, kind in (
        (shape, precision, kind)
        for shape in SHAPES.items()
        for precision in ("fp32", "bf16")
        for kind in (training, decoding)
    ):
        some = speed.batches() if kind is training else speed.batches(64)
        batches = [batch.to(device) for batch in some]
        works = [kind(made(hidden, layers, recorded), batches, precision) for recorded in (False, True)]
        for work in works:
            work()
        turns = [[seconds(work) for work in works] for _ in range(given.rounds)]
        tokens = sum(int(batch.lengths.sum()) for batch in batches)
        plain, recorded = (tokens / statistics.median(column) for column in zip(*turns))
        name = f"{kind.__name__}, {shape}, {precision}"
        print(f"{name:<44}{plain:12,.0f}{recorded:12,.0f}{recorded / plain:8.2f}", flush=True)


if __name__ == "__main__":
    main()
