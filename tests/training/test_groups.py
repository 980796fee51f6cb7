"""Parts of a network that learn at rates of their own, and from an update of their own on."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn

from seq2seq.models.vision import ImageEncoder
from seq2seq.nn.cnn.resnet import ResNet
from seq2seq.training.groups import parameter_groups
from seq2seq.types import Padded


def test_a_module_with_a_factor_has_a_group_of_its_own() -> None:
    network = nn.ModuleDict({"slow": nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)), "slower": nn.Linear(1, 1)})
    network["slow"].rate_factor = 0.1
    network["slow"][1].rate_factor = 0.5  # inside another: the outer one decides
    rest, slow = parameter_groups(network, lr=0.4)
    assert [weight.shape for weight in rest["params"]] == [(1, 1), (1,)] and rest["lr"] == 0.4
    assert len(slow["params"]) == 4 and abs(slow["lr"] - 0.04) < 1e-9
    assert len(parameter_groups(nn.Linear(2, 2), lr=1.0)) == 1


def encoder(weights: str) -> ImageEncoder:
    torch.manual_seed(1)
    return ImageEncoder(
        cnn=ResNet(depth=18),
        weights=weights,
        fine_tune_from=3,
        fine_tune_rate=0.01,
        projection=4,
        normalize=False,
        dropout=0.0,
    ).train()


def test_fine_tuning_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    """Law 4, for a network that begins to learn at update 3: stopped after updates 2 and 4, it ends the same."""
    torch.save(ResNet(depth=18).state_dict(), tmp_path / "w.pth")
    pixels = {"size": 32, "shorter": 32, "mean": [0.5] * 3, "std": [0.5] * 3, "padding": "symmetric"}
    (tmp_path / "w.pth.json").write_text(json.dumps(pixels))
    src = Padded(torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8), torch.full((2,), 32))
    first = encoder(str(tmp_path / "w.pth"))
    begun = {name: value.clone() for name, value in first.state_dict().items()}

    def train(network: ImageEncoder, stops: list[int]) -> ImageEncoder:
        optimizer = torch.optim.AdamW(parameter_groups(network, lr=0.1), weight_decay=0.01)
        for update in range(1, 6):
            network.unfreeze(update)
            network.zero_grad(set_to_none=True)
            network(src).values.square().mean().backward()
            optimizer.step()
            frozen = torch.equal(network.cnn.conv1.weight, begun["cnn.conv1.weight"])
            assert frozen == (update < 3)
            if update in stops:
                state = network.state_dict(), optimizer.state_dict()
                network = encoder(str(tmp_path / "w.pth"))
                network.load_state_dict(state[0])
                optimizer = torch.optim.AdamW(parameter_groups(network, lr=0.1), weight_decay=0.01)
                optimizer.load_state_dict(state[1])
        moved = (network.cnn.conv1.weight - begun["cnn.conv1.weight"]).abs().max()
        assert 0 < moved < 0.004  # three steps of a hundredth of the rate
        return network

    whole, stopped = train(first, []), train(encoder(str(tmp_path / "w.pth")), [2, 4])
    for name, value in whole.state_dict().items():
        assert torch.equal(value, stopped.state_dict()[name]), name
