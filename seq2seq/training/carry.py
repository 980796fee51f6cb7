"""States that go over from a batch to the next one: truncated backpropagation through time (Williams & Peng 1990)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import torch

from seq2seq.types import Batch, State, map_state

States: TypeAlias = dict[int, State]
"""By the index of an example, the state after its last step, without a batch axis"""


class Carry:
    """Keeps the states that examples end in, for those that go on from them.

    What a try at an update keeps counts from the next update on, once it is settled that the try holds: until then all
    that is done again begins from the same states. Within a try, the batches of a group go on from each other.
    """

    def __init__(self) -> None:
        self.states: States = {}
        """Those that the last update has left"""
        self.fresh: States = {}
        """Those of the present try, in this process"""

    def begin(self) -> None:
        """Begins a try."""
        self.fresh = {}

    def onto(self, batch: Batch) -> Batch:
        """The batch with the state that each row goes on from: zeros where there is none, None where there is no one.

        Only what says whom it follows is changed.
        """
        if batch.follows is None:
            return batch
        found = [self._after(index) for index in batch.follows]
        like = next((state for state in found if state is not None), None)
        if like is None:
            return batch
        zeros = map_state(torch.zeros_like, like)
        return batch._replace(state=_stacked([zeros if state is None else state for state in found]))

    def keep(self, indices: Sequence[int], state: State) -> None:
        """Keeps the states after some examples, given as a model has them: rows of a batch, one for each index."""
        if state is not None:
            here = map_state(torch.Tensor.cpu, state)
            # Copies: a view of a row would take all rows with it, into a checkpoint and to other processes.
            self.fresh |= {index: _row(here, row) for row, index in enumerate(indices)}

    def settle(self, kept: Iterable[States]) -> None:
        """Ends an update: what its try has kept, in each process, is all that there is now."""
        self.states = {index: state for states in kept for index, state in states.items()}
        self.begin()

    def state_dict(self) -> States:
        """What a resumed run must know."""
        return self.states

    def load_state_dict(self, states: States) -> None:
        """Goes on from what ``state_dict`` gave."""
        self.states = states
        self.begin()

    def _after(self, index: int | None) -> State:
        return None if index is None else self.fresh.get(index, self.states.get(index))


def _row(state: State, row: int) -> State:
    return map_state(lambda tensor: tensor[row].clone(), state)


def _stacked(states: list[State]) -> State:
    """States of single rows as that of a batch."""
    if isinstance(states[0], tuple):
        return tuple(_stacked(list(parts)) for parts in zip(*states))
    return torch.stack(states)
