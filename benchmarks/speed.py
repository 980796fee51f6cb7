"""Training and decoding speed and peak memory at one fixed shape, beside yardsticks measured in the same run.

    python benchmarks/speed.py --threads 1
    python benchmarks/speed.py --threads 2 --model runs/translate/latest --src test.de --tgt test.en

The shape: bidirectional LSTM encoder 2x256, LSTM decoder 512, embeddings 256, general attention, input feeding, 8,000
joint pieces, about 4,096 target tokens a batch; one layer each, 12.7 M parameters. Sentences are random tokens with
lengths like those of Multi30k (mean 14.5, standard deviation 4.5); an untrained model's outputs are held to the
source's length. With --model, decoding is measured on that model and the lines of --src instead, and --tgt adds BLEU.

The yardsticks of training are the bare matrix products of an update, and benchmarks/plain.py; that of decoding is the
network as it was trained, in fp32, under the same search. Every row is a process of its own, which they take turns to
work in; medians are printed, and ratios are what to read: "by work" are those of processor times, in which other
programs do not count.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from seq2seq.config import short_waits

VOCAB, EMBEDDING, ENCODER, DECODER, TOKENS = 8000, 256, 256, 512, 4096


def network(*, vocab: int = VOCAB, hidden: int = DECODER, layers: int = 1) -> Any:
    """The model of the fixed shape, or one of another size and the same proportions."""
    from seq2seq.models.decoder import Decoder
    from seq2seq.models.encoder_decoder import EncoderDecoder
    from seq2seq.models.encoders import RecurrentEncoder
    from seq2seq.nn.attention import General
    from seq2seq.nn.bridge import Last
    from seq2seq.nn.embedding import Embedding
    from seq2seq.nn.recurrent import Recurrent

    stack = partial(Recurrent, cell="lstm", num_layers=layers, residual=False, dropout=0.0, variational_dropout=0.0)
    table = partial(Embedding, vocab_size=vocab, embedding_dim=hidden // 2, dropout=0.0)
    encoder = RecurrentEncoder(
        embedding=table(), recurrent=partial(stack, hidden_dim=hidden // 2, bidirectional=True), dropout=0.0
    )
    decoder = partial(
        Decoder,
        embedding=table(),
        recurrent=partial(stack, hidden_dim=hidden, bidirectional=False),
        attention=General,
        bridge=Last,
        readout_dim=hidden,
        order="luong",
        input_feed=True,
        dropout=0.2,
    )
    return EncoderDecoder(encoder=encoder, decoder=decoder, tying="none")


def sentences(count: int) -> list[Any]:
    """Random source tokens with Multi30k's lengths; eos last."""
    import torch

    generator = torch.Generator().manual_seed(1)
    lengths = (torch.randn(count, generator=generator) * 4.5 + 14.5).round().clamp(4, 40).long()
    return [
        torch.randint(4, VOCAB, (int(n),), generator=generator).index_fill_(0, torch.tensor([n - 1]), 3)
        for n in lengths
    ]


def padded(rows: list[Any]) -> Any:
    """Rows of tokens as one batch."""
    import torch

    from seq2seq.types import Padded

    return Padded(torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows]))


def batches(size: int | None = None) -> list[Any]:
    """Batches of about 4,096 target tokens, or of ``size`` sentences, sorted by length."""
    rows = sorted(sentences(4000 if size is None else max(4 * size, 48)), key=len)
    if size is not None:
        return [padded(rows[i : i + size]) for i in range(0, len(rows), size)]
    made, row = [], 0
    while row < len(rows):
        count = max(TOKENS // len(rows[min(row + TOKENS // 14, len(rows) - 1)]), 1)
        made.append(padded(rows[row : row + count]))
        row += count
    return made[1:-1]


def floor_products(batch: Any, dtype: Any) -> Callable[[], None]:
    """The matrix products of one update on a batch, forward and backward, and nothing else."""
    import torch

    rows, steps = batch.values.shape
    real = int(batch.lengths.sum())
    context = 2 * ENCODER
    shapes = [(rows * steps, EMBEDDING, 4 * ENCODER, 2), (rows, ENCODER, 4 * ENCODER, 2 * steps)]  # encoder
    shapes += [(rows * steps, EMBEDDING, 4 * DECODER, 1), (rows, 2 * DECODER, 4 * DECODER, steps)]  # decoder, fed
    shapes += [(rows * steps, context, DECODER, 1), (rows, DECODER + context, DECODER, steps)]  # keys, readout
    shapes += [(real, DECODER, VOCAB, 1)]
    products = [
        (torch.randn(m, k).to(dtype), torch.randn(k, n).to(dtype), torch.randn(m, n).to(dtype), times)
        for m, k, n, times in shapes
    ]
    queries, keys = torch.randn(rows, 1, DECODER).to(dtype), torch.randn(rows, steps, DECODER).to(dtype)
    weights = torch.randn(rows, 1, steps).to(dtype)

    def once() -> None:
        for inputs, weight, outputs, times in products:
            for _ in range(times):
                inputs @ weight
                outputs @ weight.T
                inputs.T @ outputs
        for _ in range(3 * steps):
            torch.bmm(queries, keys.transpose(1, 2))
            torch.bmm(weights, keys)

    return once


def training(precision: str) -> Callable[[int], float]:
    """Updates; gives target tokens per second. ``plain`` is benchmarks/plain.py."""
    import torch

    from benchmarks import plain
    from seq2seq.nn.objective import CrossEntropy

    torch.manual_seed(0)
    model, objective, data = network(), CrossEntropy(label_smoothing=0.1), batches()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def update(batch: Any) -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16) if precision == "bf16" else nullcontext():
            if precision == "plain":
                total = plain.loss(model, batch, batch, 0.1)
            else:
                outputs, real = model(batch, plain.shifted(batch)).outputs, batch.mask
                total = objective.through(model.decoder.output, outputs[real], batch.values[real]).total
        (total / int(batch.lengths.sum())).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    def once(number: int) -> float:
        batch = data[number * 3 % len(data)]
        return int(batch.lengths.sum()) / _seconds(lambda: update(batch))

    return once


def floor(precision: str) -> Callable[[int], float]:
    """The products of the same updates; gives target tokens per second."""
    import torch

    data, dtype = batches(), torch.bfloat16 if precision == "bf16" else torch.float32

    def once(number: int) -> float:
        batch = data[number * 3 % len(data)]
        return int(batch.lengths.sum()) / _seconds(floor_products(batch, dtype))

    return once


def decoding(detail: str, model: str | None, src: str | None) -> Callable[[int], float]:
    """Decodes some batches; gives sentences per second."""
    import torch

    import seq2seq
    from seq2seq.models.inference import for_inference
    from seq2seq.search.beam import BeamSearch
    from seq2seq.search.greedy import Greedy
    from seq2seq.search.limits import Limits
    from seq2seq.search.scoring import GNMT

    precision, size, beam = detail.split(",")
    rows = int(size)
    chosen = None if precision == "plain" else precision
    if precision == "int8":
        torch.set_float32_matmul_precision("highest")  # as predict does, where only small products are left to it
    count = max(2 * rows, 48)
    if model is not None:
        loaded = seq2seq.load(model, precision=chosen)
        lines = Path(str(src)).read_text(encoding="utf-8").splitlines()[:count]
        encoded = sorted(loaded.fields.src.encode_all(lines), key=len)
        data = [loaded.fields.src.collate(encoded[i : i + rows]) for i in range(0, len(encoded), rows)]
        net, limits = loaded.network, Limits(max_ratio=2.0, max_extra=20)
    else:
        torch.manual_seed(0)
        net, limits, data = network().eval(), Limits(max_ratio=1.0, max_extra=0), batches(rows)
        net = net if chosen is None else for_inference(net, chosen)
    search: Any = Greedy(limits=limits)
    if beam != "1":
        search = BeamSearch(limits=limits, beam_size=int(beam), length_penalty=GNMT(alpha=1.0))

    def decode() -> None:
        for batch in data:
            with torch.inference_mode():
                step, state = net.begin(net.encode(batch))
                search(step, state, bos_id=2, eos_id=3, src_lengths=batch.lengths)

    return lambda number: sum(len(batch.lengths) for batch in data) / _seconds(decode)


def bleu(precision: str, model: str, src: str, tgt: str) -> float:
    """Of the whole of --src in a precision, beam 5."""
    import sacrebleu

    import seq2seq

    loaded = seq2seq.load(model, precision=precision)
    outputs = loaded(Path(src).read_text(encoding="utf-8").splitlines(), beam_size=5)
    return sacrebleu.corpus_bleu(outputs, [Path(tgt).read_text(encoding="utf-8").splitlines()]).score


def _seconds(function: Callable[[], None]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


class Row:
    """A process that measures one thing when asked to.

    Args:
        name: What it measures: a function's name and what it takes.
    """

    def __init__(self, name: str) -> None:
        command = [sys.executable, __file__, *sys.argv[1:], "--one", name]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._figures: list[list[float]] = []

    def turn(self) -> None:
        """Measures once more; the first time is for warming up."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        self._figures.append([float(figure) for figure in self._process.stdout.readline().split()])

    def end(self) -> Seen:
        """What it has measured."""
        peak, _ = self._process.communicate()
        rates, works = zip(*self._figures[1:])
        return Seen(rates, works, float(peak))


class Seen(NamedTuple):
    """What a row has measured, turn by turn."""

    rates: Sequence[float]
    """A second of the clock"""
    works: Sequence[float]
    """A second of processor time, in which other programs and waiting do not count"""
    peak: float
    """Of the process's memory, in MB"""

    @property
    def speed(self) -> float:
        """The median by the clock."""
        return statistics.median(self.rates)

    def share(self, other: Seen) -> tuple[float, float]:
        """How fast it is beside another: the medians of the ratios of a turn, by the clock and by work."""
        pairs = zip(self.rates, other.rates), zip(self.works, other.works)
        clock, work = (statistics.median(one / two for one, two in pair) for pair in pairs)
        return clock, work


def together(names: list[str], rounds: int) -> dict[str, Seen]:
    """What each has measured, in turns."""
    rows = {name: Row(name) for name in names}
    for _ in range(rounds + 1):
        for row in rows.values():
            row.turn()
    return {name: row.end() for name, row in rows.items()}


def serve(name: str, given: argparse.Namespace) -> None:
    """What a ``Row``'s process does."""
    kind, _, detail = name.partition(":")
    makers = {"train": training, "floor": floor, "decode": partial(decoding, model=given.model, src=given.src)}
    measure = makers[kind](detail)
    for number, _ in enumerate(sys.stdin):
        began, work = time.perf_counter(), time.process_time()
        rate = measure(number)
        took, work = time.perf_counter() - began, time.process_time() - work
        print(rate, rate * took / work, flush=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Measures and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--matmul", choices=["highest", "high", "medium"], default="medium", help="of float32 products")
    parser.add_argument("--rounds", type=int, default=7, help="turns that each row has")
    parser.add_argument("--only", choices=["training", "decoding"])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32, 256], help="sentences decoded at once")
    parser.add_argument("--model", help="a trained model to decode with")
    parser.add_argument("--src", help="its source sentences, a text file")
    parser.add_argument("--tgt", help="their references, for BLEU")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    short_waits()  # as the commands do
    if given.one:
        import torch

        torch.set_num_threads(given.threads)
        torch.set_float32_matmul_precision(given.matmul)
        serve(given.one, given)
        return
    print(f"{given.threads} thread(s), float32 products {given.matmul}\n")
    if given.only != "decoding":
        training_table(given.rounds)
    if given.only != "training":
        decoding_table(given)


def training_table(rounds: int) -> None:
    """Target tokens per second by precision, beside the bare products and the plain loop."""
    print(f"{'training':<16}{'target tokens/s':>16}{'bare products':>15}{'ratio':>8}{'by work':>9}{'peak MB':>9}")
    for precision in ("fp32", "bf16"):
        rows = [f"train:{precision}", f"floor:{precision}", *(["train:plain"] if precision == "fp32" else [])]
        fast, bare, *others = together(rows, rounds).values()
        for name, seen in ((precision, fast), *(("a plain loop", other) for other in others)):
            clock, work = seen.share(bare)
            told = f"{name:<16}{seen.speed:16,.0f}{bare.speed:15,.0f}{clock:8.0%}{work:9.0%}{seen.peak:9,.0f}"
            print(told, flush=True)


def decoding_table(given: argparse.Namespace) -> None:
    """Sentences per second by precision, search and batch."""
    rows, sizes = ["plain", "fp32", "bf16", "int8"], given.batches
    print(f"\n{'sentences/s (times plain, peak MB)':<36}" + "".join(f"batch {n}".rjust(22) for n in sizes))
    for label, beam in (("greedy", 1), ("beam 5", 5)):
        columns = [together([f"decode:{row},{size},{beam}" for row in rows], given.rounds) for size in sizes]
        for row, cells in zip(rows, zip(*(column.values() for column in columns))):
            plain = [next(iter(column.values())).speed for column in columns]
            told = [f"{seen.speed:.0f} ({seen.speed / p:.2f}, {seen.peak:.0f})" for seen, p in zip(cells, plain)]
            print(f"{label}, {row}".ljust(36) + "".join(text.rjust(22) for text in told), flush=True)
    if given.model and given.src and given.tgt:
        scores = {row: bleu(row, given.model, given.src, given.tgt) for row in rows[1:]}
        print("\nBLEU, beam 5: " + ", ".join(f"{row} {score:.2f}" for row, score in scores.items()))


if __name__ == "__main__":
    main()
