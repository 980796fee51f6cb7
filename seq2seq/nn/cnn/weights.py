"""Pretrained weights of image networks: their files, and how pictures must be put to them.

A weights file says nothing of the pictures that it was trained on, and with other pixels a network still answers, only
worse. So scaling, size and padding belong to the weights: they are known here for published files, recognised by their
content, and stand in a file beside the weights, ``FILE.json``, for all others.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seq2seq.errors import ConfigError, DataError, nearest

PADDINGS = ("symmetric", "right")
"""Where a 3x3 convolution of stride 2 pads: on all sides, as torch does; or right and bottom first, as TensorFlow's
``SAME`` does, by which the two see pixels that are one apart."""


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """How pictures are put to a network."""

    size: int
    """Side of the square that the network sees, in pixels"""
    shorter: int
    """What a picture's shorter side is brought to before the square is cut out of its middle"""
    mean: Sequence[float]
    """Of red, green and blue, as shares of 255; taken off"""
    std: Sequence[float]
    """Likewise; divided by"""
    padding: str
    """One of ``PADDINGS``"""

    def __post_init__(self) -> None:
        for name in ("mean", "std"):  # lists, where they come from a file
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not 0 < self.size <= self.shorter:
            raise ConfigError(f"pixels: a square of {self.size} cannot be cut out of a shorter side of {self.shorter}")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ConfigError(f"pixels: expected mean and std of three colours, not {self.mean} and {self.std}")
        if self.padding not in PADDINGS:
            raise ConfigError(f"pixels: padding={self.padding!r}: {nearest(self.padding, PADDINGS)}")

    def node(self) -> dict[str, Any]:
        """The configuration that makes it again."""
        values = {key: list(v) if isinstance(v, tuple) else v for key, v in dataclasses.asdict(self).items()}
        return {"_target_": f"{type(self).__module__}.{type(self).__name__}", **values}


SCRATCH = Pixels(size=64, shorter=64, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), padding="symmetric")
"""For networks that are trained from scratch: -1 to 1."""
_IMAGENET = Pixels(size=224, shorter=256, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), padding="symmetric")
NAMED = {"imagenet": _IMAGENET, "imagenet_v2": dataclasses.replace(_IMAGENET, shorter=232)}
"""torchvision's two sets of ImageNet weights, IMAGENET1K_V1 and IMAGENET1K_V2, with its evaluation transforms."""
FILES = {
    ("resnet18", "imagenet"): "resnet18-f37072fd.pth",
    ("resnet34", "imagenet"): "resnet34-b627a593.pth",
    ("resnet50", "imagenet"): "resnet50-0676ba61.pth",
    ("resnet50", "imagenet_v2"): "resnet50-11ad3fa6.pth",
    ("resnet101", "imagenet"): "resnet101-63fe2227.pth",
    ("resnet101", "imagenet_v2"): "resnet101-cd907fc2.pth",
    ("mobilenet_v2", "imagenet"): "mobilenet_v2-b0353104.pth",
    ("mobilenet_v2", "imagenet_v2"): "mobilenet_v2-7ebf99e0.pth",
}
"""By network and set. The eight digits are the first of the file's sha256."""
HOME = "https://download.pytorch.org/models"
OTHERS = {
    # google-coral's tf2_mobilenet_v2_1.0_224_ptq, made float again.
    "c98830c2": Pixels(size=224, shorter=224, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), padding="right"),
}
"""Files from elsewhere, by the first digits of their sha256."""


def describe(weights: str) -> Pixels:
    """How pictures are put to weights.

    Args:
        weights: ``imagenet`` or ``imagenet_v2``, or a file.

    Raises:
        ConfigError: Nothing is known about the file.
        DataError: It cannot be read.
    """
    if weights in NAMED:
        return NAMED[weights]
    path = Path(weights)
    if not path.is_file():
        hint = "check the path" if path.suffix else nearest(weights, NAMED)
        raise DataError(f"weights={weights}: no such file (looked in {Path.cwd()}), and no known name; {hint}")
    beside = path.with_name(f"{path.name}.json")
    if beside.is_file():
        return _read_pixels(beside)
    known = {name.rpartition("-")[2][:8]: NAMED[which] for (_, which), name in FILES.items()} | OTHERS
    found = known.get(_sha256(path)[:8])
    if found is None:
        example = dataclasses.asdict(_IMAGENET)
        raise ConfigError(
            f"weights={weights}: how pictures are put to this network is not known; say so in {beside.name} beside it, "
            f"for example {json.dumps(example)} (padding: {' or '.join(PADDINGS)})"
        )
    return found


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _read_pixels(path: Path) -> Pixels:
    try:
        node = json.loads(path.read_text(encoding="utf-8"))
        return Pixels(**node)
    except (OSError, ValueError, TypeError) as error:
        if isinstance(error, ConfigError):
            raise ConfigError(f"{path}: {error}") from error
        names = ", ".join(field.name for field in dataclasses.fields(Pixels))
        raise DataError(f"{path}: expected one object with {names} ({error})") from error


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a ``.pth`` or ``.safetensors`` file, by name; nothing in it is run.

    Raises:
        DataError: The file is damaged, or holds something else.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if Path(path).suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, EOFError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as weights ({_first_line(error)}); fetch it again") from error
    except Exception as error:  # of the unpickler, which refuses all but tensors by errors of its own
        raise DataError(f"{path}: holds more than tensors, which is not loaded ({_first_line(error)})") from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise DataError(f"{path}: expected tensors by name: save them with torch.save(model.state_dict(), …)")
    return dict(state)


def fetch(network: str, which: str) -> dict[str, Tensor]:
    """The published weights of a network, kept by torch's hub and checked by their sha256.

    Args:
        network: Such as ``resnet50``.
        which: ``imagenet`` or ``imagenet_v2``.

    Raises:
        ConfigError: There are none, or they cannot be fetched.
    """
    if (network, which) not in FILES:
        known = [name for kind, name in FILES if kind == network]
        choice = f"known are: {', '.join(known)}" if known else "it learns from scratch, by data.weights=null"
        raise ConfigError(f"weights={which}: none are published for {network}; {choice}")
    url = f"{HOME}/{FILES[network, which]}"
    try:
        return torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: the checksum
        raise ConfigError(
            f"weights={which}: {url} cannot be fetched ({_first_line(error)}); fetch it otherwise and give its path "
            "(model.encoder.weights=FILE), or learn from scratch (data/cnn=small data.weights=null data.pixels=64)"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
