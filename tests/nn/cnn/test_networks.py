"""Image networks: the shapes of the papers, the names of torchvision, and the answers of published weights."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from seq2seq.errors import ConfigError
from seq2seq.nn.cnn.loading import fold, load_pretrained
from seq2seq.nn.cnn.mobilenet import MobileNetV2, Strided
from seq2seq.nn.cnn.network import CNN
from seq2seq.nn.cnn.resnet import ResNet
from seq2seq.nn.cnn.small import SmallCNN
from tests.nn.helpers import Network, close, random

# Of torchvision's documentation: "num_params".
PARAMETERS = {"resnet18": 11689512, "resnet34": 21797672, "resnet50": 25557032, "resnet101": 44549160}
NAMES = {
    "resnet18": "conv1.weight bn1.running_mean layer1.0.conv1.weight layer2.0.downsample.1.bias layer4.1.bn2.bias",
    "resnet50": "bn1.num_batches_tracked layer1.0.downsample.0.weight layer3.5.conv3.weight layer4.2.bn3.running_var",
    "mobilenet_v2": "features.0.1.bias features.1.conv.1.weight features.2.conv.2.weight features.17.conv.3.bias "
    "features.18.1.running_var classifier.1.weight",
}


@pytest.mark.parametrize("depth", [18, 34, 50, 101])
def test_resnets_have_the_sizes_and_names_of_torchvision(depth: int) -> None:
    with torch.device("meta"):
        network = ResNet(depth=depth, classes=1000)
        grid = network(torch.empty(2, 3, 224, 224))
        assert network.logits(torch.empty(2, 3, 224, 224)).shape == (2, 1000)
    assert grid.shape == (2, network.output_dim, 7, 7) and network.output_dim == (512 if depth < 50 else 2048)
    assert sum(weight.numel() for weight in network.parameters()) == PARAMETERS[network.name]
    state = network.state_dict()
    assert state["fc.weight"].shape == (1000, network.output_dim)
    assert set(NAMES.get(network.name, "").split()) <= set(state)


def test_mobilenet_has_the_size_and_names_of_torchvision() -> None:
    with torch.device("meta"):
        network = MobileNetV2(classes=1000)
        assert network(torch.empty(2, 3, 224, 224)).shape == (2, 1280, 7, 7)
    assert sum(weight.numel() for weight in network.parameters()) == 3504872
    state = network.state_dict()
    assert len(state) == 314 and set(NAMES["mobilenet_v2"].split()) <= set(state)


@pytest.mark.parametrize("name", [*PARAMETERS, "mobilenet_v2"])
def test_networks_answer_as_those_of_torchvision(name: str) -> None:
    models = pytest.importorskip("torchvision.models")
    made = MobileNetV2(classes=9) if name == "mobilenet_v2" else ResNet(depth=int(name[6:]), classes=9)
    origin = settled(getattr(models, name)(num_classes=9))
    assert list(made.state_dict()) == list(origin.state_dict())
    made.load_state_dict(origin.state_dict())
    pictures = random(2, 3, 64, 64)
    close(made.eval().logits(pictures), origin(pictures))


def test_refuses_a_depth_that_there_is_not() -> None:
    with pytest.raises(ConfigError, match=r"depth=20: expected one of 18, 34, 50, 101"):
        ResNet(depth=20)


@pytest.mark.parametrize("side", [(8, 8), (7, 10), (9, 5)])
def test_pads_like_tensorflow(side: tuple[int, int]) -> None:
    """Against SAME written out: ⌈n/2⌉ windows; what they lack of n is padded, the odd pixel at the end."""
    convolution = Strided(4, 4, 3, stride=2, padding=1, groups=4, bias=False)
    pictures = random(2, 4, *side)
    close(convolution(pictures), F.conv2d(pictures, convolution.weight, stride=2, padding=1, groups=4))
    convolution.right_first = True
    lack = [2 * (-(-n // 2) - 1) + 3 - n for n in side]
    sides = (lack[1] // 2, lack[1] - lack[1] // 2, lack[0] // 2, lack[0] - lack[0] // 2)
    close(convolution(pictures), F.conv2d(F.pad(pictures, sides), convolution.weight, stride=2, groups=4))


def test_padding_is_chosen_for_the_whole_network() -> None:
    network, pictures = settled(MobileNetV2()), random(1, 3, 32, 32)
    plain = network(pictures)
    network.pad("right")
    assert (network(pictures) - plain).abs().max() > 1e-4
    with pytest.raises(ConfigError, match="padding=right: resnet18 pads on all sides only"):
        ResNet(depth=18).pad("right")


@pytest.mark.parametrize("make", [lambda: ResNet(depth=18), lambda: ResNet(depth=50), MobileNetV2])
def test_folding_batch_norms_changes_nothing(make: type[CNN]) -> None:
    network, pictures = settled(make()), random(2, 3, 64, 64)
    plain = network(pictures)
    fold(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    folded = network(pictures)
    assert plain.std() > 0
    close(folded / plain.abs().max(), plain / plain.abs().max())


def test_the_small_network_knows_places_and_keeps_pictures_apart() -> None:
    torch.manual_seed(1)
    network = SmallCNN(channels=[8, 16, 16])
    pictures = random(3, 3, 64, 64)
    grid = network.train()(pictures)
    assert grid.shape == (3, 16, 8, 8)
    close(network(pictures[1:2])[0], grid[1])
    flat = network(torch.zeros(1, 3, 64, 64))[0]
    assert (flat[:, 3, 3] - flat[:, 3, 4]).abs().max() > 1e-3  # an even picture, and yet two places differ
    assert network(random(1, 3, 48, 80)).shape == (1, 16, 6, 10)
    with pytest.raises(ConfigError, match=r"channels=\[\]: expected the width of one pair"):
        SmallCNN(channels=[])


def test_the_small_network_sees_through_fog() -> None:
    torch.manual_seed(1)
    network, pictures = SmallCNN(channels=[8, 16, 16]), random(3, 3, 64, 64)
    close(network(0.3 * pictures + 0.6), network(pictures), 1e-3)


@pytest.mark.skipif("SEQ2SEQ_DATA" not in os.environ, reason="SEQ2SEQ_DATA names no folder with cnn/ and flickr8k/")
def test_published_weights_know_a_dog() -> None:
    from PIL import Image

    root = Path(os.environ["SEQ2SEQ_DATA"])
    network = MobileNetV2(classes=1000)
    load_pretrained(network, str(next((root / "cnn").glob("mobilenet_v2*.pth"))))
    photos = ["3239480519_22540b5016.jpg", "2942133798_e57c862a90.jpg", "497579819_f91b26f7d3.jpg"]
    pixels = torch.stack([pixels_of(Image.open(root / "flickr8k" / "images" / name)) for name in photos])
    best = network.eval().logits(pixels.permute(0, 3, 1, 2) / 127.5 - 1).topk(5).indices
    assert ((best[:, :3] >= 151) & (best[:, :3] <= 268)).all()  # ImageNet's breeds of dogs
    assert best[:, 0].tolist() == [232, 218, 191]  # a Border collie, a Welsh springer spaniel, an Airedale


def pixels_of(picture: object) -> torch.Tensor:
    import numpy as np

    return torch.from_numpy(np.array(picture))


def settled(network: Network) -> Network:
    """The network in evaluation mode, with statistics as after some training."""
    generator = torch.Generator().manual_seed(2)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.1, generator=generator)
    return network.eval()
