"""A trained network made ready for use: the same modules, with their products computed faster and without gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.errors import ConfigError, nearest
from seq2seq.nn import fused, int8
from seq2seq.nn.bf16 import Bf16Linear, Bf16Reader
from seq2seq.nn.cells import LSTM, Cell

Network = TypeVar("Network", bound=nn.Module)
PRECISIONS = ("auto", "fp32", "bf16", "int8")


class Table(nn.Module):
    """An embedding and the linear layer that reads it as one table: what the layer makes of each token.

    Args:
        embedding: Its weights ``[V, D]``.
        linear: From D features to those of the table.
        dtype: What the table is kept in.
    """

    def __init__(self, *, embedding: Tensor, linear: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.rows = linear(embedding).detach().to(dtype)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Tokens ``[B, T]`` to ``[B, T, features]``, fp32; ``mask`` is for training and None here."""
        return F.embedding(tokens, self.rows).float()


def resolved(precision: str, device: torch.device) -> str:
    """What ``auto`` stands for on a device; any other precision as it is.

    Raises:
        ConfigError: There is no such precision.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"precision={precision}: {nearest(precision, PRECISIONS)}")
    if precision != "auto":
        return precision
    return "int8" if device.type == "cpu" and int8.available() else "fp32"


@torch.no_grad()
def for_inference(network: Network, precision: str, *, listed: bool = False) -> Network:
    """Changes a network in place into one that only decodes and scores, and returns it.

    The decoder's first product becomes a look-up, and with ``bf16`` or ``int8`` the products take that type (the
    readout, and an encoder's LSTMs of few features, bf16 in either case). Results equal those of the network as it was,
    to the rounding of the type.

    Args:
        network: In evaluation mode, on its device.
        precision: ``fp32``, ``bf16``, ``int8`` (on a CPU with VNNI), or ``auto``: ``int8`` where that is exact and
            fast and the network is an encoder and decoder, else ``fp32``.
        listed: Whether it decodes by a shortlist, which takes rows of the output layer: that is bf16 in ``int8`` then.

    Raises:
        ConfigError: This processor cannot compute in this precision.
    """
    decoder: Any = getattr(network, "decoder", None)
    if decoder is None and precision == "auto":
        # What only reads takes a moment in fp32, and its inputs may be numbers of any size, which 8 bits hold badly.
        precision = "fp32"
    precision = resolved(precision, next(network.parameters()).device)
    if decoder is not None:
        _prepare(decoder, precision, listed)
    if precision == "fp32":
        return network
    for module in getattr(network, "encoder", nn.Identity()).modules():
        if isinstance(module, Cell) and (precision == "bf16" or fused.reads_bf16(module)):
            swap(module, Bf16Reader)
    swap(network, Bf16Linear if precision == "bf16" else int8.Int8Linear)
    return network


def _prepare(decoder: Any, precision: str, listed: bool) -> None:
    """Makes of a decoder's parts what no general rule would make of them."""
    first = decoder.recurrent.layers[0][0]
    dtype = torch.float32 if precision == "fp32" else torch.float16
    decoder.embedding = Table(embedding=decoder.embedding.weight, linear=first.input, dtype=dtype)
    if decoder.first_input is not None:
        decoder.first_input.join(first.input)
    first.input = nn.Identity()
    fed = decoder.input_feed and not decoder.attends_first
    if fed and type(first) is LSTM:
        assert first.recurrent is not None and first.feedback is not None
        first.recurrent, first.feedback, first.joined = _joined(first.recurrent, first.feedback), None, True
    if precision != "int8":
        return
    if fed and first.feedback is not None:
        first.feedback = int8.Int8Linear(first.feedback, bounded=True)  # it reads what leaves a tanh …
    if listed:  # what is packed for 8 bits has no rows that could be taken
        decoder.output = Bf16Linear(decoder.output)
    else:
        decoder.output = int8.Int8Linear(decoder.output, bounded=True)  # … and so does this
    # Most of a decoder's hidden features are near zero and a few are near one: 8 bits for both would cost more here
    # than in all other products together.
    decoder.readout = Bf16Linear(decoder.readout)


def _joined(one: nn.Linear, other: nn.Linear) -> nn.Linear:
    """The layer that reads what two layers read, one after the other, and gives the sum of what they give."""
    joined = nn.Linear(one.in_features + other.in_features, one.out_features, bias=False)
    joined.weight.data = torch.cat([one.weight, other.weight], dim=1)
    return joined


def swap(module: nn.Module, make: Callable[[nn.Linear], nn.Module]) -> None:
    """Replaces every linear layer in a tree of modules."""
    for name, child in module.named_children():
        if type(child) is nn.Linear:
            setattr(module, name, make(child))
        else:
            swap(child, make)
