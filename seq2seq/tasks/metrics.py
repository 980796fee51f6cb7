"""Metrics of a task: by the name of one of ``seq2seq.metrics``, or an object that looks at whole examples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from seq2seq.data.builtin.scenes import Scene, truth
from seq2seq.errors import ConfigError, nearest
from seq2seq.metrics import captions, code, labels, pronunciation, text
from seq2seq.metrics.text import Score
from seq2seq.tasks.predictions import Prediction
from seq2seq.types import Example

METRICS = {**text.METRICS, **captions.METRICS, **labels.METRICS, **pronunciation.METRICS}


class Metric(Protocol):
    """A figure of a whole set of texts."""

    name: str

    def __call__(self, predictions: Sequence[str], examples: Sequence[Example]) -> Score:
        """What the texts are worth, one for each example."""
        ...


class Named:
    """A metric that compares with the references alone.

    Args:
        name: In one of ``seq2seq.metrics``.

    Raises:
        ConfigError: There is none of that name.
    """

    def __init__(self, *, name: str) -> None:
        if name not in METRICS:
            raise ConfigError(f"no metric is called {name!r}: {nearest(name, METRICS)}")
        self.name = name

    def __call__(self, predictions: Sequence[str], examples: Sequence[Example]) -> Score:
        """See ``seq2seq.metrics``."""
        return METRICS[self.name](predictions, [example.tgt for example in examples])


class Truth:
    """The percentage of captions that are true of their built-in scene, whatever its own captions say."""

    name = "truth"

    def __call__(self, predictions: Sequence[str], examples: Sequence[Example]) -> Score:
        """Examples of ``data.builtin.scenes`` only; raises DataError for others."""
        hits = sum(truth(caption, Scene.parse(example.src)) for caption, example in zip(predictions, examples))
        return Score(100 * hits / len(predictions), "scenes")


class Parsable:
    """The percentage of the lines of the texts that are Python, whatever their references."""

    name = "parsable"

    def __call__(self, predictions: Sequence[str], examples: Sequence[Example]) -> Score:
        """See ``metrics.code``."""
        return code.parsable(predictions)


def metrics_of(names: Iterable[str | Metric]) -> list[Metric]:
    """Metrics, of which some may be given by name."""
    return [Named(name=each) if isinstance(each, str) else each for each in names]


def scored(
    metrics: Iterable[Metric], predictions: Sequence[Sequence[Prediction]], examples: Sequence[Example]
) -> dict[str, float]:
    """The metrics, by their names, of the best prediction for each example."""
    texts = [best[0].text for best in predictions]
    return {metric.name: metric(texts, examples).value for metric in metrics}


def kindred(metrics: Iterable[Metric]) -> list[Metric]:
    """All that belong with some metrics: those customary for their kind, and the others as they are."""
    given = {metric.name: metric for metric in metrics}
    for customary in (("bleu", "chrf", "ter"), tuple(captions.METRICS), tuple(pronunciation.METRICS)):
        if any(name in customary for name in given):
            given |= {name: Named(name=name) for name in customary if name not in given}
    order = list(METRICS)
    return sorted(given.values(), key=lambda metric: order.index(metric.name) if metric.name in order else len(order))
