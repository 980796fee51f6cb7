"""torch's own recurrent kernels, cuDNN's on a GPU and oneDNN's for an LSTM on a CPU: a whole sequence in one call.

They equal the loops over the cells' steps, which is where what a cell computes is written down; in bfloat16, where a
kernel rounds the hidden states too, to that rounding. On one thread of a CPU an LSTM's kernel takes 0.2 to 0.9 of the
loop's time, the fewer features the less, those of the others 0.6 to 1 of it (``benchmarks/cells.py``). They have not
been run on a GPU yet.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from seq2seq.nn.autocast import autocast_to, product_dtype
from seq2seq.nn.bf16 import Bf16Reader
from seq2seq.types import Padded

Kernel = Callable[[Any, Padded, tuple[Tensor, ...]], tuple[Tensor, ...]]
"""A cell, its inputs and the state before them to the hidden states ``[B, T, H]``, and the last of what else it has"""

TRAINS = 1 << 14
"""Numbers in the hidden states of a batch from which on the loop trains faster than an LSTM's kernel: it makes the
weights' gradients in fewer products"""
READS = 256
"""Features of a hidden state up to which an LSTM's kernel reads faster in bfloat16 than the loop does in 8 bits"""
CERTAIN = 1e4
"""A gate's value before its activation that opens it wholly, or, negative, shuts it"""
COLUMNS = 16
"""By how many features an input is widened to say that it is padding: one would do, but such sizes multiply faster"""


def fitting(cell: Any, inputs: Tensor, state: tuple[Tensor, ...]) -> Kernel | None:
    """The kernel that can stand in for a cell's loop over these inputs, and is worth it; None where there is none."""
    kernel = _kernel(cell)
    kinds = {type(part) for part in (cell.input, cell.recurrent)}
    if kernel is None or not inputs.numel() or kinds not in ({nn.Linear}, {Bf16Reader}):
        return None
    if inputs.device.type == "cuda":  # where all of a state would be kept in bfloat16
        return kernel if kinds == {nn.Linear} else None
    if inputs.device.type != "cpu" or any(tensor.dtype != torch.float32 for tensor in (inputs, *state)):
        return None
    if kernel is lstm and torch.is_grad_enabled() and state[0].numel() > TRAINS:
        return None
    dtype = product_dtype(cell.input.weight)
    # In bfloat16 the others would keep their states in it too, where what a step adds to a long memory is lost.
    fits = dtype == torch.float32 or (dtype == torch.bfloat16 and kernel is lstm and _mixes())
    return kernel if fits else None


def reads_bf16(cell: Any) -> bool:
    """Whether a cell that only reads is faster by its kernel in bfloat16 than by a loop in 8 bits."""
    return _kernel(cell) is lstm and cell.hidden_dim <= READS and _mixes()


def _kernel(cell: Any) -> Kernel | None:
    """That of a cell's own class: a subclass with a step of its own does not inherit it."""
    return vars(type(cell)).get("kernel")


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
    values, (first, *others) = inputs.values, _weights(cell)
    if values.device.type != "cpu" or int(inputs.lengths.min()) < values.shape[1]:  # a GPU is not waited for
        padding = ~inputs.mask.unsqueeze(2)
        values = values.masked_fill(padding, 0.0)
        values = torch.cat([values, padding.to(values.dtype).expand(-1, -1, COLUMNS)], dim=2)
        hold = first.new_tensor([-CERTAIN, CERTAIN, 0.0, 0.0]).repeat_interleave(cell.hidden_dim)
        first = torch.cat([first, hold.unsqueeze(1).expand(-1, COLUMNS)], dim=1)
    return _run(torch.lstm, values, state, [first, *others])


def _weights(cell: Any) -> list[Tensor]:
    """Those of the inputs and of the hidden state, then the biases of both."""
    bias = cell.input.bias
    return [cell.input.weight, cell.recurrent.weight, bias, torch.zeros_like(bias)]


def _run(kernel: Any, values: Tensor, state: tuple[Tensor, ...], weights: list[Tensor]) -> tuple[Tensor, Tensor]:
    """A kernel's outputs ``[B, T, H]`` and the last tensor ``[B, H]`` of its last state."""
    hidden, *others = state
    weights = [autocast_to(weight) for weight in weights]
    dtype = weights[0].dtype
    # On a CPU an LSTM's cell state stays in fp32, since it sums over many steps; cuDNN wants one type for all.
    others = [part if part.device.type == "cpu" else part.to(dtype) for part in others]
    first = [part.contiguous().unsqueeze(0) for part in (hidden.to(dtype), *others)]
    # By hand, as autocast on a GPU would take float16 for these whatever it is told.
    with torch.autocast(values.device.type, enabled=False):
        training = torch.is_grad_enabled()
        given = [values.to(dtype).contiguous(), first if len(first) > 1 else first[0], weights]
        made = kernel(*given, True, 1, 0.0, training, False, True)
    return made[0].to(hidden.dtype), made[-1].squeeze(0).to(hidden.dtype)


@functools.cache
def _mixes() -> bool:
    """Whether an LSTM's kernel on this CPU multiplies in bfloat16, natively, and keeps its cell state in fp32."""
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    if not (native and native()):
        return False
    values, cell_state = torch.zeros(1, 1, 1, dtype=torch.bfloat16), torch.zeros(1, 1, 1)
    weights = [torch.zeros(4, *shape, dtype=torch.bfloat16) for shape in ((1,), (1,), (), ())]
    try:
        torch.lstm(values, [values, cell_state], weights, True, 1, 0.0, False, False, True)
    except RuntimeError:  # what a version of torch says that wants one type for all
        return False
    return True
