"""Makes a lexical shortlist of a model's training data: ``python -m seq2seq.shortlist model=runs/translate/latest``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq.config import build, run

if TYPE_CHECKING:
    from seq2seq.data.datasets import Dataset
    from seq2seq.models.shortlist import Shortlist
    from seq2seq.trained import Model
    from seq2seq.types import Batch


def main(config: Any) -> None:
    """Learns translations, puts lists of them into the bundle, and says what they hold; ``conf/use/shortlist.yaml``."""
    from seq2seq import bundle, results
    from seq2seq.data.fields import TextField
    from seq2seq.errors import ConfigError

    for name, least in (("best", 1), ("frequent", 0), ("iterations", 1)):
        if not isinstance(config[name], int) or config[name] < least:
            raise ConfigError(f"{name}={config[name]}: expected a whole number of {least} or more")
    model = bundle.load(config.model, trust=config.trust)
    if not all(isinstance(field, TextField) for field in model.fields):
        raise ConfigError(f"{model.folder}: a shortlist says which tokens go with which, so both sides must be text")
    data = opened(model, "train", config.data, results.to_stderr)
    shortlist = learned(data, model.fields, config, results.to_stderr)
    bundle.save_shortlist(model.folder, shortlist)
    print(f"{model.folder / bundle.SHORTLIST}: translations of {len(shortlist.likely):,} source tokens")
    size, share = coverage(shortlist, opened(model, "valid", config.data, results.to_stderr))
    print(f"valid: a sentence's list has {size:,.0f} of {shortlist.size:,} tokens, and {share:.2%} of its reference's")


def opened(model: Model, part: str, changes: Any, say: Callable[[str], None]) -> Dataset:
    """A part of the data that a model was trained with, as its training saw it."""
    from omegaconf import OmegaConf

    from seq2seq import bundle, inputs
    from seq2seq.data.datasets import open_dataset

    reader = inputs.reader_of(model, OmegaConf.create({**changes, "split": part}))
    told = OmegaConf.load(model.folder / bundle.RUN)
    filters = build(told.data.filters, at="data.filters") if part == "train" else None
    return open_dataset(reader, model.fields, Path(told.cache), filters=filters, name=part, say=say)


def learned(data: Dataset, fields: Any, config: Any, say: Callable[[str], None]) -> Shortlist:
    """Of each source token the likeliest translations and what is spelled like it; and the most frequent targets."""
    import numpy as np
    import torch

    from seq2seq.data.alignment import frequencies, translations
    from seq2seq.data.progress import Progress
    from seq2seq.models.shortlist import Shortlist

    src, tgt = fields
    passes = config.iterations + 2
    progress = Progress(verb="aligning", done="aligned", unit="pairs", total=passes * len(data), say=say)

    def pairs() -> Iterator[Batch]:
        for batch in batches(data):
            yield batch
            progress.advance(len(batch.indices))

    table = translations(pairs, sources=src.size, targets=tgt.size, iterations=config.iterations)
    common = np.argsort(-frequencies((batch.tgt for batch in pairs()), tgt.size), kind="stable")
    progress.close()
    ids = {piece: number for number, piece in enumerate(tgt.pieces(range(tgt.size)))}
    same = [ids.get(piece, tgt.eos_id) for piece in src.pieces(range(src.size))]
    best = table.best(config.best, sources=src.size, fill=tgt.eos_id)
    always = np.union1d([tgt.bos_id, tgt.eos_id], common[: config.frequent])
    return Shortlist(torch.from_numpy(always), torch.from_numpy(np.column_stack([same, best])), tgt.size)


def coverage(shortlist: Shortlist, data: Dataset) -> tuple[float, float]:
    """The mean number of tokens in a source's list, and which share of the targets' tokens are in theirs."""
    listed = held = tokens = 0
    for batch in batches(data):
        lists = shortlist.lists(batch.src)
        listed += int(lists.sum())
        held += int((lists.gather(1, batch.tgt.values) & batch.tgt.mask).sum())
        tokens += int(batch.tgt.lengths.sum())
    return listed / len(data), held / tokens


def batches(data: Dataset) -> Iterator[Batch]:
    """All of the data, each example once."""
    from seq2seq.data.batching import Batching

    for indices in Batching(tokens=16384).in_order(data):  # whose pairs of tokens take some 100 MB if they are long
        yield data.batch(indices)


if __name__ == "__main__":
    run("use/shortlist", main, open_sections=("data",))
