"""Scores given translations: ``python -m seq2seq.score model=runs/translate/latest src=test.de tgt=test.en``."""

from __future__ import annotations

from itertools import islice
from typing import Any

from seq2seq.config import run


def main(config: Any) -> None:
    """Prints the log-probability of each line; see ``conf/use/score.yaml``."""
    from seq2seq import results
    from seq2seq.data.readers import ParallelText
    from seq2seq.data.streams import MOST, opened

    model = results.open_model(config)
    pairs = iter(ParallelText(src=config.src, tgt=config.tgt))
    with opened(config.output) as output:
        while chunk := list(islice(pairs, MOST)):
            sources, targets = [pair.src for pair in chunk], [pair.tgt for pair in chunk]
            for value in model.log_probs(sources, targets, tokens=config.tokens):
                output.write(f"{value:.6f}\n")
            output.flush()


if __name__ == "__main__":
    run("use/score", main)
