"""Back-pointers read back by hand."""

from __future__ import annotations

import math

import numpy as np

from seq2seq.search.history import History


def finish(history: History, inputs: list[int], parents: list[int], scores: list[float]) -> None:
    values = np.array(scores)
    history.finish(inputs=np.array(inputs), parents=np.array(parents), log_probs=values, scores=values)


def test_tokens_are_read_back_through_reordered_and_dropped_rows() -> None:
    """Two inputs; the first ends at once, so that from then on rows belong to the second."""
    history = History(2)
    finish(history, [0], [0], [-1.0])
    history.advance(parents=np.array([1, 1]), tokens=np.array([5, 6]))
    history.advance(parents=np.array([1, 0, 0]), tokens=np.array([7, 8, 9]))
    finish(history, [1, 1], [2, 0], [-2.0, -3.0])
    history.advance(parents=np.array([1]), tokens=np.array([4]))
    finish(history, [1], [0], [-2.5])
    first, second = history.hypotheses(eos_id=1, n_best=3)
    assert [h.tokens for h in first] == [[1]]
    assert [(h.tokens, h.score) for h in second] == [([5, 9, 1], -2.0), ([5, 8, 4, 1], -2.5), ([6, 7, 1], -3.0)]
    assert [len(hypotheses) for hypotheses in history.hypotheses(eos_id=1, n_best=2)] == [1, 2]


def test_of_equal_scores_the_earlier_finished_comes_first() -> None:
    history = History(1)
    history.advance(parents=np.array([0, 0]), tokens=np.array([5, 6]))
    finish(history, [0, 0], [1, 0], [-1.0, -1.0])
    history.advance(parents=np.array([0]), tokens=np.array([7]))
    finish(history, [0], [0], [-1.0])
    assert [h.tokens for h in history.hypotheses(eos_id=1, n_best=3)[0]] == [[6, 1], [5, 1], [5, 7, 1]]


def test_an_input_without_a_finished_hypothesis_has_an_empty_one() -> None:
    history = History(2)
    finish(history, [1], [1], [-1.0])
    ((empty,), _) = history.hypotheses(eos_id=1, n_best=1)
    assert (empty.tokens, empty.log_prob, empty.score) == ([1], -math.inf, -math.inf)
