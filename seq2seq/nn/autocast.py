"""What autocast does to the inputs of a product, done once by hand where autocast would do it at every step."""

from __future__ import annotations

import torch
from torch import Tensor


def product_dtype(tensor: Tensor) -> torch.dtype:
    """The type that products of such a tensor are computed in here: autocast's where it is on, else its own."""
    device = tensor.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else tensor.dtype


def autocast_to(tensor: Tensor) -> Tensor:
    """The tensor in the type that its products are computed in here."""
    return tensor.to(product_dtype(tensor))
