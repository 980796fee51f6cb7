"""A decoder's steps by CUDA graphs: the loop of training where a step feeds the next one, and the step of a search.

Only sizes of ``nn.graphs.bucket`` are recorded. Sources, targets and steps are padded up to the next of them and what
comes out is cut back, which changes no result, as padding never does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from seq2seq.errors import ConfigError
from seq2seq.nn.attention import Keys
from seq2seq.nn.graphs import Graphs, bucket
from seq2seq.types import Memory, Padded, State, map_state


class Recorded:
    """What a decoder's ``unroll`` and ``step`` do where they are recorded.

    Args:
        decoder: A ``StepDecoder`` on a GPU, with weights that stay where they are.
    """

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder
        self._loop = Graphs(lambda given, _: _without_none(*decoder.loop(*given)), weights=list(decoder.parameters()))
        self._step = Graphs(self._stepped)
        self._keys: tuple[Keys | None, Keys | None] = (None, None)  # as they came, and padded

    def unroll(self, tgt_in: Padded, memory: Memory) -> tuple[Tensor, Tensor | None]:
        """``StepDecoder.unroll`` with gradients, for a decoder that loops: outputs and attention."""
        rows, steps = tgt_in.values.shape
        inputs, positions = memory.mask.shape
        spare = bucket(inputs) - inputs
        taller = map_state(lambda tensor: _taller(tensor, spare), widened(memory))
        values = _taller(F.pad(tgt_in.values, (0, bucket(steps) - steps)), spare * rows // inputs)
        keys, state = self._decoder.begun(taller, len(values))
        projected = self._decoder.recurrent.project(self._decoder.embedding(values), state.recurrent)
        outputs, *attention = self._loop((projected, state, keys))
        return outputs[:rows, :steps], attention[0][:rows, :steps, :positions] if attention else None

    def step(self, tokens: Tensor, state: State, keys: Keys) -> tuple[Tensor, Tensor | None, State]:
        """``StepDecoder.step`` without gradients. What it gives is overwritten by a later step."""
        rows, inputs = len(tokens), len(keys.mask)
        spare = bucket(inputs) - inputs
        if keys is not self._keys[0]:
            self._keys = keys, map_state(lambda tensor: _taller(tensor, spare), keys)
        given = map_state(lambda tensor: _taller(tensor, spare * rows // inputs), (tokens, state))
        output, state, *attention = map_state(lambda tensor: tensor[:rows], self._step(given, self._keys[1]))
        return output, attention[0] if attention else None, state

    def _stepped(self, given: tuple[Tensor, State], keys: Keys) -> State:
        output, attention, state = self._decoder.stepped(*given, keys)
        return _without_none(output, state, attention)


def refuse_without_gpu(device: torch.device) -> None:
    """Raises ConfigError where recording would not pay, and says why."""
    if device.type != "cuda":
        raise ConfigError(
            "compile=true records CUDA graphs, for a GPU. On a CPU compiling pays too little: products are 85 % of an "
            "update (73 % in bf16), and a compiled loss saves 0 % (3 %) for 30 seconds of compiling: leave it out"
        )


def use_graphs(network: Any, device: torch.device) -> None:
    """Lets a network's decoder be recorded.

    Raises:
        ConfigError: Where there is nothing to record, or no GPU.
    """
    refuse_without_gpu(device)
    if not hasattr(network, "decoder"):
        raise ConfigError("compile=true records the steps of a decoder, and this model has none: leave it out")
    network.decoder.recorded = Recorded(network.decoder)


def widened(memory: Memory) -> Memory:
    """A memory with as many positions as are recorded; the new ones are padding."""
    spare = bucket(memory.mask.shape[1]) - memory.mask.shape[1]
    return memory._replace(values=F.pad(memory.values, (0, 0, 0, spare)), mask=F.pad(memory.mask, (0, spare)))


def _taller(tensor: Tensor, spare: int) -> Tensor:
    """More rows, like the last one."""
    return torch.cat([tensor, tensor[-1:].expand(spare, *tensor.shape[1:])]) if spare else tensor


def _without_none(*results: State | None) -> State:
    return tuple(result for result in results if result is not None)
