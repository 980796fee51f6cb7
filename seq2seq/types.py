"""The nouns that every room of the toolkit speaks in.

Letters used in shapes throughout: B batch, S source length, T target length, D features, V vocabulary, K beam,
N rows (B, or B·K when K hypotheses of each sentence are alive).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor

State: TypeAlias = Any
"""A value: any nest of tuples whose every tensor has the batch axis first. Returned, never kept on ``self``."""


def map_state(function: Callable[[Tensor], Tensor], state: State) -> State:
    """Applies ``function`` to every tensor of a nest of tuples and returns a nest of the same shape."""
    if isinstance(state, Tensor):
        return function(state)
    if isinstance(state, tuple):
        parts = [map_state(function, part) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)
    raise TypeError(f"a state is a nest of tuples of tensors, not {type(state).__name__}")


def select(state: State, rows: Tensor) -> State:
    """The state of the given rows ``[N']``, in their order; a row may be taken more than once."""
    return map_state(lambda tensor: tensor.index_select(0, rows), state)


class Padded(NamedTuple):
    """Sequences of different lengths in one tensor. What lies past a length is never seen by any result."""

    values: Tensor
    """[B, T, …]"""
    lengths: Tensor
    """[B], in steps"""

    @property
    def mask(self) -> Tensor:
        """[B, T], True where a step is real."""
        steps = torch.arange(self.values.shape[1], device=self.values.device)
        return steps < self.lengths.to(self.values.device).unsqueeze(1)

    def readable(self) -> Padded:
        """The same sequences, but that an empty one is a single step of zeros: attention has to look somewhere."""
        values = self.values
        if not values.shape[1]:
            values = values.new_zeros(len(values), 1, *values.shape[2:])
        empty = (self.lengths == 0).to(values.device).view(-1, *[1] * (values.dim() - 1))
        first = values[:, :1].masked_fill(empty, 0)
        return Padded(torch.cat([first, values[:, 1:]], 1), self.lengths.clamp(min=1))

    def to(self, device: torch.device) -> Padded:
        """The same sequences on a device. To a GPU they are copied while the host goes on."""
        if device.type != "cuda" or self.values.device.type == "cuda":
            return Padded(self.values.to(device), self.lengths.to(device))
        return Padded(*(tensor.pin_memory().to(device, non_blocking=True) for tensor in self))


class Memory(NamedTuple):
    """What an encoder leaves behind: what a decoder attends to, and what it starts from.

    A memory has one row for each input, whatever the beam: hypotheses of one input share its row.
    """

    values: Tensor
    """[B, S, D]"""
    mask: Tensor
    """[B, S], True where a position is real"""
    summary: State
    """A tuple over layers of tuples of [B, D]: the last state of each layer, hidden first. An encoder that is not
    recurrent gives one layer of one tensor."""


class Batch(NamedTuple):
    """Examples collated for a model. Each side is what its field's ``collate`` made."""

    src: Any
    tgt: Any
    """None when only predicting"""
    indices: list[int]
    """Which examples of the dataset these are, for messages about them"""
    follows: list[int | None] | None = None
    """Of each example the index of the one that it goes on from, or None; None for all where no state is carried"""
    state: State = None
    """The state that each row begins with; None for all from the beginning"""

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        tgt = None if self.tgt is None else self.tgt.to(device)
        state = None if self.state is None else map_state(lambda tensor: tensor.to(device), self.state)
        return self._replace(src=self.src.to(device), tgt=tgt, state=state)


class Example(NamedTuple):
    """One example as the world knows it, before any tensor."""

    src: Any
    tgt: Any
    """None when only predicting; a tuple where several are equally right"""
    where: str
    """Where it came from, for messages: ``train.de:17``"""

    @property
    def first(self) -> Any:
        """The target, or the first of several: the one that a loss is of."""
        return self.tgt[0] if isinstance(self.tgt, tuple) else self.tgt


class Step(Protocol):
    """All that a search knows of a model.

    The object is bound to the inputs being decoded (for an encoder-decoder, to their memory). With B inputs it is
    called on N = B·K rows, the K hypotheses of the first input first.
    """

    def __call__(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Feeds the last tokens ``[N]``; gives the log-probabilities ``[N, V]`` of the next ones, and the new state."""
        ...

    def keep(self, rows: Tensor) -> Step:
        """The same step for some of the inputs only, ``rows [B']`` in increasing order: the others are finished."""
        ...

    def coverage(self, state: State) -> Tensor:
        """The attention that each source position has received so far, ``[N, S]``, summed over steps.

        Positions that are padding count as fully covered (1). Raises ValueError where the model has no attention.
        """
        ...


@dataclass(frozen=True)
class Hypothesis:
    """One finished output of a search."""

    tokens: list[int]
    """Without bos; ends with eos"""
    log_prob: float
    """Sum of the tokens' log-probabilities, in nats, eos included"""
    score: float
    """What the search ranked by: ``log_prob`` after penalties"""


@dataclass(frozen=True)
class Loss:
    """A sum and what to divide it by, kept apart so that batches can be added before dividing."""

    total: Tensor
    """Scalar with gradient, summed over the batch"""
    count: int
    """Number of tokens, labels or values that ``total`` sums over"""
    figures: Mapping[str, float | Tensor] = field(default_factory=dict)
    """More sums over the same count, for the log (for example correct tokens)"""
    state: State = None
    """Where states are carried, that after each example's last step: detached, and a nest of plain tuples, which a
    checkpoint can hold"""
