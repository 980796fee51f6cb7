"""torch's own recurrent kernels, cuDNN's on a GPU: a whole sequence in one call.

They equal the loops over the cells' steps, which is where what a cell computes is written down. On one thread of a CPU
an LSTM's kernel reads 32 sequences or more in 0.84 to 0.94 of the loop's time; in training they gain nothing (-1 to
+7 %), a single padded sequence takes 1.55 times as long, and bfloat16 the kernels do not know. They have not been run
on a GPU yet.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from seq2seq.nn.autocast import autocast_to
from seq2seq.types import Padded

SOME = 32
"""Sequences from which on a kernel is worth it on a CPU"""
CERTAIN = 1e4
"""A gate's value before its activation that opens it wholly, or, negative, shuts it"""
COLUMNS = 16
"""By how many features an input is widened to say that it is padding: one would do, but such sizes multiply faster"""


def fits(cell: Any, inputs: Tensor, state: tuple[Tensor, ...]) -> bool:
    """Whether a kernel can stand in for a cell's loop over these inputs."""
    if any(type(part) is not nn.Linear for part in (cell.input, cell.recurrent)):
        return False
    if inputs.device.type == "cuda":
        return True
    plain = all(tensor.dtype == torch.float32 for tensor in (inputs, cell.input.weight, *state))
    reads = len(inputs) >= SOME and not torch.is_grad_enabled()
    return inputs.device.type == "cpu" and reads and plain and not torch.is_autocast_enabled("cpu")


def elman(cell: Any, inputs: Padded, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """``Elman.unroll``: the hidden states ``[B, T, H]``."""
    return _run(torch.rnn_tanh, inputs.values, state, _weights(cell))[:1]


def gru(cell: Any, inputs: Padded, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """``GRU.unroll``: the hidden states ``[B, T, H]``."""
    *weights, others = _weights(cell)
    recurrent_bias = torch.cat([others[: 2 * cell.hidden_dim], cell.bias_candidate])
    return _run(torch.gru, inputs.values, state, [*weights, recurrent_bias])[:1]


def lstm(cell: Any, inputs: Padded, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """``LSTM.unroll``: the hidden states ``[B, T, H]``, and the cell state ``[B, H]`` after each sequence's last step.

    The kernel tells the cell state after the last step of all only. So a sequence's padding says, by features of its
    own, that nothing is to be written then and nothing forgotten, which leaves the cell state as it was.
    """
    padding = ~inputs.mask.unsqueeze(2)
    values = inputs.values.masked_fill(padding, 0.0)
    values = torch.cat([values, padding.to(values.dtype).expand(-1, -1, COLUMNS)], dim=2)
    first, *others = _weights(cell)
    hold = first.new_tensor([-CERTAIN, CERTAIN, 0.0, 0.0]).repeat_interleave(cell.hidden_dim)
    widened = torch.cat([first, hold.unsqueeze(1).expand(-1, COLUMNS)], dim=1)
    return _run(torch.lstm, values, state, [widened, *others])


def _weights(cell: Any) -> list[Tensor]:
    """Those of the inputs and of the hidden state, then the biases of both."""
    bias = cell.input.bias
    return [cell.input.weight, cell.recurrent.weight, bias, torch.zeros_like(bias)]


def _run(kernel: Any, values: Tensor, state: tuple[Tensor, ...], weights: list[Tensor]) -> tuple[Tensor, Tensor]:
    """A kernel's outputs ``[B, T, H]`` and the last tensor ``[B, H]`` of its last state."""
    dtype = state[0].dtype
    values, *rest = (autocast_to(tensor).contiguous() for tensor in (values, *weights, *state))
    given, first = rest[: len(weights)], [part.unsqueeze(0) for part in rest[len(weights) :]]
    # By hand, as autocast on a GPU would take float16 for these whatever it is told.
    with torch.autocast(values.device.type, enabled=False):
        training = torch.is_grad_enabled()
        made = kernel(values, first if len(first) > 1 else first[0], given, True, 1, 0.0, training, False, True)
    return made[0].to(dtype), made[-1].squeeze(0).to(dtype)
