"""Predictors: an encoder, and a head that reads its memory without writing a sequence of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.errors import ConfigError
from seq2seq.models.encoder_decoder import Freezing
from seq2seq.nn.dropout import check_rates
from seq2seq.nn.joint import Joint, beside
from seq2seq.types import Memory, Padded, State


class Reading(NamedTuple):
    """What a head has read in a memory."""

    values: Tensor
    """[B, T, width], what labels or numbers are made of, for every step; where the input as a whole was read, T is no
    matter of its length"""
    attention: Tensor | None
    """[B, T, S], what each position counted for; None where that is no one number"""
    summary: State
    """The memory's: where the next window of the same series goes on"""


class Predictor(nn.Module):
    """Maps a source to labels or numbers.

    Args:
        encoder: Any module from one side of a batch to a ``Memory``, with ``memory_dim`` and ``summary_dim``.
        head: Makes the head, given those two sizes.
    """

    def __init__(self, *, encoder: nn.Module, head: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.encoder = encoder
        self.head: Any = head(memory_dim=encoder.memory_dim, summary_dim=encoder.summary_dim)

    def unfreeze(self, update: int) -> None:
        """Lets parts of the encoder learn whose time has come at this update, where it has such."""
        if isinstance(self.encoder, Freezing):
            self.encoder.unfreeze(update)

    def forward(self, src: Padded, state: State = None) -> Reading:
        """One side of a batch to what the head reads in its memory.

        Args:
            src: The inputs.
            state: The summary that an earlier window of each input has left, to go on from; None begins anew.
        """
        memory: Memory = self.encoder(src) if state is None else self.encoder(src, state)
        values, attention = self.head(memory)
        return Reading(values, attention, memory.summary)

    def steps(self, positions: Tensor) -> Tensor:
        """How many steps ``[B]`` are told of inputs of so many steps ``[B]``."""
        return self.head.steps(positions)

    def taught(self, src: Padded, tgt: Padded, state: State = None) -> Reading:
        """What it is to learn from: here what it reads by itself, whatever the targets are."""
        return self(src, state)


class Whole(nn.Module):
    """Reads an input as a whole, N to 1: pooling, then a linear layer.

    Args:
        size: Labels or numbers.
        pooling: Makes the pooling, given the memory's two sizes; see ``nn.pooling``.
        structure: Makes what turns outputs into labels or numbers, given ``size``; see ``nn.independent`` and
            ``nn.estimates``. It takes ``size`` outputs for each step, or says its ``width``.
        dropout: Share of the pooled features dropped.
        memory_dim, summary_dim: Of the memory.
        length: Steps that are told of each input.
    """

    def __init__(
        self,
        *,
        size: int,
        pooling: Callable[..., nn.Module],
        structure: Callable[..., nn.Module],
        dropout: float,
        memory_dim: int,
        summary_dim: int,
        length: int = 1,
    ) -> None:
        super().__init__()
        check_rates(dropout=dropout)
        pool: Any = pooling(memory_dim=memory_dim, summary_dim=summary_dim)
        self.structure: Any = structure(size=size)
        self.width, self.length = getattr(self.structure, "width", size), length
        self.pooling, self.output = pool, nn.Linear(pool.output_dim, length * self.width)
        self.dropout = dropout

    def forward(self, memory: Memory) -> tuple[Tensor, Tensor | None]:
        """A memory to ``[B, length, width]``, and what each position counted for, ``[B, length, S]``."""
        pooled = self.pooling(memory)
        values = self.output(F.dropout(pooled.values, self.dropout, self.training))
        weights = None if pooled.weights is None else pooled.weights.unsqueeze(1).expand(-1, self.length, -1)
        return values.view(-1, self.length, self.width), weights

    def steps(self, positions: Tensor) -> Tensor:
        """How many steps ``[B]`` are told of memories of so many positions ``[B]``: the same of all that have any."""
        return positions.clamp(max=1) * self.length


class Steps(nn.Module):
    """Reads every position, N to N in step: a linear layer, the same at all of them.

    Args:
        size: Labels or numbers.
        structure: Makes what turns outputs into labels or numbers, given ``size``; see ``nn.independent`` and
            ``nn.estimates``. It takes ``size`` outputs for each step, or says its ``width``.
        dropout: Share of the memory's features dropped.
        memory_dim, summary_dim: Of the memory.
    """

    def __init__(
        self,
        *,
        size: int,
        structure: Callable[..., nn.Module],
        dropout: float,
        memory_dim: int,
        summary_dim: int,
    ) -> None:
        super().__init__()
        check_rates(dropout=dropout)
        self.structure: Any = structure(size=size)
        self.output = nn.Linear(memory_dim, getattr(self.structure, "width", size))
        self.dropout = dropout

    def forward(self, memory: Memory) -> tuple[Tensor, None]:
        """A memory to ``[B, S, width]``."""
        return self.output(F.dropout(memory.values, self.dropout, self.training)), None

    def steps(self, positions: Tensor) -> Tensor:
        """How many steps ``[B]`` are read in memories of so many positions ``[B]``: each."""
        return positions


class Both(nn.Module):
    """Reads an input as a whole and every position of it, N to 1 and N to N at once: the first step is the whole.

    Args:
        size: Labels of both together.
        labels: The names of those of the positions.
        whole: Makes the head that reads the input as a whole, see ``Whole``.
        steps: Makes the one that reads every position, see ``Steps``.
        memory_dim, summary_dim: Of the memory.
    """

    def __init__(
        self,
        *,
        size: int,
        labels: Sequence[str],
        whole: Callable[..., Whole],
        steps: Callable[..., Steps],
        memory_dim: int,
        summary_dim: int,
    ) -> None:
        super().__init__()
        if not 0 < len(labels) < size:
            raise ConfigError("this model gives a label for each step and one for the whole: choose target=joint")
        sizes = {"memory_dim": memory_dim, "summary_dim": summary_dim}
        self.whole, self.steps_head = whole(size=size - len(labels), **sizes), steps(size=len(labels), **sizes)
        self.structure = Joint(whole=self.whole.structure, steps=self.steps_head.structure)

    def forward(self, memory: Memory) -> tuple[Tensor, None]:
        """A memory to ``[B, 1 + S, size]``, of which a step's own labels have scores and the others zeros."""
        return beside(self.whole(memory)[0], self.steps_head(memory)[0]), None

    def steps(self, positions: Tensor) -> Tensor:
        """How many steps ``[B]`` are read in memories of so many positions ``[B]``: one more."""
        return positions + 1
