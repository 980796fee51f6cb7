"""What a trained auto-encoder's vectors know: which sentences lie near, what lies between two, how length matters.

    python recipes/autoencode/explore.py runs/autoencode/latest near "The old man sleeps in the park."
    python recipes/autoencode/explore.py runs/autoencode/latest between "My cat sleeps." "Where will she sell the hat?"
    python recipes/autoencode/explore.py runs/autoencode/latest lengths lengths.png

``near`` looks among the sentences of the test part of the model's data, or of another part or a file: ``--among``.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import matplotlib
import torch
from omegaconf import OmegaConf
from torch import Tensor

import seq2seq
from seq2seq import inputs
from seq2seq.data.readers import read_lines
from seq2seq.errors import DataError, UserError
from seq2seq.metrics.text import text_scores
from seq2seq.trained import Model
from seq2seq.types import Memory

LONGEST = 40
"""Tokens of what is written from a vector, whose own length nobody knows"""
WIDTH = 3
"""Words of difference between the sentences of one row of the table of lengths"""


def main(arguments: list[str] | None = None) -> int:
    """Runs the script; returns its exit status."""
    parser = argparse.ArgumentParser(description="Look at the vectors of a trained auto-encoder.")
    parser.add_argument("model", help="a run such as runs/autoencode/latest")
    parser.add_argument("what", choices=("near", "between", "lengths"))
    parser.add_argument("given", nargs="+", help="sentences: one or more for near, two for between; lengths: a PNG")
    parser.add_argument("--among", default="test", help="near, lengths: train, valid, test or a file (%(default)s)")
    parser.add_argument("--most", type=int, default=5, help="near: how many; between: steps (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        model = seq2seq.load(options.model)
        if options.what == "near":
            show_near(model, options.given, sentences(model, options.among), options.most)
        elif options.what == "between":
            if len(options.given) != 2:
                raise DataError(f"between needs two sentences, not {len(options.given)}: put each in quotation marks")
            for text in decoded(model, between(model.embed(options.given), options.most)):
                print(text)
        else:
            show_lengths(model, sentences(model, options.among), Path(options.given[0]))
        if options.what != "lengths":
            note_unknown(model, options.given)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def sentences(model: Model, among: str) -> list[str]:
    """Those of a part of the data that the model was trained with, or of a file."""
    if among not in ("train", "valid", "test"):
        return list(read_lines(among))
    return [example.src for example in inputs.reader_of(model, OmegaConf.create({"split": among}))]


def note_unknown(model: Model, given: list[str]) -> None:
    """Says how the model reads a user's sentence that has a word which it does not know."""
    field = model.fields.src
    for text, tokens in zip(given, field.encode_all(given)):
        if bool((tokens == field.tokenizer.unk_id).any()):
            print(f"note: the model reads {text!r} as {field.decode(tokens)!r}", file=sys.stderr)


def show_near(model: Model, given: list[str], others: list[str], most: int) -> None:
    """Prints the sentences whose vectors point most nearly where a given one's does."""
    table = torch.nn.functional.normalize(model.embed(others), dim=1)
    for text, vector in zip(given, torch.nn.functional.normalize(model.embed(given), dim=1)):
        print(text)
        best = (table @ vector).topk(min(most, len(others)))
        for cosine, index in zip(best.values.tolist(), best.indices.tolist()):
            print(f"  {cosine:.3f}  {others[index]}")


def between(ends: Tensor, steps: int) -> Tensor:
    """Vectors ``[steps + 2, D]`` on the straight line from one to another ``[2, D]``, both included."""
    shares = torch.linspace(0, 1, steps + 2).unsqueeze(1)
    return torch.lerp(ends[:1], ends[1:], shares)


def decoded(model: Model, vectors: Tensor) -> list[str]:
    """What the decoder writes from vectors ``[N, D]``, each all that it knows.

    Raises:
        DataError: It would need more of the input than a vector.
    """
    network, count = model.network, len(vectors)
    if getattr(network.encoder, "pooling", None) is None:
        raise DataError(f"{model.folder}: it writes from more than one vector, as its encoder has no pooling")
    task, field = model.task(), model.fields.tgt
    mask = torch.ones(count, 1, dtype=torch.bool)
    with torch.inference_mode():
        step, state = network.begin(Memory(vectors.unsqueeze(1), mask, ((vectors,),)))
        found = task.search(
            step, state, bos_id=field.bos_id, eos_id=field.eos_id, src_lengths=torch.full((count,), LONGEST // 2)
        )
    return [field.decode(hypotheses[0].tokens) for hypotheses in found]


def show_lengths(model: Model, texts: list[str], target: Path) -> None:
    """Prints the share that comes back exactly, and BLEU, by the number of words, and draws both."""
    groups: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for text, output in zip(texts, model(texts)):
        groups[(len(text.split()) - 1) // WIDTH].append((output, text))
    rows = []
    print("| words | sentences | exactly | BLEU |\n|---|---|---|---|")
    for group, pairs in sorted(groups.items()):
        outputs, references = zip(*pairs)
        scores = text_scores(outputs, references, ("exact_match", "bleu"))
        name = f"{group * WIDTH + 1} to {(group + 1) * WIDTH}"
        rows.append((name, scores["exact_match"], scores["bleu"]))
        print(f"| {name} | {len(pairs):,} | {scores['exact_match']:.1f} % | {scores['bleu']:.1f} |")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panel = pyplot.subplots(figsize=(6.4, 3.6), layout="constrained")
    names, exact, bleu = zip(*rows)
    panel.plot(names, exact, "o-", label="exactly, %")
    panel.plot(names, bleu, "s--", label="BLEU")
    panel.set(xlabel="words", ylim=(0, 102))
    panel.legend()
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    sys.exit(main())
