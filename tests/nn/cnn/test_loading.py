"""Pretrained weights: what fits is loaded, what does not is told in one line, and their pixels come with them."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from seq2seq.errors import ConfigError, DataError
from seq2seq.nn.cnn import weights
from seq2seq.nn.cnn.loading import load_pretrained
from seq2seq.nn.cnn.mobilenet import MobileNetV2, Strided
from seq2seq.nn.cnn.resnet import ResNet
from seq2seq.nn.cnn.small import SmallCNN
from seq2seq.nn.cnn.timm import TimmCNN
from seq2seq.nn.cnn.weights import NAMED, Pixels, describe

PIXELS = {"size": 64, "shorter": 72, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.1], "padding": "symmetric"}


def written(path: Path, network: nn.Module, **changes: Any) -> str:
    """A network's weights in a file, and what is said about them in another beside it."""
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    path.with_name(f"{path.name}.json").write_text(json.dumps({**PIXELS, **changes}))
    return str(path)


@pytest.mark.parametrize("name", ["some.pth", "some.safetensors"])
def test_loads_a_file_with_or_without_its_classifier(tmp_path: Path, name: str) -> None:
    torch.manual_seed(3)
    origin = ResNet(depth=18, classes=10)
    file = written(tmp_path / name, origin)
    whole, part = ResNet(depth=18, classes=10), ResNet(depth=18)
    assert load_pretrained(whole, file) == load_pretrained(part, file) == Pixels(**PIXELS)
    assert all(torch.equal(value, origin.state_dict()[key]) for key, value in whole.state_dict().items())
    assert all(torch.equal(value, origin.state_dict()[key]) for key, value in part.state_dict().items())


def test_loads_files_from_before_batches_were_counted(tmp_path: Path) -> None:
    origin = ResNet(depth=18)
    state = {name: value for name, value in origin.state_dict().items() if "num_batches" not in name}
    torch.save(state, tmp_path / "old.pth")
    (tmp_path / "old.pth.json").write_text(json.dumps(PIXELS))
    network = ResNet(depth=18)
    load_pretrained(network, str(tmp_path / "old.pth"))
    assert torch.equal(network.conv1.weight, origin.conv1.weight)


def test_weights_say_how_their_network_pads(tmp_path: Path) -> None:
    network = MobileNetV2()
    load_pretrained(network, written(tmp_path / "tf.pth", network, padding="right"))
    assert all(module.right_first for module in network.modules() if isinstance(module, Strided))


def test_weights_of_another_network_are_told_in_one_line(tmp_path: Path) -> None:
    file = written(tmp_path / "some.pth", ResNet(depth=34, classes=10))
    for network in (ResNet(depth=50), MobileNetV2()):
        with pytest.raises(ConfigError) as told:
            load_pretrained(network, file)
        line = str(told.value)
        assert f"not the weights of {network.name}" in line and "they are those of resnet34" in line
        assert "keys missing (" in line and "\n" not in line
    with pytest.raises(ConfigError, match=r"96 keys unexpected \(layer1.2.conv1.weight, .*they are those of resnet34"):
        load_pretrained(ResNet(depth=18), file)
    with pytest.raises(ConfigError, match=r"1 keys of another shape \(layers.0.weight\).*nor of resnet18"):
        load_pretrained(SmallCNN(channels=[16]), written(tmp_path / "s.pth", Narrow(channels=[16])))


class Narrow(SmallCNN):
    """As another version of the small network may have been."""

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        state = super().state_dict(*args, **kwargs)
        return {**state, "layers.0.weight": state["layers.0.weight"][:, :2]}


def test_the_pixels_of_unknown_files_must_be_described(tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    torch.save(MobileNetV2().state_dict(), path)
    with pytest.raises(ConfigError, match=r'not known; say so in mine.pth.json beside it, for example \{"size": 224'):
        describe(str(path))
    path.with_name("mine.pth.json").write_text('{"size": 224}')
    with pytest.raises(DataError, match=r"mine.pth.json: expected one object with size, shorter, mean, std, padding"):
        describe(str(path))
    path.with_name("mine.pth.json").write_text(json.dumps({**PIXELS, "padding": "rigth"}))
    with pytest.raises(ConfigError, match=r"mine.pth.json: pixels: padding='rigth': did you mean 'right'"):
        describe(str(path))


def test_known_files_are_known_by_their_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "renamed.pth"
    path.write_bytes(b"some weights")
    known = Pixels(size=96, shorter=96, mean=(0.5,) * 3, std=(0.5,) * 3, padding="right")
    monkeypatch.setitem(weights.OTHERS, hashlib.sha256(b"some weights").hexdigest()[:8], known)
    assert describe(str(path)) == known
    assert describe("imagenet").shorter == 256 and describe("imagenet_v2").shorter == 232


def test_refuses_files_that_are_no_weights(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"weights=imagnet: no such file .* did you mean 'imagenet'"):
        describe("imagnet")
    for name, content in {"cut.pth": b"PK\x03\x04 cut", "cut.safetensors": b"\x09"}.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / f"{name}.json").write_text(json.dumps(PIXELS))
        with pytest.raises(DataError, match=name) as told:
            load_pretrained(MobileNetV2(), str(tmp_path / name))
        assert "\n" not in str(told.value)
    torch.save({"epoch": 3, "model": {}}, tmp_path / "whole.pth")
    (tmp_path / "whole.pth.json").write_text(json.dumps(PIXELS))
    with pytest.raises(DataError, match=r"whole.pth: expected tensors by name"):
        load_pretrained(MobileNetV2(), str(tmp_path / "whole.pth"))
    torch.save({"x": Path("/")}, tmp_path / "code.pth")
    (tmp_path / "code.pth.json").write_text(json.dumps(PIXELS))
    with pytest.raises(DataError, match=r"code.pth: holds more than tensors"):
        load_pretrained(MobileNetV2(), str(tmp_path / "code.pth"))


def test_published_weights_are_fetched_once_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "HOME", (tmp_path / "server").as_uri())
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    (tmp_path / "server").mkdir()
    origin = MobileNetV2(classes=1000)
    torch.save(origin.state_dict(), tmp_path / "server" / "some.pth")
    content = (tmp_path / "server" / "some.pth").read_bytes()
    name = f"mobilenet_v2-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    monkeypatch.setitem(weights.FILES, ("mobilenet_v2", "imagenet"), name)
    network = MobileNetV2()
    with pytest.raises(ConfigError, match=r"weights=imagenet: file.* cannot be fetched .*give its path"):
        load_pretrained(network, "imagenet")
    (tmp_path / "server" / name).write_bytes(content[:-1] + b"x")
    with pytest.raises(ConfigError, match=r"cannot be fetched \(invalid hash value"):
        load_pretrained(network, "imagenet")
    (tmp_path / "server" / name).write_bytes(content)
    for _ in range(2):
        assert load_pretrained(network, "imagenet") == NAMED["imagenet"]
        (tmp_path / "server" / name).unlink(missing_ok=True)
    assert torch.equal(network.features[0][0].weight, origin.features[0][0].weight)
    with pytest.raises(ConfigError, match="weights=imagenet_v2: none are published for resnet18; known are: imagenet"):
        load_pretrained(ResNet(depth=18), "imagenet_v2")
    with pytest.raises(ConfigError, match="none are published for small_cnn"):
        load_pretrained(SmallCNN(channels=[8]), "imagenet")


class Patches(nn.Module):
    """As timm's transformers answer: a row for each token, the class token first."""

    num_features, num_prefix_tokens = 12, 1

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 16, stride=16)

    def forward_features(self, pictures: torch.Tensor) -> torch.Tensor:
        rows = self.conv(pictures).flatten(2).transpose(1, 2)
        return torch.cat([100 + rows[:, :1], rows], 1)


def test_networks_of_timm_by_its_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"input_size": (3, 96, 96), "crop_pct": 0.75, "mean": (0.1, 0.2, 0.3), "std": (0.5, 0.5, 0.5)}
    data = SimpleNamespace(resolve_model_data_config=lambda network: facts)
    made = []

    def create_model(name: str, *, pretrained: bool, num_classes: int) -> nn.Module:
        assert num_classes == 0
        made.append(pretrained)
        return Patches()

    known = {"is_model": lambda name: name == "vit_x", "list_models": lambda: ["vit_x"], "create_model": create_model}
    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(data=data, **known))
    monkeypatch.setitem(sys.modules, "timm.data", data)
    network = TimmCNN(model="vit_x")
    assert load_pretrained(network, "imagenet") == Pixels(
        size=96, shorter=128, mean=(0.1, 0.2, 0.3), std=(0.5, 0.5, 0.5), padding="symmetric"
    )
    assert made == [False, True]
    grid = network(torch.zeros(2, 3, 96, 96))
    assert grid.flatten(2).shape == (2, 12, 36) and grid.abs().max() < 50
    with pytest.raises(ConfigError, match=r"timm has no such network: did you mean 'vit_x'"):
        TimmCNN(model="vit_y")


def test_a_network_of_timm() -> None:
    pytest.importorskip("timm")
    network = TimmCNN(model="resnet18")
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 512, 2, 2)


def test_timm_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=r"pip install 'seq2seq\[timm\]'"):
        TimmCNN(model="resnet18")
