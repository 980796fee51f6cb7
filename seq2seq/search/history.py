"""What a search has chosen so far: for each step, which row each hypothesis came from and which token it added.

Nothing is copied as hypotheses branch: their tokens are read back once, when all are finished. A *row* is a place in
the batch that the step is called on; rows may be reordered, repeated and dropped from one step to the next.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from seq2seq.types import Hypothesis

Array = npt.NDArray[Any]


class History:
    """Back-pointers of living hypotheses, and the finished ones.

    Args:
        batch: number of inputs, B.
    """

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._parents: list[Array] = []
        self._tokens: list[Array] = []
        self._finished: list[tuple[Array, ...]] = []

    def finish(self, *, inputs: Array, parents: Array, log_probs: Array, scores: Array) -> None:
        """Ends F hypotheses with eos at this step; to be called before the step's ``advance``.

        Args:
            inputs: [F], which of the B inputs each is an output for.
            parents: [F], the rows that they continue.
            log_probs: [F], eos included.
            scores: [F], what they are ranked by.
        """
        lengths = np.full(len(inputs), len(self._tokens))
        self._finished.append((inputs, parents, lengths, log_probs, scores))

    def advance(self, *, parents: Array, tokens: Array) -> None:
        """Goes to the next step, whose rows continue the rows ``parents`` [N] of this one by ``tokens`` [N]."""
        self._parents.append(parents)
        self._tokens.append(tokens)

    def hypotheses(self, *, eos_id: int, n_best: int) -> list[list[Hypothesis]]:
        """The ``n_best`` finished hypotheses of each input, best first; of equal ones the earlier finished first.

        An input to which the model gives no possible output at all has eos alone, with the score -inf.
        """
        outputs: list[list[Hypothesis]] = [[] for _ in range(self._batch)]
        if self._finished:
            columns = [np.concatenate(column) for column in zip(*self._finished)]
            inputs, parents, lengths, log_probs, scores = columns
            order = np.lexsort((np.arange(len(inputs)), -scores, inputs))
            ranks = np.arange(len(order)) - np.searchsorted(inputs[order], inputs[order])
            chosen = order[ranks < n_best]
            tokens = self._read_back(parents[chosen], lengths[chosen])
            for i, row, length in zip(chosen.tolist(), tokens, lengths[chosen].tolist()):
                hypothesis = Hypothesis([*row[:length].tolist(), eos_id], float(log_probs[i]), float(scores[i]))
                outputs[inputs[i]].append(hypothesis)
        return [output or [Hypothesis([eos_id], -np.inf, -np.inf)] for output in outputs]

    def _read_back(self, rows: Array, lengths: Array) -> Array:
        """The tokens [F, T] that lead to the given rows after ``lengths`` steps."""
        tokens = np.zeros((len(rows), int(lengths.max(initial=0))), dtype=np.int64)
        rows = rows.copy()
        for position in range(tokens.shape[1] - 1, -1, -1):
            begun = lengths > position
            tokens[begun, position] = self._tokens[position][rows[begun]]
            rows[begun] = self._parents[position][rows[begun]]
        return tokens
