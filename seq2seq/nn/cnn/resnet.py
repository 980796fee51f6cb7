"""Residual networks, with torchvision's parameter names, so that weights published for those load into these."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.errors import ConfigError
from seq2seq.nn.cnn.network import CNN

_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
"""Blocks of each stage (He et al. 2016, table 1)."""


class ResNet(CNN):
    """A residual network (He et al. 2016), down to its last stage: a picture of H x W gives H/32 x W/32 regions.

    The strided convolution of a bottleneck is its 3x3, as in the published weights, not its first 1x1 as in the paper.

    Args:
        depth: 18, 34, 50 or 101.
        classes: Of the classifier; None leaves it out.
    """

    head = "fc."

    def __init__(self, *, depth: int, classes: int | None = None) -> None:
        super().__init__()
        if depth not in _BLOCKS:
            raise ConfigError(f"depth={depth}: expected one of {', '.join(map(str, _BLOCKS))}")
        block = BasicBlock if depth < 50 else Bottleneck
        self.name, self.output_dim = f"resnet{depth}", 512 * block.expansion
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        stages, channels = [], 64
        for stage, number in enumerate(_BLOCKS[depth]):
            blocks = []
            for index in range(number):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(block(inputs=channels, width=64 << stage, stride=stride))
                channels = (64 << stage) * block.expansion
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.fc = None if classes is None else nn.Linear(channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, pictures: Tensor) -> Tensor:
        """Scaled pictures ``[B, 3, H, W]`` to features ``[B, output_dim, H/32, W/32]``."""
        hidden = F.relu(self.bn1(self.conv1(pictures)), inplace=True)
        hidden = F.max_pool2d(hidden, 3, stride=2, padding=1)
        return self.layer4(self.layer3(self.layer2(self.layer1(hidden))))

    def logits(self, pictures: Tensor) -> Tensor:
        """Scaled pictures ``[B, 3, H, W]`` to the scores of the classes ``[B, classes]``."""
        assert self.fc is not None
        return self.fc(self(pictures).mean((2, 3)))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2016, figure 5 left)."""

    expansion = 1

    def __init__(self, *, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inputs, width, stride)

    def forward(self, hidden: Tensor) -> Tensor:
        """``[B, inputs, H, W]`` to ``[B, width, H/stride, W/stride]``."""
        kept = hidden if self.downsample is None else self.downsample(hidden)
        hidden = F.relu(self.bn1(self.conv1(hidden)), inplace=True)
        return F.relu(self.bn2(self.conv2(hidden)) + kept, inplace=True)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut (He et al. 2016, figure 5 right)."""

    expansion = 4

    def __init__(self, *, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, hidden: Tensor) -> Tensor:
        """``[B, inputs, H, W]`` to ``[B, 4·width, H/stride, W/stride]``."""
        kept = hidden if self.downsample is None else self.downsample(hidden)
        hidden = F.relu(self.bn1(self.conv1(hidden)), inplace=True)
        hidden = F.relu(self.bn2(self.conv2(hidden)), inplace=True)
        return F.relu(self.bn3(self.conv3(hidden)) + kept, inplace=True)


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module | None:
    """A projection where a block changes its input's shape (option B of the paper)."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))
