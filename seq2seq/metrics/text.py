"""Metrics of generated text, over a whole corpus: plain lists of detokenised, cased strings in, floats out.

BLEU (Papineni et al. 2002), chrF (Popović 2015) and TER (Snover et al. 2006) are sacrebleu's (Post 2018) with its own
settings (BLEU tokenises by 13a and is cased), and come with its signatures. A prediction has one reference or a list of
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from seq2seq.errors import nearest
from seq2seq.metrics.references import References, grouped

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric


class Score(NamedTuple):
    """A corpus score, 0 to 100 (TER may exceed 100, and is better when lower)."""

    value: float
    signature: str
    """Everything that the number depends on, in sacrebleu's short text form"""


class Comparison(NamedTuple):
    """One system by one metric, set against the baseline."""

    system: str
    metric: str
    score: float
    mean: float
    """Mean over the bootstrap's resamples"""
    interval: float
    """Half the width of the 95 % confidence interval around the mean"""
    p_value: float | None
    """Probability of a difference from the baseline at least as large if both were equal; None for the baseline"""
    signature: str
    """sacrebleu's, with the number of resamples and the seed"""


def bleu(predictions: Sequence[str], references: References) -> Score:
    """Corpus BLEU, 0 to 100, higher is better: 13a tokens, cased, up to 4-grams, exponential smoothing."""
    return _score("bleu", predictions, references)


def chrf(predictions: Sequence[str], references: References) -> Score:
    """Corpus chrF2, 0 to 100, higher is better: character 6-grams, no word n-grams."""
    return _score("chrf", predictions, references)


def ter(predictions: Sequence[str], references: References) -> Score:
    """Corpus translation edit rate, in percent of the reference's words, lower is better."""
    return _score("ter", predictions, references)


def exact_match(predictions: Sequence[str], references: References) -> Score:
    """Percentage of predictions that equal one of their references, character by character."""
    hits = sum(prediction in group for prediction, group in zip(predictions, grouped(predictions, references)))
    return Score(100.0 * hits / len(predictions), "exact_match")


METRICS: Mapping[str, Callable[[Sequence[str], References], Score]] = {
    "bleu": bleu,
    "chrf": chrf,
    "ter": ter,
    "exact_match": exact_match,
}


def text_scores(
    predictions: Sequence[str], references: References, names: Iterable[str] = ("bleu", "chrf", "ter")
) -> dict[str, float]:
    """Several corpus scores at once, by name: ``bleu``, ``chrf``, ``ter``, ``exact_match``.

    Raises:
        ValueError: the numbers of predictions and references differ, there are none, or a name is unknown.
    """
    scores = {}
    for name in names:
        if name not in METRICS:
            raise ValueError(f"there is no text metric {name!r}; {nearest(name, METRICS)}")
        scores[name] = METRICS[name](predictions, references).value
    return scores


def paired_bootstrap(
    systems: Mapping[str, Sequence[str]],
    references: References,
    *,
    names: Sequence[str] = ("bleu", "chrf", "ter"),
    samples: int = 1000,
) -> list[Comparison]:
    """Whether systems differ from a baseline: paired bootstrap resampling (Koehn 2004), as sacrebleu does it.

    The figures are the same at every run: sacrebleu draws from a fixed seed, 12345, which the environment variable
    SACREBLEU_SEED changes.

    Args:
        systems: predictions by the system's name, two systems or more; the first is the baseline.
        references: one for each prediction, or a list for each.
        names: which of ``bleu``, ``chrf`` and ``ter``.
        samples: number of resamples.

    Returns:
        A row for each metric and system: metrics in the order of ``names``, the baseline first in each.

    Raises:
        ValueError: fewer than two systems, numbers of lines that differ, or a name that cannot be compared.
    """
    from sacrebleu.significance import PairedTest

    if len(systems) < 2:
        raise ValueError(f"a comparison needs two systems or more, not {len(systems)}")
    if samples < 1:
        raise ValueError(f"a bootstrap needs one resample or more, not {samples}")
    for system, predictions in systems.items():
        streams = _streams(predictions, references, of=f" of {system}")
    named: list[tuple[str, Sequence[str]]] = [(system, list(lines)) for system, lines in systems.items()]
    rows = []
    for name in names:
        test = PairedTest(named, {name: _sacrebleu(name)}, streams, test_type="bs", n_samples=samples)
        signatures, table = test()
        for shown, signature in signatures.items():
            for (system, predictions), result in zip(named, table[shown]):
                assert not isinstance(result, str) and result.mean is not None and result.ci is not None
                figures = (float(result.score), float(result.mean), float(result.ci))
                p_value = None if result.p_value is None else float(result.p_value)
                if p_value is not None and predictions == named[0][1]:
                    p_value = 1.0  # sacrebleu counts resamples above the difference, of which 0 = 0 has none
                rows.append(Comparison(system, name, *figures, p_value, str(signature)))
    return rows


def _sacrebleu(name: str) -> Metric:
    from sacrebleu import metrics

    kinds: dict[str, type[Metric]] = {"bleu": metrics.BLEU, "chrf": metrics.CHRF, "ter": metrics.TER}
    if name not in kinds:
        raise ValueError(f"{name!r} is no metric of sacrebleu's; {nearest(name, kinds)}")
    return kinds[name]()


def _score(name: str, predictions: Sequence[str], references: References) -> Score:
    streams = _streams(predictions, references)
    metric = _sacrebleu(name)
    value = metric.corpus_score(list(predictions), streams).score
    return Score(float(value), str(metric.get_signature()))


def _streams(predictions: Sequence[str], references: References, of: str = "") -> list[list[str]]:
    """The references as sacrebleu takes them: the first of each prediction, then the second, with None for the missing.

    sacrebleu's annotations know no None, its documentation does.
    """
    return [[*stream] for stream in zip_longest(*grouped(predictions, references, of))]
