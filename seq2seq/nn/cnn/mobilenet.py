"""MobileNetV2, with torchvision's parameter names, so that weights published for that load into this."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.nn.cnn.network import CNN

_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels, blocks and the stride of the first of them (Sandler et al. 2018, table 2)."""


class MobileNetV2(CNN):
    """MobileNetV2 of width 1 (Sandler et al. 2018): a picture of H x W gives H/32 x W/32 regions of 1280 features.

    Args:
        classes: Of the classifier; None leaves it out.
    """

    name, head, output_dim = "mobilenet_v2", "classifier.", 1280

    def __init__(self, *, classes: int | None = None) -> None:
        super().__init__()
        layers: list[nn.Module] = [_convolved(3, 32, 3, stride=2)]
        channels = 32
        for expansion, width, blocks, first in _STAGES:
            for index in range(blocks):
                stride = first if index == 0 else 1
                layers.append(InvertedResidual(inputs=channels, outputs=width, stride=stride, expansion=expansion))
                channels = width
        layers.append(_convolved(channels, self.output_dim, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = None
        if classes is not None:
            self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(self.output_dim, classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, pictures: Tensor) -> Tensor:
        """Scaled pictures ``[B, 3, H, W]`` to features ``[B, 1280, H/32, W/32]``."""
        return self.features(pictures)

    def logits(self, pictures: Tensor) -> Tensor:
        """Scaled pictures ``[B, 3, H, W]`` to the scores of the classes ``[B, classes]``."""
        assert self.classifier is not None
        return self.classifier(self(pictures).mean((2, 3)))

    def pad(self, padding: str) -> None:
        """Chooses where strided convolutions pad, one of ``weights.PADDINGS``."""
        for module in self.modules():
            if isinstance(module, Strided):
                module.right_first = padding == "right"


class InvertedResidual(nn.Module):
    """Widens, convolves each channel by itself, and narrows without a nonlinearity (Sandler et al. 2018, figure 4d)."""

    def __init__(self, *, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.adds = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            *([] if expansion == 1 else [_convolved(inputs, width, 1)]),
            _convolved(width, width, 3, stride=stride, groups=width),
            nn.Conv2d(width, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, hidden: Tensor) -> Tensor:
        """``[B, inputs, H, W]`` to ``[B, outputs, H/stride, W/stride]``."""
        return hidden + self.conv(hidden) if self.adds else self.conv(hidden)


class Strided(nn.Conv2d):
    """A 3x3 convolution of stride 2, padded on all sides or, with ``right_first``, as TensorFlow's ``SAME``.

    The latter pads an even side by one at its end only, and an odd side by one at both ends.
    """

    right_first = False

    def forward(self, input: Tensor) -> Tensor:
        """``[B, C, H, W]`` to ``[B, C', ⌈H/2⌉, ⌈W/2⌉]``."""
        if self.right_first:
            # An even side is padded by two at both ends and its first window cut off: the others begin where they
            # should, and no padded copy of the input is made, which would take as long as the product.
            even = [side % 2 == 0 for side in input.shape[2:]]
            padding = [1 + each for each in even]
            output = F.conv2d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)
            return output[:, :, int(even[0]) :, int(even[1]) :]
        return super().forward(input)


def _convolved(inputs: int, outputs: int, size: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    kind = nn.Conv2d if stride == 1 else Strided
    convolution = kind(inputs, outputs, size, stride, padding=size // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))
