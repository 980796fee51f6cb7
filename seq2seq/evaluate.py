"""Scores a trained model: ``python -m seq2seq.evaluate model=runs/translate/latest``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seq2seq.config import build, run
from seq2seq.predict import SEARCH, opened


def main(config: Any) -> None:
    """Decodes a part of the data, or files, and prints figures; see ``conf/use/evaluate.yaml``."""
    from seq2seq import bundle, runs
    from seq2seq.data.readers import ParallelText, read_lines
    from seq2seq.errors import ConfigError
    from seq2seq.metrics.text import METRICS, paired_bootstrap

    if (config.src is None) != (config.tgt is None):
        raise ConfigError("src=FILE and tgt=FILE go together: sources, and a reference for each")
    model = runs.open_model(config)
    if config.src is not None:
        reader: Any = ParallelText(src=config.src, tgt=config.tgt)
    else:
        reader = build(runs.data_of(model, config.data)[config.data.split], at=f"data.{config.data.split}")
    options = {name: config[name] for name in SEARCH}
    seen = runs.evaluate(model, reader, task=model.task(**options), say=runs.to_stderr)
    outputs = [best[0].text for best in seen.predictions]
    references = [example.tgt for example in reader]
    for name in ("nll", "perplexity", "accuracy"):
        print(f"{name:<12}{seen.figures[name]:10.4f}")
    for name in config.metrics:
        score = METRICS[name](outputs, references)
        print(f"{name:<12}{score.value:10.2f}  {score.signature}")
    if config.output is not None:
        with opened(config.output) as file:
            file.writelines(output + "\n" for output in outputs)
    if config.baseline is not None:
        if Path(config.baseline).is_dir():
            other = bundle.load(config.baseline, device=str(model.device), trust=config.trust)
            predictions = runs.evaluate(other, reader, task=other.task(**options), say=runs.to_stderr).predictions
            lines = [best[0].text for best in predictions]
        else:
            lines = list(read_lines(config.baseline))
        systems = {f"baseline ({config.baseline})": lines, config.model: outputs}
        names = [name for name in config.metrics if name in ("bleu", "chrf", "ter")]
        print(f"\npaired bootstrap, {config.samples} samples")
        for row in paired_bootstrap(systems, references, names=names, samples=config.samples):
            p_value = "" if row.p_value is None else f"  p = {row.p_value:.4f}"
            print(f"{row.metric:<6}{row.score:8.2f}  ({row.mean:.2f} ± {row.interval:.2f}){p_value}  {row.system}")


if __name__ == "__main__":
    run("use/evaluate", main)
