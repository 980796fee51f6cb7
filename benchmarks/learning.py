"""What a network has learned after some updates: the toolkit's fast paths against a plain loop over the same weights.

    python benchmarks/learning.py --data multi30k --updates 1000 --seeds 1 2 3

All ways of a seed begin with the same weights and see the same batches with the same dropout; their validation
perplexities differ by rounding, and by what rounding grows to in that many updates. What to read is whether that is
less than what another seed makes. ``plain`` is benchmarks/plain.py; ``fp32`` and ``bf16`` are what the toolkit trains
with. The first line of each seed is the loss of the first batch in all ways.
"""

from __future__ import annotations

import argparse
import functools
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import count, islice
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.kept import Kept

WAYS = ("plain", "fp32", "bf16")


def corpora(folder: Path, vocab: int, cache: Path) -> tuple[Any, Any]:
    """Multi30k's parts for training and validation, in pieces learned from the former."""
    from seq2seq.data.datasets import open_dataset
    from seq2seq.data.learn import LearnSentencePiece, learn_fields
    from seq2seq.data.readers import ParallelText

    settings = {"model_type": "unigram", "byte_fallback": True, "character_coverage": 1.0, "sampling": 0.0}
    learner = LearnSentencePiece(vocab_size=vocab, **settings)  # type: ignore[arg-type]
    readers = [ParallelText(src=folder / f"{part}.de.gz", tgt=folder / f"{part}.en.gz") for part in ("train", "val")]
    fields = learn_fields(readers[0], src=learner, tgt=learner, joint=True, nfc=False)
    train, valid = (open_dataset(each, fields, cache, filters=None, name="", say=lambda _: None) for each in readers)
    return train, valid


def batches(data: Any, tokens: int, seed: int) -> Iterator[Any]:
    """Epoch after epoch."""
    from seq2seq.data.batching import Batching

    for epoch in count():
        for indices in Batching(tokens=tokens).epoch(data, seed=seed, epoch=epoch):
            yield data.batch(indices)


def loss(model: Any, batch: Any, way: str) -> Any:
    """The sum over a batch, with label smoothing 0.1."""
    import torch

    from benchmarks import plain
    from seq2seq.nn.objective import CrossEntropy

    if way == "plain":
        return plain.loss(model, batch.src, batch.tgt, 0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16) if way == "bf16" else nullcontext():
        outputs, real = model(batch.src, plain.shifted(batch.tgt)).outputs, batch.tgt.mask
        objective = CrossEntropy(label_smoothing=0.1)
        return objective.through(model.decoder.output, outputs[real], batch.tgt.values[real]).total


def learned(way: str, seed: int, train: Any, valid: Any, given: argparse.Namespace) -> tuple[float, float, float]:
    """The first batch's loss, the perplexity in the end, and the processor seconds of the updates."""
    import torch

    from benchmarks import plain, speed
    from seq2seq.data.batching import Batching

    torch.manual_seed(seed)
    model = speed.network(vocab=given.vocab, hidden=given.hidden).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    first, began = math.nan, time.process_time()
    for number, batch in enumerate(islice(batches(train, given.tokens, seed), given.updates)):
        optimizer.zero_grad(set_to_none=True)
        total = loss(model, batch, way) / int(batch.tgt.lengths.sum())
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        first = float(total.detach()) if number == 0 else first
    took = time.process_time() - began
    model.eval()
    nll = tokens = 0.0
    with torch.no_grad():
        for batch in map(valid.batch, Batching(tokens=4096).in_order(valid)):
            nll += float(plain.loss(model, batch.src, batch.tgt, 0.0))
            tokens += int(batch.tgt.lengths.sum())
    return first, math.exp(nll / tokens), took


def tell(found: dict[str, list[float]], seeds: Sequence[int]) -> None:
    """The table, and how much of it is noise."""
    print(f"\n{'perplexity':<12}" + "".join(f"seed {seed}".rjust(10) for seed in seeds) + f"{'mean':>10}{'spread':>10}")
    for way, figures in found.items():
        spread = statistics.stdev(figures) if len(figures) > 1 else 0.0
        cells = [*figures, statistics.mean(figures), spread]
        print(way.ljust(12) + "".join(f"{figure:10.2f}" for figure in cells))
    for way in WAYS[1:]:
        apart = [one - other for one, other in zip(found[way], found["plain"])]
        print(f"{way} - plain: {statistics.mean(apart):+.2f} on average, {max(map(abs, apart)):.2f} at most")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="Multi30k, as recipes/translate/prepare.py lays it")
    parser.add_argument("--updates", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=4096, help="of a batch")
    parser.add_argument("--hidden", type=int, default=512, help="features of the decoder; the rest in proportion")
    parser.add_argument("--vocab", type=int, default=8000)
    parser.add_argument("--keep", type=Path, help="a file of runs; those that are there are not made again")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    given = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("medium")
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    kept = Kept(given.keep)
    with tempfile.TemporaryDirectory() as cache:
        train, valid = corpora(given.data, given.vocab, Path(cache))
        for seed in given.seeds:
            for way in WAYS:
                run = functools.partial(learned, way, seed, train, valid, given)
                first, perplexity, took = kept(f"{seed} {way}", run)
                found[way].append(perplexity)
                print(
                    f"seed {seed} {way}: first loss {first:.6f}, perplexity {perplexity:.2f}, {took:.0f} s", flush=True
                )
    tell(found, given.seeds)


if __name__ == "__main__":
    main()
