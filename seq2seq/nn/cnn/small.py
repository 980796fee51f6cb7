"""A small convolutional network for training from scratch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.errors import ConfigError
from seq2seq.nn.cnn.network import CNN

_WAVES = 6
"""Cosines along each side of the grid that a place is told by"""


class SmallCNN(CNN):
    """Pairs of 3x3 convolutions, each pair halving the picture: H x W gives H/2ⁿ x W/2ⁿ regions after n pairs.

    A picture is first brought to a mean of 0 and a variance of 1 over all of its pixels. Without, an even background
    is most of what the layers pass on, and the forms before it are learned late.

    To the features of every region is added a learned sum of cosines over the grid, the place's own: of a picture
    that looks alike everywhere, a decoder could not tell left from right. Nothing is normalised over batches, so that
    a picture's features do not depend on the pictures beside it; at this depth, weights that begin at the right size
    (He et al. 2015, eq. 10) do as well.

    Args:
        channels: Of each pair.
    """

    name = "small_cnn"

    def __init__(self, *, channels: Sequence[int]) -> None:
        super().__init__()
        if not channels or min(channels) < 1:
            raise ConfigError(f"channels={list(channels)}: expected the width of one pair of convolutions or more")
        self.output_dim = channels[-1]
        layers: list[nn.Module] = []
        inputs = 3
        for width in channels:
            for stride in (2, 1):
                layers += [nn.Conv2d(inputs, width, 3, stride=stride, padding=1), nn.ReLU(inplace=True)]
                inputs = width
        self.layers = nn.Sequential(*layers)
        self.places = nn.Parameter(torch.empty(self.output_dim, _WAVES, _WAVES))
        nn.init.normal_(self.places, std=1 / _WAVES)
        for layer in layers[::2]:
            assert isinstance(layer, nn.Conv2d) and layer.bias is not None
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, pictures: Tensor) -> Tensor:
        """Scaled pictures ``[B, 3, H, W]`` to features ``[B, output_dim, H/2ⁿ, W/2ⁿ]``."""
        pixels = pictures.permute(0, 2, 3, 1)  # in the order in which pictures come, which is ten times as fast
        grid = self.layers(F.layer_norm(pixels, pixels.shape[1:]).permute(0, 3, 1, 2))
        down, right = (_cosines(side, self.places) for side in grid.shape[2:])
        return grid + torch.einsum("cij,iy,jx->cyx", self.places, down, right).to(grid.dtype)


def _cosines(side: int, like: Tensor) -> Tensor:
    """cos(πk(n + ½) / side) for every wave k and place n, ``[_WAVES, side]``."""
    places = torch.arange(side, device=like.device, dtype=like.dtype) + 0.5
    waves = torch.arange(_WAVES, device=like.device, dtype=like.dtype)
    return torch.cos(math.pi / side * torch.outer(waves, places))
