"""Products in bfloat16, for a trained network."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class Bf16Linear(nn.Module):
    """A linear layer that multiplies in bfloat16; what comes in and out is fp32.

    Args:
        linear: Whose weights to take.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = linear.weight.detach().bfloat16()
        self.bias = None if linear.bias is None else linear.bias.detach().bfloat16()

    def forward(self, inputs: Tensor) -> Tensor:
        """``[…, in_features] -> […, out_features]``."""
        return F.linear(inputs.bfloat16(), self.weight, self.bias).float()


class Bf16Reader(Bf16Linear):
    """One of a cell that reads whole sequences and never takes a single step, so that a kernel, which rounds hidden
    states to bfloat16 too, may stand in for its loop (``nn.fused``)."""
