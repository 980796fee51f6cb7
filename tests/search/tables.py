"""Models written by hand as tables of probabilities, whose best outputs can be proved, and searches by brute force."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from seq2seq.search.scoring import LengthPenalty
from seq2seq.types import State

BOS, EOS = 0, 1


class Table:
    """A step that looks its log-probabilities up, and checks that a search treats it as the contract says.

    The state carries which input each row belongs to and all tokens so far, so that a row that was reordered wrongly
    is noticed at the next call.

    Args:
        log_probs: gives the log-probabilities [V] that follow a prefix of tokens (bos first) of an input.
        inputs: which inputs it is bound to.
        attention: [V, S], what each fed token attends to; needed for coverage only.
    """

    def __init__(
        self, log_probs: Callable[[int, tuple[int, ...]], Tensor], inputs: list[int], attention: Tensor | None = None
    ) -> None:
        self.log_probs, self.inputs, self.attention = log_probs, inputs, attention
        self.calls: list[int] = []
        self.kept: list[list[int]] = []

    def start(self) -> State:
        rows = len(self.inputs)
        return torch.tensor(self.inputs), (torch.zeros(rows, 0, dtype=torch.long),)

    def __call__(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        owners, (prefixes,) = state
        width = len(tokens) // len(self.inputs)
        assert owners.tolist() == [i for i in self.inputs for _ in range(width)], "rows are not those of the inputs"
        prefixes = torch.cat([prefixes, tokens[:, None]], dim=1)
        self.calls.append(len(tokens))
        found = [self.log_probs(i, tuple(prefix)) for i, prefix in zip(owners.tolist(), prefixes.tolist())]
        return torch.stack(found), (owners, (prefixes,))

    def keep(self, rows: Tensor) -> Table:
        assert (rows[1:] > rows[:-1]).all(), "rows are to be kept in increasing order"
        smaller = Table(self.log_probs, [self.inputs[row] for row in rows.tolist()], self.attention)
        smaller.calls, smaller.kept = self.calls, self.kept
        self.kept.append(list(smaller.inputs))
        return smaller

    def coverage(self, state: State) -> Tensor:
        if self.attention is None:
            raise ValueError("this model has no attention")
        return self.attention[state[1][0]].sum(dim=1)


def first_order(vocab: int, seed: int, inputs: int) -> Callable[[int, tuple[int, ...]], Tensor]:
    """What follows depends on the last token only; a table [V, V] for each input."""
    generator = torch.Generator().manual_seed(seed)
    tables = (2 * torch.randn(inputs, vocab, vocab, generator=generator)).log_softmax(-1)
    return lambda i, prefix: tables[i, prefix[-1]]


def whole_history(vocab: int, seed: int) -> Callable[[int, tuple[int, ...]], Tensor]:
    """What follows depends on all tokens before it."""

    def log_probs(i: int, prefix: tuple[int, ...]) -> Tensor:
        key = seed
        for token in (i, *prefix):
            key = (key * 1_000_003 + token + 1) % (2**31)
        return (2 * torch.randn(vocab, generator=torch.Generator().manual_seed(key))).log_softmax(-1)

    return log_probs


def forced(model: Callable[[int, tuple[int, ...]], Tensor], i: int, tokens: list[int]) -> float:
    """The log-probability of given tokens."""
    prefix, total = (BOS,), 0.0
    for token in tokens:
        total += float(model(i, prefix)[token])
        prefix = (*prefix, token)
    return total


def brute_force(
    model: Callable[[int, tuple[int, ...]], Tensor],
    i: int,
    *,
    vocab: int,
    longest: int,
    shortest: int,
    score: Callable[[float, list[int]], float],
) -> list[tuple[list[int], float]]:
    """All outputs of permitted lengths, best score first."""
    others = [token for token in range(vocab) if token != EOS]
    found = []
    for length in range(shortest, longest + 1):
        for body in itertools.product(others, repeat=length - 1):
            tokens = [*body, EOS]
            found.append((tokens, score(forced(model, i, tokens), tokens)))
    return sorted(found, key=lambda pair: -pair[1])


class Endless(LengthPenalty):
    """Another penalty without its stopping bound: the search goes on until nothing lives."""

    def __init__(self, penalty: LengthPenalty) -> None:
        self.penalty = penalty

    def divisor(self, lengths):
        return self.penalty.divisor(lengths)

    def bound(self, log_probs, max_lengths):
        return (log_probs > -torch.inf) * 1e9 - 1e8
