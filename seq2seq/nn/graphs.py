"""CUDA graphs: work on a GPU that is recorded once for each shape of its inputs, and then asked for by one call.

A step of a recurrent network is some thirty small kernels, which a GPU finishes sooner than a host can ask for them. A
recording needs memory of its own, weights that stay where they are, and shapes that do not change: hence ``bucket``.
It has not been run on a GPU yet; all but ``record`` itself is tested on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from seq2seq.types import State, map_state

Work = Callable[[State, State], State]
"""From what changes from call to call, and what stays for several, to a nest of tensors. It must neither ask for a
tensor's values nor make shapes of them"""


def bucket(count: int) -> int:
    """The size that is recorded for ``count`` rows or steps: four for each power of two, so at most a fourth more."""
    grain = 1 << max(count.bit_length() - 3, 0)
    return -(-count // grain) * grain


class Graphs:
    """A function's recordings, by the shapes of its inputs.

    Results are overwritten by the next call with the same shapes: what is to last must be copied, or used before.

    Args:
        work: The function.
        weights: What gets gradients besides the inputs, where gradients are on.
        most: How many recordings are kept; the one that has not been used for longest goes. Each keeps its inputs and
            outputs and their gradients; what lies between them shares one memory.
    """

    def __init__(self, work: Work, *, weights: Sequence[Tensor] = (), most: int = 64) -> None:
        self._work, self._weights, self._most = work, weights, most
        self._recordings: dict[Any, _Recording] = {}
        self._pool: Any = None

    def __call__(self, changing: State, fixed: State = ()) -> State:
        """What the function gives. ``fixed`` is not copied anew while it is the same object."""
        given = [*_tensors(changing), *_tensors(fixed)]
        device = given[0].device.type
        key: tuple[Any, ...] = tuple((tensor.shape, tensor.dtype, tensor.requires_grad) for tensor in given)
        key += (torch.is_grad_enabled(), torch.is_inference_mode_enabled())
        key += (torch.is_autocast_enabled(device), torch.get_autocast_dtype(device))
        recording = self._recordings.pop(key, None)
        if recording is None:
            while len(self._recordings) >= self._most:
                self._recordings.pop(next(iter(self._recordings)))
            weights = [weight for weight in self._weights if weight.requires_grad and torch.is_grad_enabled()]
            self._pool = self._pool or pool(given[0].device)
            recording = _Recording(self._work, changing, fixed, weights, self._pool)
        self._recordings[key] = recording  # the one used last stands last
        return recording(changing, fixed)


class _Recording:
    """A function for one shape: the memory that its inputs are copied to, and what is replayed on it."""

    def __init__(self, work: Work, changing: State, fixed: State, weights: list[Tensor], pool: Any) -> None:
        self._weights, self._work = weights, work
        self._changing, self._fixed = map_state(_own, changing), map_state(_own, fixed)
        self._copied: State = None
        wanted = [tensor for tensor in (*_tensors(self._changing), *_tensors(self._fixed)) if tensor.requires_grad]
        self._wanted, self._gradients = [*wanted, *weights], list[Tensor]()
        device = next(_tensors(self._changing)).device
        # A run that is resumed makes its recordings at other times: they must draw no random numbers. Casts that
        # autocast keeps must not be recorded as if they were there for ever.
        devices = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices), torch.autocast(device.type, **_autocast(device), cache_enabled=False):
            warm(self._once, device)
            outputs, self._forward = record(self._run, pool)
            self._outputs = map_state(lambda tensor: tensor.detach(), outputs)
            if self._wanted:
                self._gradients = [torch.zeros_like(tensor) for tensor in _tensors(self._live) if tensor.requires_grad]
                self._found, self._backward = record(self._derived, pool)

    def __call__(self, changing: State, fixed: State) -> State:
        inputs = [*_tensors(changing), *_tensors(fixed)]
        _fill(self._changing, changing)
        if fixed is not self._copied or self._wanted:
            _fill(self._fixed, fixed)
            self._copied = fixed
        if not self._wanted:
            self._forward()
            return self._outputs
        made = iter(_Replayed.apply(self, *inputs, *self._weights))
        return map_state(lambda _: next(made), self._outputs)

    def forward(self) -> tuple[Tensor, ...]:
        """The outputs for the inputs that were copied."""
        self._forward()
        return tuple(tensor.detach() for tensor in _tensors(self._outputs))

    def backward(self, gradients: Sequence[Tensor]) -> Iterator[Tensor | None]:
        """The gradients of the inputs and the weights, given those of the outputs."""
        learned = [gradient for gradient, output in zip(gradients, _tensors(self._live)) if output.requires_grad]
        for kept, gradient in zip(self._gradients, learned):
            kept.copy_(gradient)
        self._backward()
        found = iter(self._found)
        for tensor in (*_tensors(self._changing), *_tensors(self._fixed), *self._weights):
            made = next(found) if tensor.requires_grad else None
            # A copy, since a gradient may be added to what the next replay gives.
            yield None if made is None else made.clone()

    def _run(self) -> State:
        self._live = self._work(self._changing, self._fixed)
        return self._live

    def _derived(self) -> tuple[Tensor | None, ...]:
        outputs = [tensor for tensor in _tensors(self._live) if tensor.requires_grad]
        return torch.autograd.grad(outputs, self._wanted, self._gradients, allow_unused=True)

    def _once(self) -> None:
        outputs = [tensor for tensor in _tensors(self._run()) if tensor.requires_grad]
        if self._wanted:
            torch.autograd.grad(outputs, self._wanted, [torch.ones_like(t) for t in outputs], allow_unused=True)


class _Replayed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, recording: _Recording, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.recording = recording
        return recording.forward()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return None, *ctx.recording.backward(gradients)


def record(work: Callable[[], Any], pool: Any) -> tuple[Any, Callable[[], None]]:
    """What some work gives, not yet computed, and a function that computes it, each time in the same memory."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):  # other threads may make batches
        made = work()
    return made, graph.replay


def warm(work: Callable[[], None], device: torch.device) -> None:
    """Does some work a few times, so that what happens once only is not recorded."""
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        for _ in range(3):
            work()
    torch.cuda.current_stream(device).wait_stream(stream)


def pool(device: torch.device) -> Any:
    """Memory that recordings share for what lies between their inputs and outputs."""
    return torch.cuda.graph_pool_handle()


def _autocast(device: torch.device) -> dict[str, Any]:
    kind = device.type
    return {"enabled": torch.is_autocast_enabled(kind), "dtype": torch.get_autocast_dtype(kind)}


def _own(tensor: Tensor) -> Tensor:
    return tensor.detach().clone().requires_grad_(tensor.requires_grad)


@torch.no_grad()
def _fill(kept: State, given: State) -> None:
    for one, other in zip(_tensors(kept), _tensors(given)):
        one.copy_(other)


def _tensors(state: State) -> Iterator[Tensor]:
    """All tensors of a nest of tuples, in order."""
    found: list[Tensor] = []
    map_state(lambda tensor: found.append(tensor) or tensor, state)  # type: ignore[func-returns-value]
    yield from found
