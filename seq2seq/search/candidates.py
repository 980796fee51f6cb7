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
from seq2seq.types import State, map_state

Array = npt.NDArray[Any]
BLOCK = 64


def best_tokens(log_probs: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` best tokens of each row of ``log_probs`` [N, V]; of equal ones a single best is the lowest id.

    A large vocabulary is cut into blocks, and only the ``count`` blocks with the highest maxima are looked into: the
    best tokens cannot lie elsewhere. The maxima take a plain vectorised pass, where topk would take several.

    Returns:
        float32 values and ids, both [N, C], best first; C is less than ``count`` only where the vocabulary is.
    """
    vocab = log_probs.shape[1]
    blocks = vocab // BLOCK
    if blocks < 4 * count or blocks < 16:
        return _top(log_probs, count)
    maxima = log_probs[:, : blocks * BLOCK].unflatten(1, (blocks, BLOCK)).amax(dim=2)
    inside = torch.arange(BLOCK, device=log_probs.device)
    ids = (_top(maxima, count)[1].sort(dim=1).values[:, :, None] * BLOCK + inside).flatten(1)
    if blocks * BLOCK < vocab:
        rest = torch.arange(blocks * BLOCK, vocab, device=log_probs.device)
        ids = torch.cat([ids, rest.expand(len(ids), -1)], dim=1)
    values, places = _top(log_probs.gather(1, ids), count)
    return values, ids.gather(1, places)


def _top(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    if count == 1:
        best = values.max(dim=1, keepdim=True)
        return best.values.float(), best.indices
    top = values.topk(min(count, values.shape[1]), dim=1)
    return top.values.float(), top.indices


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


def device_of(state: State) -> torch.device:
    """Where the tensors of a state are."""
    devices: list[torch.device] = []

    def visit(tensor: Tensor) -> Tensor:
        devices.append(tensor.device)
        return tensor

    map_state(visit, state)
    return devices[0] if devices else torch.device("cpu")


def to_host(*tensors: Tensor) -> list[Array]:
    """Whole numbers and float32 tensors as numpy arrays, with one transfer; whole numbers must fit 32 bits."""
    if all(tensor.device.type == "cpu" for tensor in tensors):
        return [tensor.numpy() for tensor in tensors]
    return packed_to_host(*tensors)


def packed_to_host(*tensors: Tensor) -> list[Array]:
    """As ``to_host``, by way of a single tensor of 32-bit words, so that the device is waited for only once."""
    words = [tensor.view(torch.int32) if tensor.is_floating_point() else tensor.int() for tensor in tensors]
    flat = torch.cat([word.flatten() for word in words]).cpu().numpy()
    arrays, start = [], 0
    for tensor in tensors:
        part = flat[start : start + tensor.numel()].reshape(tensor.shape)
        arrays.append(part.view(np.float32) if tensor.is_floating_point() else part.astype(np.int64))
        start += tensor.numel()
    return arrays


def leaving(alive: Array) -> Array | None:
    """The inputs to go on with, or None to go on with all of them.

    Leaving the batch copies the memory of those that stay, so that it waits until an eighth of the batch is finished.
    """
    return alive.nonzero()[0] if alive.sum() * 8 <= len(alive) * 7 else None


def refuse_nan(log_probs: Array) -> None:
    """Raises UserError where a model has broken, instead of printing what it says."""
    if np.isnan(log_probs).any():
        raise UserError("the model's log-probabilities are not numbers (NaN): its weights are damaged or it diverged")
