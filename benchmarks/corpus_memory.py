"""How much memory a corpus takes while it is encoded and while an epoch of batches is read: it must not grow with it.

    python benchmarks/corpus_memory.py [LINES …]

Each size runs in a process of its own on generated lines. Printed are the peaks, above what the process held before
the corpus was touched, of its anonymous memory (arrays and objects) and of all that is resident (with the mapped
files' pages), in MiB. Linux only: it reads /proc/self/status.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np

from seq2seq.data.batching import Batching
from seq2seq.data.datasets import Corpus, Filters
from seq2seq.data.fields import Fields, TextField
from seq2seq.data.learn import LearnSentencePiece
from seq2seq.data.readers import ParallelText, read_lines
from seq2seq.data.tokenizers import SentencePiece

SYLLABLES = [first + last for first in "bdfgklmnprstvw" for last in ("a", "ei", "o", "un", "ir")]


def write_lines(path: Path, lines: int, seed: int) -> None:
    """Lines of 4 to 20 made-up words."""
    random = np.random.default_rng(seed)
    words = ["".join(random.choice(SYLLABLES, random.integers(1, 4))) for _ in range(20_000)]
    with path.open("w") as file:
        for first in range(0, lines, 10_000):
            for length in random.integers(4, 21, min(10_000, lines - first)):
                file.write(" ".join([words[word] for word in random.integers(0, len(words), length)]) + "\n")


def prepare(folder: Path, lines: int) -> None:
    """Both sides of a corpus, and the pieces that they are to be cut into."""
    for seed, side in enumerate(("src", "tgt")):
        write_lines(folder / side, lines, seed)
    settings = {"model_type": "unigram", "byte_fallback": True, "character_coverage": 1.0, "sampling": 0.0}
    learn = LearnSentencePiece(vocab_size=4000, **settings)  # type: ignore[arg-type]
    learn.learn(islice(read_lines(folder / "src"), 5_000)).save(folder, "joint")


def resident() -> tuple[float, float]:
    """Anonymous and all resident memory of this process, in MiB."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return tuple(int(status[name].split()[0]) / 1024 for name in ("RssAnon", "VmRSS"))  # type: ignore[return-value]


@contextmanager
def watched(peaks: list[float]) -> Iterator[None]:
    """Puts the peaks of both kinds, above those at the start, and the seconds taken into ``peaks``."""
    base, highest, done = resident(), [0.0, 0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            highest[:] = map(max, highest, resident())

    thread, begin = threading.Thread(target=watch), time.monotonic()
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    highest[:] = map(max, highest, resident())
    peaks += [highest[0] - base[0], highest[1] - base[1], time.monotonic() - begin]


def measure(folder: Path) -> dict[str, list[float]]:
    """Encodes the lines of a folder and reads one epoch of them."""
    field = TextField(tokenizer=SentencePiece(model=folder / "joint.model"))
    fields = Fields(src=field, tgt=field)
    field.collate(field.encode_all(["warm up"]))
    encoding: list[float] = []
    reading: list[float] = []
    with watched(encoding):
        reader = ParallelText(src=folder / "src", tgt=folder / "tgt")
        corpus = Corpus.open(reader, fields, folder / "cache", lambda line: None)
        corpus = corpus.filtered(Filters(max_length=200, max_ratio=4), name="train", say=lambda line: None)
    with watched(reading):
        for indices in Batching(tokens=4096).epoch(corpus, seed=1, epoch=0):
            corpus.batch(indices)
    return {"encoding": encoding, "reading": reading}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lines", nargs="*", type=int, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return
    print("                    encoding                        one epoch of batches")
    print("     lines   anonymous    total  seconds   anonymous    total  seconds")
    for lines in options.lines:
        with tempfile.TemporaryDirectory() as name:
            prepare(Path(name), lines)
            command = [sys.executable, __file__, "--measure", name]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        cells = [f"{anonymous:9.1f} {total:8.1f} {seconds:8.1f}" for anonymous, total, seconds in found.values()]
        print(f"{lines:10,}   {'   '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
