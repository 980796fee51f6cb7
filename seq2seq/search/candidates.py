"""What greedy and beam search share: the limits applied to candidates, and the one way from the device to the host.

Searches keep their books on the host, in numpy, where a dozen small operations cost less than as many launches;
only the log-probabilities and the model's state stay on the device.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seq2seq.errors import UserError

Array = npt.NDArray[Any]


def ban_eos(log_probs: Tensor, banned: Array, eos_id: int) -> Tensor:
    """``log_probs`` [B·W, V] with eos made impossible in all rows of the inputs that are ``banned`` [B]."""
    if not banned.any():
        return log_probs
    rows = _of_rows(banned, log_probs)
    log_probs = log_probs.clone()
    log_probs[:, eos_id].masked_fill_(rows, -torch.inf)
    return log_probs


def only_eos(values: Tensor, tokens: Tensor, log_probs: Tensor, last: Array, eos_id: int) -> tuple[Tensor, Tensor]:
    """The candidates of each row with eos as the only one for inputs at their last step.

    Args:
        values: [B·W, C], log-probabilities of the candidates, best first.
        tokens: [B·W, C], which they are.
        log_probs: [B·W, V], where they come from.
        last: [B], True for inputs whose output must end now.
        eos_id: what ends an output.

    Returns:
        The values and tokens after that: eos keeps its true log-probability.
    """
    if not last.any():
        return values, tokens
    rows = _of_rows(last, values)
    first = torch.arange(values.shape[1], device=values.device) == 0
    eos = torch.where(first, log_probs[:, eos_id, None].to(values.dtype), -torch.inf)
    return torch.where(rows[:, None], eos, values), tokens.masked_fill(rows[:, None], eos_id)


def _of_rows(flags: Array, like: Tensor) -> Tensor:
    """Flags of inputs [B] as flags of rows [N], on the device of ``like`` [N, …]."""
    return torch.from_numpy(flags.repeat(like.shape[0] // len(flags))).to(like.device)


def to_host(*tensors: Tensor) -> list[Array]:
    """Whole numbers and float32 tensors as numpy arrays, in a single transfer; whole numbers must fit 32 bits."""
    if all(tensor.device.type == "cpu" for tensor in tensors):
        return [tensor.numpy() for tensor in tensors]
    words = [tensor.view(torch.int32) if tensor.is_floating_point() else tensor.int() for tensor in tensors]
    flat = torch.cat([word.flatten() for word in words]).cpu().numpy()
    parts = np.split(flat, np.cumsum([tensor.numel() for tensor in tensors])[:-1])
    arrays = [part.reshape(tensor.shape) for part, tensor in zip(parts, tensors)]
    return [
        array.view(np.float32) if tensor.is_floating_point() else array.astype(np.int64)
        for array, tensor in zip(arrays, tensors)
    ]


def leaving(alive: Array) -> Array | None:
    """The inputs to go on with, or None to go on with all of them.

    Leaving the batch copies the memory of those that stay, so that it waits until an eighth of the batch is finished.
    """
    return alive.nonzero()[0] if alive.sum() * 8 <= len(alive) * 7 else None


def refuse_nan(log_probs: Array) -> None:
    """Raises UserError where a model has broken, instead of printing what it says."""
    if np.isnan(log_probs).any():
        raise UserError("the model's log-probabilities are not numbers (NaN): its weights are damaged or it diverged")
