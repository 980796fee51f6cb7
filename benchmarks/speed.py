"""Training and decoding speed and peak memory at one fixed shape, beside the bare matrix products of that shape.

    python benchmarks/speed.py --threads 1
    python benchmarks/speed.py --threads 2 --precision bf16 --model runs/translate/latest --src test.de

The shape: bidirectional LSTM encoder 2x256, LSTM decoder 512, embeddings 256, general attention, input feeding, 8,000
joint pieces, about 4,096 target tokens a batch; one layer each, 12.7 M parameters. Sentences are random tokens with
lengths like those of Multi30k (mean 14.5, standard deviation 4.5); an untrained model's outputs are held to the
source's length. With --model, decoding is measured on that model and the lines of --src instead. Every figure comes
from a process of its own, measurements alternate with the floor's, and medians are printed: read the ratios.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

VOCAB, EMBEDDING, ENCODER, DECODER, TOKENS = 8000, 256, 256, 512, 4096


def network() -> Any:
    """The model of the fixed shape."""
    from seq2seq.models.decoder import Decoder
    from seq2seq.models.encoder_decoder import EncoderDecoder
    from seq2seq.models.encoders import RecurrentEncoder
    from seq2seq.nn.attention import General
    from seq2seq.nn.bridge import Last
    from seq2seq.nn.embedding import Embedding
    from seq2seq.nn.recurrent import Recurrent

    stack = partial(Recurrent, cell="lstm", num_layers=1, residual=False, dropout=0.0, variational_dropout=0.0)
    table = partial(Embedding, vocab_size=VOCAB, embedding_dim=EMBEDDING, dropout=0.0)
    encoder = RecurrentEncoder(
        embedding=table(), recurrent=partial(stack, hidden_dim=ENCODER, bidirectional=True), dropout=0.0
    )
    decoder = partial(
        Decoder,
        embedding=table(),
        recurrent=partial(stack, hidden_dim=DECODER, bidirectional=False),
        attention=General,
        bridge=Last,
        readout_dim=DECODER,
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


def measure(name: str, precision: str, model: str | None, src: str | None, rounds: int) -> dict[str, float]:
    """One figure, in this process."""
    import torch

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    torch.manual_seed(0)
    kind, _, detail = name.partition(":")
    figures = {}
    if kind in ("train", "memory"):
        figures = _training(dtype, rounds, floor=kind == "train")
    elif kind == "decode":
        size, beam = map(int, detail.split(","))
        figures = {"per_second": _decoding(size, beam, model, src)}
    return {**figures, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _training(dtype: Any, rounds: int, *, floor: bool) -> dict[str, float]:
    import torch

    from seq2seq.nn.objective import CrossEntropy
    from seq2seq.types import Padded

    model, objective, data = network(), CrossEntropy(label_smoothing=0.1), batches()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def update(batch: Any) -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=dtype) if dtype != torch.float32 else nullcontext():
            bos = torch.full_like(batch.values[:, :1], 2)
            shifted = Padded(torch.cat([bos, batch.values[:, :-1]], 1), batch.lengths)
            outputs, real = model(batch, shifted).outputs, batch.mask
            sums = objective.through(model.decoder.output, outputs[real], batch.values[real])
            loss = sums.total / int(batch.lengths.sum())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    update(data[0])
    speeds, floors = [], []
    for number in range(rounds):
        batch = data[number * 3 % len(data)]
        real = int(batch.lengths.sum())
        speeds.append(real / _seconds(lambda batch=batch: update(batch)))
        if floor:  # its operands would count in the peak of memory
            floors.append(real / _seconds(floor_products(batch, dtype)))
    return {
        "per_second": statistics.median(speeds),
        "floor": statistics.median(floors or [0.0]),
    }


def _decoding(size: int, beam: int, model: str | None, src: str | None) -> float:
    import torch

    import seq2seq
    from seq2seq.search.beam import BeamSearch
    from seq2seq.search.greedy import Greedy
    from seq2seq.search.limits import Limits
    from seq2seq.search.scoring import GNMT

    if model is not None:
        loaded = seq2seq.load(model)
        lines = Path(str(src)).read_text(encoding="utf-8").splitlines()[: max(4 * size, 48)]
        encoded = sorted(loaded.fields.src.encode_all(lines), key=len)
        data = [loaded.fields.src.collate(encoded[i : i + size]) for i in range(0, len(encoded), size)]
        net, limits = loaded.network, Limits(max_ratio=2.0, max_extra=20)
    else:
        net, limits, data = network().eval(), Limits(max_ratio=1.0, max_extra=0), batches(size)
    search: Any = Greedy(limits=limits)
    if beam > 1:
        search = BeamSearch(limits=limits, beam_size=beam, length_penalty=GNMT(alpha=1.0))

    def decode() -> None:
        for batch in data:
            with torch.inference_mode():
                step, state = net.begin(net.encode(batch))
                search(step, state, bos_id=2, eos_id=3, src_lengths=batch.lengths)

    count = sum(len(batch.lengths) for batch in data)
    decode()
    return count / statistics.median(_seconds(decode) for _ in range(3))


def _seconds(function: Callable[[], None]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def main() -> None:
    """Measures each figure in a process of its own and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="of training")
    parser.add_argument("--matmul", choices=["highest", "high", "medium"], default="medium", help="of float32 products")
    parser.add_argument("--rounds", type=int, default=9, help="updates measured")
    parser.add_argument("--model", help="a trained model to decode with")
    parser.add_argument("--src", help="its source sentences, a text file")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        import torch

        torch.set_num_threads(given.threads)
        torch.set_float32_matmul_precision(given.matmul)
        print(json.dumps(measure(given.one, given.precision, given.model, given.src, given.rounds)))
        return
    print(f"{given.threads} thread(s), float32 products {given.matmul}, training in {given.precision}\n")
    bare = _apart("import")["peak_mb"]
    train = _apart("train")
    ratio = train["per_second"] / train["floor"]
    print(f"training   {train['per_second']:8,.0f} target tokens/s, {ratio:.0%} of", end=" ")
    print(f"the bare matrix products' {train['floor']:,.0f}")
    peak = _apart("memory")["peak_mb"]
    print(f"           peak memory {peak:,.0f} MB, of which Python and torch {bare:,.0f} MB\n")
    print(f"{'decoding':<10}{'batch 1':>12}{'batch 32':>12}{'batch 256':>12}   sentences/s (peak MB)")
    for label, beam in (("greedy", 1), ("beam 5", 5)):
        cells = [_apart(f"decode:{size},{beam}") for size in (1, 32, 256)]
        print(f"{label:<10}" + "".join(f"{c['per_second']:6.0f} ({c['peak_mb']:.0f})".rjust(12) for c in cells))


def _apart(name: str) -> dict[str, float]:
    command = [sys.executable, __file__, *sys.argv[1:], "--one", name]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
