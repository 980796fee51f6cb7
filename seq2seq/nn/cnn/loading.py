"""Pretrained weights into a network: strictly, or one line about what does not fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from seq2seq.errors import ConfigError
from seq2seq.nn.cnn.mobilenet import MobileNetV2
from seq2seq.nn.cnn.network import CNN
from seq2seq.nn.cnn.resnet import ResNet
from seq2seq.nn.cnn.weights import NAMED, Pixels, describe, read_weights

_KNOWN: tuple[Callable[[], CNN], ...] = (
    *(lambda depth=depth: ResNet(depth=depth) for depth in (18, 34, 50, 101)),
    MobileNetV2,
)


def load_pretrained(network: CNN, weights: str) -> Pixels:
    """Loads weights into a network; gives how pictures are put to them, and lets the network pad as they ask.

    A network without a classifier leaves that of the weights out. All else must fit, name by name.

    Args:
        network: One of ``seq2seq.nn.cnn``.
        weights: ``imagenet`` or ``imagenet_v2``, fetched once, or a ``.pth`` or ``.safetensors`` file.

    Raises:
        ConfigError: The weights are those of another network, or unknown.
        DataError: The file cannot be read.
    """
    state, pixels = network.published(weights) if weights in NAMED else (None, describe(weights))
    state = read_weights(weights) if state is None else state
    wanted = network.state_dict()
    if network.head is not None and not any(name.startswith(network.head) for name in wanted):
        state = {name: value for name, value in state.items() if not name.startswith(network.head)}
    if complaint := _complaint(wanted, state):
        raise ConfigError(f"weights={weights}: not the weights of {network.name}: {complaint}; {_guess(state)}")
    network.load_state_dict(state)
    network.pad(pixels.padding)
    return pixels


def fold(network: nn.Module) -> None:
    """Puts each batch norm of a network in evaluation mode into the convolution before it, to rounding.

    The norm becomes the identity and the convolution gets a bias, which is one pass over the features less for each.
    """
    for module in list(network.modules()):
        children = list(module.named_children())
        for (name, convolution), (after, norm) in pairwise(children):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, name, fuse_conv_bn_eval(convolution, norm))
                setattr(module, after, nn.Identity())


def _complaint(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str | None:
    """What does not fit, or None."""
    # Old files do not have the counters, which no result depends on.
    missing = [name for name in wanted if name not in given and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in given if name not in wanted]
    other = [name for name in wanted if name in given and wanted[name].shape != given[name].shape]
    parts = [("missing", missing), ("unexpected", unexpected), ("of another shape", other)]
    return ", ".join(f"{len(names)} keys {what} ({_some(names)})" for what, names in parts if names) or None


def _some(names: list[str]) -> str:
    return ", ".join(names[:2]) + (", …" if len(names) > 2 else "")


def _guess(state: Mapping[str, Tensor]) -> str:
    """What network weights may belong to."""
    shapes = {(name, value.shape) for name, value in state.items()}
    with torch.device("meta"):
        networks = [make() for make in _KNOWN]
    fitting = [net for net in networks if {(name, value.shape) for name, value in net.named_parameters()} <= shapes]
    if not fitting:
        return f"nor of {' or '.join(network.name for network in networks)}: give another file"
    largest = max(fitting, key=lambda network: len(list(network.parameters())))  # a deeper one holds a shallower
    return f"they are those of {largest.name}: choose that network"
