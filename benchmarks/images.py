"""Pictures a second through the frozen MobileNetV2, beside torch running the same layers bare.

    python benchmarks/images.py --threads 2
    python benchmarks/images.py --threads 2 --weights FILE --photos FOLDER
    python benchmarks/images.py --threads 1 --model RUN [--precision bf16] [--cache FOLDER]

Bare is torch.nn's own layers on numbers that are scaled already: as published; in memory with the channels last; and so
with the batch norms folded into the convolutions, which is the fastest that torch has for them in fp32. The encoder
starts from bytes and ends with the features as they are kept. With --photos, files of JPEGs are decoded too, and their
features written and read. Measurements alternate, and medians are printed: read the ratios.

With --model, nothing of that, but what an update of a captioner takes that is trained on kept features, part by part.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from seq2seq import bundle, inputs
from seq2seq.config import build
from seq2seq.data.feature_cache import CachedImages
from seq2seq.data.images import ImageField
from seq2seq.data.pictures import find_pictures
from seq2seq.models.vision import ImageEncoder
from seq2seq.nn.cnn.loading import fold, load_pretrained
from seq2seq.nn.cnn.mobilenet import MobileNetV2, Strided

SIDE = 224


def bare(network: MobileNetV2) -> nn.Module:
    """The network of torch's own layers: TensorFlow's padding is a layer before the convolution."""
    network = copy.deepcopy(network)
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Strided):
                pads = (0, 1, 0, 1) if child.right_first else (1, 1, 1, 1)
                inputs = child.in_channels
                plain = nn.Conv2d(inputs, child.out_channels, 3, stride=2, groups=child.groups, bias=False)
                plain.weight = child.weight
                plain.bias = child.bias
                setattr(module, name, nn.Sequential(nn.ZeroPad2d(pads), plain))
    return network.eval()


def contenders(weights: str, batch: int) -> dict[str, Callable[[], Tensor]]:
    """What is measured: each runs the network once over a batch."""
    network = MobileNetV2()
    load_pretrained(network, weights)
    folded = copy.deepcopy(network).eval()
    fold(folded)
    arguments = {"weights": weights, "fine_tune_from": None, "fine_tune_rate": 0.0, "projection": None}
    arguments |= {"normalize": False, "dropout": 0.0}
    encoder = ImageEncoder(cnn=MobileNetV2(), **arguments).eval()
    pictures = torch.randint(0, 256, (batch, SIDE, SIDE, 3), dtype=torch.uint8)
    last = pictures.permute(0, 3, 1, 2) / 127.5 - 1
    first = last.contiguous()
    published, lasting, fastest = bare(network), bare(network), bare(folded)
    lasting.to(memory_format=torch.channels_last)
    fastest.to(memory_format=torch.channels_last)
    return {
        "bare, as published": lambda: published(first),
        "bare, channels last": lambda: lasting(last),
        "bare, channels last, folded": lambda: fastest(last),
        "encoder, from bytes": lambda: encoder.features(pictures),
    }


def unfolded_weights(folder: Path) -> str:
    """A file of weights that nobody has trained: how fast they are does not depend on what they know."""
    path = folder / "random.pth"
    torch.manual_seed(1)
    torch.save(MobileNetV2().state_dict(), path)
    pixels = {"size": SIDE, "shorter": SIDE, "mean": [0.5] * 3, "std": [0.5] * 3, "padding": "right"}
    path.with_name("random.pth.json").write_text(json.dumps(pixels))
    return str(path)


def measure(weights: str, batch: int, rounds: int) -> None:
    """Prints the rates, and the encoder's share of each of the others."""
    runs = contenders(weights, batch)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    with torch.inference_mode():
        for number in range(rounds + 1):
            for name, run in runs.items():
                start = time.perf_counter()
                run()
                if number:  # the first warms up
                    seconds[name].append(time.perf_counter() - start)
    rates = {name: batch / statistics.median(values) for name, values in seconds.items()}
    for name, rate in rates.items():
        print(f"{name:30s} {rate:7.1f} pictures/s   encoder / this: {rates['encoder, from bytes'] / rate:.2f}")


def from_files(weights: str, photos: str, batch: int, count: int, folder: Path) -> None:
    """Prints how fast files become kept features, and how fast those are read again."""
    raws = find_pictures(photos)[:count]
    images = ImageField(size=None, weights=weights, crop="center", flip=False, on_error="stop")
    arguments = {"weights": weights, "fine_tune_from": None, "fine_tune_rate": 0.0, "projection": None}
    arguments |= {"normalize": False, "dropout": 0.0}
    encoder = ImageEncoder(cnn=MobileNetV2(), **arguments).eval()
    field = CachedImages(
        images=images, extract=encoder.features, fingerprint=encoder.fingerprint(), cache=folder, say=print
    )
    start = time.perf_counter()
    field.prepare(raws, print)
    print(f"{'files to kept features':30s} {len(raws) / (time.perf_counter() - start):7.1f} pictures/s")
    order = np.random.default_rng(1).permutation(len(raws))
    start = time.perf_counter()
    for first in range(0, len(raws), batch):
        field.collate(field.encode_all([raws[place] for place in order[first : first + batch]]))
    print(f"{'kept features to batches':30s} {len(raws) / (time.perf_counter() - start):7.1f} pictures/s")


def of_an_update(model: str, cache: str | None, precision: str, rounds: int) -> None:
    """Prints the milliseconds of the parts of an update: reading features in the order of training, and computing."""
    run = OmegaConf.load(Path(model) / bundle.RUN)
    run.cache = cache or run.cache
    trained = bundle.load(model)
    network = trained.network.train()
    fields = inputs.remembered(run, network, trained.fields, print)
    data = inputs.open_data(run, "train", fields, print)
    task, optimizer = trained.task(), torch.optim.Adam(network.parameters(), fused=True)
    marks: list[float] = []
    network.encoder.register_forward_hook(lambda *_: marks.append(time.perf_counter()))
    spent: dict[str, list[float]] = {}
    batching = build(run.trainer.batching, at="trainer.batching")
    for number, indices in enumerate(itertools.islice(batching.epoch(data, seed=1, epoch=0), rounds + 1)):
        marks[:] = [time.perf_counter()]
        batch = data.batch(indices, seed=number)
        marks.append(time.perf_counter())
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            loss = task.loss(network, batch, number + 1)
        marks.append(time.perf_counter())
        loss.total.backward()
        marks.append(time.perf_counter())
        optimizer.step()
        optimizer.zero_grad()
        marks.append(time.perf_counter())
        names = ("reading kept features", "encoder", "decoder and loss", "gradient of all", "optimizer")
        for name, (start, end) in zip(names, pairwise(marks), strict=True):
            spent.setdefault(name, []).append(1000 * (end - start))
    medians = {name: statistics.median(values[1:]) for name, values in spent.items()}
    whole = sum(medians.values())
    for name, median in medians.items():
        print(f"{name:30s} {median:7.1f} ms  {median / whole:6.1%}")
    print(f"{'an update':30s} {whole:7.1f} ms, {precision}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--weights", help="of MobileNetV2; random ones otherwise")
    parser.add_argument("--photos", help="folder or pattern of JPEGs")
    parser.add_argument("--count", type=int, default=500, help="photos to read at most")
    parser.add_argument("--model", help="a captioner's run, trained on kept features")
    parser.add_argument("--cache", help="where its features are kept; otherwise where it kept them")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="of --model")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.model:
        torch.set_float32_matmul_precision("medium")  # as train does
        of_an_update(arguments.model, arguments.cache, arguments.precision, arguments.rounds)
        return
    with tempfile.TemporaryDirectory() as folder:
        weights = arguments.weights or unfolded_weights(Path(folder))
        measure(weights, arguments.batch, arguments.rounds)
        if arguments.photos:
            from_files(weights, arguments.photos, arguments.batch, arguments.count, Path(folder))


if __name__ == "__main__":
    main()
