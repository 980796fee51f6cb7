"""Products in 8 bits, for decoding on a CPU. Everything that depends on how torch does this is in this file.

The kernel is oneDNN's, by way of ``torch.ops.onednn.qlinear_pointwise``: what torch's compiler emits for models that
torchao has quantised, and therefore maintained; the older ``torch.ao.quantization.quantize_dynamic`` is being removed
in favour of torchao, and takes one scale for a whole batch, so that a sentence's result would depend on its neighbours.
Here each row has a scale of its own, found as it comes; each row of the weights has one too.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seq2seq.errors import ConfigError

LEVELS = 127
"""Steps on each side of zero"""
MIDDLE = 128
"""The kernel is fast for unsigned inputs, so that zero lies in the middle of their range"""


def available() -> bool:
    """Whether this processor multiplies 8-bit numbers exactly and fast (x86 with AVX512-VNNI, or AMX).

    Older ones sum neighbouring products in 16 bits, which can overflow.
    """
    supported = getattr(torch.cpu, "_is_vnni_supported", None)
    return bool(supported and supported()) and hasattr(torch.ops.onednn, "qlinear_pointwise")


class Int8Linear(nn.Module):
    """A linear layer whose weights are whole numbers from -127 to 127, for use without gradients.

    The weights of output o are wq[o] · w_scale[o], a row of inputs is xq · x_scale; the product of the whole numbers is
    exact. Relative error of a product of normally distributed numbers: about 0.008.

    Args:
        linear: Whose weights to take; on the CPU.
        bounded: Whether inputs lie within -1 and 1, as what leaves a tanh does: their scale is then 1/127 and need not
            be looked for.

    Raises:
        ConfigError: This processor cannot do it, or the weights lie elsewhere.
    """

    def __init__(self, linear: nn.Linear, *, bounded: bool = False) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        if not available() or weight.device.type != "cpu":
            raise ConfigError("precision=int8 needs an x86 CPU with AVX512-VNNI or AMX: choose bf16 or fp32")
        self.in_features, self.out_features, self.bounded = linear.in_features, linear.out_features, bounded
        self.scales = _largest(weight) / LEVELS
        whole = (weight / self.scales).round().to(torch.int8)
        self.scales = self.scales.flatten()
        self.packed = torch.ops.onednn.qlinear_prepack(whole, None)
        self.zeros = torch.zeros(len(weight), dtype=torch.int32)
        self.bias = None if linear.bias is None else linear.bias.detach().float().clone()

    def forward(self, inputs: Tensor) -> Tensor:
        """``[…, in_features] -> […, out_features]``, fp32."""
        rows = (inputs if inputs.dim() == 2 else inputs.reshape(-1, self.in_features)).float()
        if self.bounded:
            outputs = self._product(rows * LEVELS, self.bias)
        else:
            largest = _largest(rows)
            outputs = self._product(rows * (LEVELS / largest), None).mul_(largest)
            if self.bias is not None:
                outputs += self.bias
        return outputs if inputs.dim() == 2 else outputs.view(*inputs.shape[:-1], self.out_features)

    def _product(self, rows: Tensor, bias: Tensor | None) -> Tensor:
        """The product of rows within -127 and 127, which are overwritten, divided by 127; plus a bias."""
        whole = rows.add_(MIDDLE + 0.5).to(torch.uint8)  # cut off, and so rounded
        given = (whole, 1 / LEVELS, MIDDLE, self.packed, self.scales, self.zeros, bias)
        return torch.ops.onednn.qlinear_pointwise.default(*given, 1.0, 0, torch.float32, "none", [], "")


def _largest(rows: Tensor) -> Tensor:
    """The largest magnitude in each row ``[N, D]``, ``[N, 1]``; at least so much that one can divide by it."""
    return rows.abs().amax(1, keepdim=True).clamp_min_(1e-12)
