"""Scores a trained model: ``python -m seq2seq.evaluate model=runs/translate/latest``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq.config import run
from seq2seq.predict import SEARCH

if TYPE_CHECKING:
    from seq2seq.data.readers import Reader
    from seq2seq.metrics.references import References
    from seq2seq.trained import Model


def main(config: Any) -> None:
    """Decodes a part of the data, or files, and prints figures; see ``conf/use/evaluate.yaml``."""
    from seq2seq import results
    from seq2seq.data.fields import TextField
    from seq2seq.data.streams import opened
    from seq2seq.errors import ConfigError
    from seq2seq.tasks.metrics import kindred, metrics_of

    metrics = metrics_of(config.metrics or [])
    model = results.open_model(config)
    if config.baseline is not None and not isinstance(model.fields.tgt, TextField):
        raise ConfigError(
            "baseline= resamples scores of texts, and this model writes none: leave it out, and evaluate both models"
        )
    reader = chosen(config, model)
    task = model.task(**{name: config[name] for name in SEARCH})
    metrics = metrics or kindred(task.metrics)
    # Each is computed once, below, with what it depends on.
    task.metrics = []
    examples = list(reader)
    rival = None if config.baseline is None else baseline(config, model, reader, len(examples))
    seen = results.evaluate(model, reader, task=task, say=results.to_stderr)
    outputs = [best[0].text for best in seen.predictions]
    references = [example.tgt for example in examples]
    for name in (name for name in seen.figures if name != "loss"):
        print(f"{name:<18}{seen.figures[name]:10.4f}")
    for metric in metrics:
        score = metric(outputs, examples)
        print(f"{metric.name:<18}{score.value:10.2f}  {score.signature}", flush=True)
    if config.output is not None:
        with opened(config.output) as file:
            file.writelines(f"{best[0]}\n" for best in seen.predictions)
    if rival is not None:
        names = [metric.name for metric in metrics if metric.name in ("bleu", "chrf", "ter")]
        compare(config, {f"baseline ({config.baseline})": rival(), config.model: outputs}, references, names)


def chosen(config: Any, model: Model) -> Reader:
    """What reads the pairs to evaluate on: the files given, or a part of the model's data."""
    from seq2seq import inputs
    from seq2seq.data.readers import ParallelText
    from seq2seq.errors import ConfigError

    if (config.src is None) != (config.tgt is None):
        raise ConfigError("src=FILE and tgt=FILE go together: sources, and a reference for each")
    if config.src is not None:
        return ParallelText(src=config.src, tgt=config.tgt)
    return inputs.reader_of(model, config.data)


def baseline(config: Any, model: Model, reader: Reader, count: int) -> Callable[[], list[str]]:
    """What gives the outputs to compare with, those of another model or the lines of a file, which are there."""
    from seq2seq import bundle, results
    from seq2seq.data.readers import read_lines
    from seq2seq.errors import DataError

    if not Path(config.baseline).is_dir():
        lines = list(read_lines(config.baseline))
        if len(lines) != count:
            raise DataError(f"{config.baseline} has {len(lines):,} lines, but there are {count:,} references")
        return lambda: lines
    other = bundle.load(config.baseline, device=str(model.device), precision=config.precision, trust=config.trust)
    task = other.task(**{name: config[name] for name in SEARCH})

    def decoded() -> list[str]:
        return [best[0].text for best in results.evaluate(other, reader, task=task, say=results.to_stderr).predictions]

    return decoded


def compare(config: Any, systems: dict[str, list[str]], references: References, names: Sequence[str]) -> None:
    """Prints the paired bootstrap of two systems by sacrebleu's metrics, the first system being the baseline."""
    from seq2seq.metrics.text import paired_bootstrap

    print(f"\npaired bootstrap, {config.samples} samples")
    for row in paired_bootstrap(systems, references, names=names or ["bleu"], samples=config.samples):
        p_value = "" if row.p_value is None else f"  p = {row.p_value:.4f}"
        print(f"{row.metric:<6}{row.score:8.2f}  ({row.mean:.2f} ± {row.interval:.2f}){p_value}  {row.system}")


if __name__ == "__main__":
    run("use/evaluate", main, open_sections=("data",))
