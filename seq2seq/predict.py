"""Decodes with a trained model: ``python -m seq2seq.predict model=runs/translate/latest beam_size=5 < in > out``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from seq2seq.config import run

if TYPE_CHECKING:
    from seq2seq.tasks.generation import Prediction

SEARCH = ("beam_size", "length_penalty", "coverage_penalty", "max_ratio", "max_extra", "min_ratio")


def main(config: Any) -> None:
    """Reads sources and writes outputs, batch by batch; see ``conf/use/predict.yaml``."""
    from seq2seq import results
    from seq2seq.data.streams import chunks
    from seq2seq.errors import ConfigError

    lines = not str(config.output).endswith(".jsonl")
    if lines and config.n_best != 1:
        raise ConfigError(f"n_best={config.n_best} needs output=FILE.jsonl: a text file has one line for each source")
    model = results.open_model(config)
    task = model.task(n_best=config.n_best, **{name: config[name] for name in SEARCH})
    mapped = not lines or config.attention is not None
    done = 0
    with opened(config.output) as output:
        for sources in chunks(config.input):
            found = model.predict(sources, task=task, attention=mapped, tokens=config.tokens)
            for source, predictions in zip(sources, found):
                output.write((predictions[0].text if lines else record(model, source, predictions)) + "\n")
            output.flush()
            if config.attention is not None:
                results.draw_maps(model, sources, found, Path(config.attention), results.to_stderr, first=done + 1)
            done += len(sources)


def record(model: Any, source: str, predictions: list[Prediction]) -> str:
    """A source and its n-best outputs as one line of JSON."""
    hypotheses = [
        {
            "text": prediction.text,
            "score": prediction.score,
            "log_prob": prediction.log_prob,
            "tokens": prediction.pieces,
            "attention": None if prediction.attention is None else _rounded(prediction.attention.tolist()),
        }
        for prediction in predictions
    ]
    pieces = model.fields.src.pieces(model.fields.src.encode(source))
    return json.dumps({"source": source, "tokens": pieces, "hypotheses": hypotheses}, ensure_ascii=False)


def _rounded(rows: list[list[float]]) -> list[list[float]]:
    return [[round(weight, 4) for weight in row] for row in rows]


@contextmanager
def opened(path: str) -> Iterator[TextIO]:
    """Standard output for ``-``; else a file that is written aside and has its name once it is whole."""
    import sys

    from seq2seq.errors import DataError

    if path == "-":
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # type: ignore[union-attr]
        yield sys.stdout
        return
    aside = Path(f"{path}.part")
    try:
        aside.parent.mkdir(parents=True, exist_ok=True)
        file = aside.open("w", encoding="utf-8", newline="\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from error
    with file:
        yield file
    aside.replace(path)


if __name__ == "__main__":
    run("use/predict", main)
