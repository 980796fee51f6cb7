"""Decodes with a trained model: ``python -m seq2seq.predict model=runs/translate/latest beam_size=5 < in > out``."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Any

from seq2seq.config import run, unresolved
from seq2seq.decoding import SEARCH as SEARCH
from seq2seq.decoding import is_plain

ASIDE = ("model", "trust", "device", "threads", "matmul_precision", "input", "output", "tokens", "workers", "compile")
"""Options by which no output becomes another one, beyond rounding, and those that name files"""


def main(config: Any) -> None:
    """Reads sources and writes outputs, chunk by chunk; see ``conf/use/predict.yaml``."""
    from seq2seq.data.streams import MOST
    from seq2seq.errors import ConfigError
    from seq2seq.workers import wanted

    if is_plain(config) and config.n_best != 1:
        raise ConfigError(f"n_best={config.n_best} needs output=FILE.jsonl: a text file has one line for each source")
    if not isinstance(config.tokens, int) or config.tokens < 1:
        raise ConfigError(f"tokens={config.tokens}: expected a whole number of 1 or more")
    count = wanted(config)
    from seq2seq import bundle

    listed = bundle.load_fields(bundle.find(config.model) / bundle.FIELDS, config.trust).src.listed(config.input)
    most = max(MOST, config.tokens // 4)  # some full batches, whatever their size
    source, target = Path(config.input), Path(config.output)
    if listed is None and source.is_file() and (target.is_file() or (config.output != "-" and not target.exists())):
        in_parts(config, source, target, count, most)
    elif "RANK" in os.environ and os.environ.get("WORLD_SIZE") != "1":
        raise ConfigError("several processes by torchrun need input=FILE and output=FILE, on a disk that all see")
    else:
        as_it_comes(config, listed, count, most)


def as_it_comes(config: Any, listed: list[str] | None, count: int, most: int) -> None:
    """From wherever to wherever, each chunk as soon as it is done. ``listed``: the sources, where no text has them."""
    from seq2seq.data import streams
    from seq2seq.data.streams import opened
    from seq2seq.workers import decoded

    chunks = streams.chunks(config.input, most) if listed is None else streams.in_chunks(listed, most)
    live = listed is None and streams.is_live(config.input)
    found = decoded(config, chunks, count=count, most=most, live=live)
    with closing(found), opened(config.output) as output:
        for _, text in found:
            output.write(text)
            output.flush()


def in_parts(config: Any, source: Path, target: Path, count: int, most: int) -> None:
    """From a file to a file, beside any number of other processes, and from where an earlier one ended."""
    from seq2seq import bundle, results
    from seq2seq.parts import Parts, stamp
    from seq2seq.workers import decoded

    options = {name: value for name, value in unresolved(config).items() if name not in ASIDE}
    belongs = {"model": stamp(bundle.find(config.model) / bundle.WEIGHTS), "input": stamp(source), **options}
    with Parts(output=target, source=source, belongs=belongs, lines=most) as parts:
        if parts.found and os.environ.get("RANK", "0") == "0":
            results.to_stderr(f"{parts.folder}: going on beside the {parts.found:,} parts that are there")
        with closing(decoded(config, parts.claim(), count=count, most=parts.lines, live=False)) as found:
            for chunk, text in found:
                parts.add(chunk, text)
        if (left := parts.join()) and "RANK" not in os.environ:
            results.to_stderr(f"{parts.folder}: others work on {left:,} parts; the last of them to end writes {target}")


if __name__ == "__main__":
    run("use/predict", main)
