"""ROUGE-L (Lin 2004) of captions: the longest common subsequence with a reference."""

from __future__ import annotations

from collections.abc import Sequence


def rouge_l(prediction: Sequence[str], references: Sequence[Sequence[str]], *, beta: float = 1.2) -> float:
    """ROUGE-L of one prediction, 0 to 1: the F-measure of the longest common subsequence (Lin 2004, equation 4).

    Precision and recall are each the best over the references, as in the COCO caption evaluation.

    Args:
        prediction: Words.
        references: Words of each.
        beta: How much more recall weighs than precision.
    """
    common = [_longest_common_subsequence(prediction, reference) for reference in references]
    if not any(common):
        return 0.0
    precision = max(common) / len(prediction)
    recall = max(length / len(reference) for length, reference in zip(common, references) if reference)
    return (1 + beta**2) * precision * recall / (recall + beta**2 * precision)


def _longest_common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    best = [0] * (len(other) + 1)
    for word in one:
        diagonal = 0
        for position, candidate in enumerate(other, start=1):
            above = best[position]
            best[position] = diagonal + 1 if word == candidate else max(above, best[position - 1])
            diagonal = above
    return best[-1]
