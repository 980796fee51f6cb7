"""The gradients of all processes, added up while they are still being computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from seq2seq.training.distributed import Processes
from seq2seq.training.shared import Shared, shared

BUCKET = 1 << 23
"""Bytes that are sent at once: few enough for the first to leave early, enough for each to be worth it"""


class _Bucket:
    """Some parameters of one type, whose gradients travel as one tensor.

    Args:
        parameters: Which they are.
        flat: The tensor; None for one of its own.
    """

    def __init__(self, parameters: list[nn.Parameter], flat: Tensor | None = None) -> None:
        self.parameters = parameters
        sizes = [parameter.numel() for parameter in parameters]
        self.flat = parameters[0].new_zeros(sum(sizes)) if flat is None else flat
        self.parts = [part.view_as(like) for part, like in zip(self.flat.split(sizes), parameters)]
        self.waiting = len(parameters)

    def fill(self) -> None:
        """Takes the gradients in. A missing one counts as zeros."""
        for parameter, part in zip(self.parameters, self.parts):
            if parameter.grad is None:
                part.zero_()
            else:
                part.copy_(parameter.grad)
            parameter.grad = part  # where the sum will be


class Reduction:
    """Adds up the gradients of all processes (Li et al. 2020, "PyTorch Distributed", section 3.2).

    The parameters are put into buckets in the reverse of their order, which is about that in which a backward pass
    comes to them. A bucket leaves when its last gradient is there and those before it have left: all processes send
    them in the same order, whatever the order of their gradients. Processes on the CPUs of one machine send nothing:
    their buckets lie in memory that all see, and are added up at the end, in less time than sending them takes.

    Args:
        parameters: Whose gradients; the same in all processes.
        processes: Which they are. One alone has nothing to add up.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, processes: Processes) -> None:
        self.processes = processes
        self._parameters = list(parameters)[::-1] if processes.size > 1 else []
        self._hooks: list[RemovableHandle] = []
        self._left = 0
        """How many buckets are on their way"""
        self._waits: list[Callable[[], None]] = []
        self._had: set[Tensor] = set()
        self._overlaps = False
        self._choose([parameter.requires_grad for parameter in self._parameters])

    @contextmanager
    def overlapping(self) -> Iterator[None]:
        """Within it is the backward pass that completes this process's gradients."""
        self._overlaps = True
        try:
            yield
        finally:
            self._overlaps = False

    def finish(self) -> list[bool | None]:
        """Sends what has not left yet and waits for the sums, which then are the parameters' gradients.

        Returns:
            Of each parameter whether this process had a gradient, None where it does not learn: for ``whole``.
        """
        self._send(len(self._buckets))
        for wait in self._waits:
            wait()
        if self._shared is not None:
            self._shared.add()
        self._left, self._waits = 0, []
        for bucket in self._buckets:
            bucket.waiting = len(bucket.parameters)
        had, self._had = self._had, set()
        return [parameter in had if parameter.requires_grad else None for parameter in self._parameters]

    def whole(self, had: list[list[bool | None]]) -> bool:
        """Whether the sums hold, given what ``finish`` has returned in each process.

        They do not, and must be made again, where a parameter has begun or ceased to learn. Those that had a gradient
        nowhere have none afterwards, as it is with one process alone.
        """
        learning = [any(one is not None for one in each) for each in zip(*had)]
        if learning != self._learning:
            self._choose(learning)
            return False
        for parameter, *each in zip(self._parameters, *had):
            if not any(each):
                parameter.grad = None
        return True

    def _choose(self, learning: list[bool]) -> None:
        """Makes buckets of the parameters that learn."""
        self._learning = learning
        learners = [parameter for parameter, learns in zip(self._parameters, learning) if learns]
        self._shared = _shared(learners, self.processes)
        groups = list(_groups(learners))
        if self._shared is None:
            self._buckets = [_Bucket(group) for group in groups]
        else:
            rows = self._shared.own.split([sum(parameter.numel() for parameter in group) for group in groups])
            self._buckets = [_Bucket(group, row) for group, row in zip(groups, rows)]
        for hook in self._hooks:
            hook.remove()
        self._hooks = [
            parameter.register_post_accumulate_grad_hook(partial(self._arrived, bucket))
            for bucket in self._buckets
            for parameter in bucket.parameters
            if parameter.requires_grad  # one that learns elsewhere already has to wait for its first batch here
        ]

    def _arrived(self, bucket: _Bucket, parameter: Tensor) -> None:
        if self._overlaps:
            bucket.waiting -= 1
            ahead = self._buckets[self._left :]
            ready = next((number for number, other in enumerate(ahead) if other.waiting), len(ahead))
            self._send(self._left + ready)

    def _send(self, end: int) -> None:
        """Sends the buckets up to the one numbered ``end``."""
        for bucket in self._buckets[self._left : end]:
            self._had.update(parameter for parameter in bucket.parameters if parameter.grad is not None)
            bucket.fill()
            if self._shared is None:
                self._waits.append(self.processes.add(bucket.flat))
        self._left = end


def _shared(parameters: list[nn.Parameter], processes: Processes) -> Shared | None:
    """Memory for the gradients of all processes, where there are any, of one type, and on the CPU."""
    kinds = {(parameter.dtype, parameter.device) for parameter in parameters}
    if len(kinds) != 1 or parameters[0].device.type != "cpu":
        return None
    numbers = sum(parameter.numel() for parameter in parameters)
    return shared(numbers, parameters[0].dtype, processes=processes)


def _groups(parameters: list[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Those that a bucket is filled with."""
    kept: list[nn.Parameter] = []
    size = 0
    for parameter in parameters:
        bytes_ = parameter.numel() * parameter.element_size()
        if kept and (size + bytes_ > BUCKET or (parameter.dtype, parameter.device) != (kept[0].dtype, kept[0].device)):
            yield kept
            kept, size = [], 0
        kept.append(parameter)
        size += bytes_
    if kept:
        yield kept
