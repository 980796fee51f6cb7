"""What autocast does to the inputs of a product, done once by hand where autocast would do it at every step."""

from __future__ import annotations

import torch
from torch import Tensor


def autocast_to(tensor: Tensor) -> Tensor:
    """The tensor in the type that products are computed in here: autocast's where it is on, else its own."""
    device = tensor.device.type
    return tensor.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else tensor
