"""Image encoders: law 1 over regions, frozen and learning networks, and memories of the size they promise."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from seq2seq.errors import ConfigError
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.models.vision import ImageEncoder, RegionEncoder
from seq2seq.nn.cnn.mobilenet import MobileNetV2
from seq2seq.nn.cnn.network import CNN
from seq2seq.nn.cnn.resnet import ResNet
from seq2seq.nn.cnn.small import SmallCNN
from seq2seq.objects import build
from seq2seq.types import Padded, select
from tests.models.networks import decoder, row, tokens
from tests.nn.helpers import close, random, shaken


def encoder(cnn: CNN | None = None, **changes: Any) -> ImageEncoder:
    torch.manual_seed(4)
    options = {
        "weights": None,
        "fine_tune_from": None,
        "fine_tune_rate": 0.1,
        "projection": 6,
        "normalize": False,
        "dropout": 0.0,
    }
    return ImageEncoder(cnn=cnn or SmallCNN(channels=[8, 16]), **{**options, **changes})


def photos(count: int, side: int = 32) -> Padded:
    generator = torch.Generator().manual_seed(5)
    pixels = torch.randint(0, 256, (count, side, side, 3), generator=generator, dtype=torch.uint8)
    return Padded(pixels, torch.full((count,), side))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of ResNet-18's weights, with statistics unlike those of a new network."""
    torch.manual_seed(6)
    network = ResNet(depth=18, classes=3)
    network.train()(torch.randn(4, 3, 32, 32))
    path = tmp_path_factory.mktemp("weights") / "some.pth"
    torch.save(network.state_dict(), path)
    pixels = {"size": 32, "shorter": 32, "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.2, 0.3], "padding": "symmetric"}
    path.with_name("some.pth.json").write_text(json.dumps(pixels))
    return str(path)


@pytest.mark.parametrize(("projection", "normalize"), [(None, False), (5, False), (5, True)])
def test_padding_changes_nothing(projection: int | None, normalize: bool) -> None:
    built = shaken(RegionEncoder(input_dim=4, projection=projection, normalize=normalize, dropout=0.0))
    assert built.memory_dim == built.summary_dim == (projection or 4)
    lengths = torch.tensor([3, 1, 7])
    values = random(3, 7, 4)
    memory = built(Padded(values, lengths))
    longer = built(Padded(torch.cat([values, 99 * torch.ones(3, 2, 4)], 1), lengths))
    assert memory.mask.sum(1).tolist() == [3, 1, 7] and longer.mask.sum(1).tolist() == [3, 1, 7]
    close(memory.summary, longer.summary)
    for number, length in enumerate(lengths.tolist()):
        alone = built(Padded(values[number : number + 1, :length], lengths[number : number + 1]))
        close(alone.values[0], memory.values[number, :length])
        close(alone.summary, select(memory.summary, torch.tensor([number])))
        close(memory.values[number, :length].mean(0), memory.summary[0][0][number])


def test_normalized_regions_are_as_large_whatever_their_features_are() -> None:
    built = RegionEncoder(input_dim=4, projection=64, normalize=True, dropout=0.0)
    small, large = (built(Padded(scale * (1 + random(2, 3, 4)), torch.tensor([3, 3]))).values for scale in (10, 1000))
    for values in (small, large):
        close(values.mean(2), torch.zeros(2, 3))
        close(values.var(2, unbiased=False), torch.ones(2, 3), 1e-3)


def test_refuses_regions_of_another_size() -> None:
    built = RegionEncoder(input_dim=4, projection=None, normalize=False, dropout=0.0)
    with pytest.raises(ConfigError, match=r"regions of 5 features, but the encoder was built for 4: .*input_dim=5"):
        built(Padded(random(2, 3, 5), torch.tensor([3, 3])))


@pytest.mark.parametrize("cnn", [lambda: SmallCNN(channels=[8, 16]), lambda: ResNet(depth=18), MobileNetV2])
def test_a_picture_has_one_memory_whatever_lies_beside_it(cnn: type[CNN]) -> None:
    built, src = encoder(cnn()).eval(), photos(3, side=64)
    memory = built(src)
    assert memory.values.shape[2] == built.memory_dim == built.summary_dim == 6 and memory.mask.all()
    alone = built(Padded(src.values[1:2], src.lengths[1:2]))
    close((alone.values, alone.summary), select((memory.values, memory.summary), torch.tensor([1])), 1e-4)


def test_regions_come_row_by_row() -> None:
    built, src = encoder(projection=None).eval(), photos(2)
    grid = built.cnn((src.values.permute(0, 3, 1, 2) / 255 - 0.5) / 0.5)
    values = built(src).values
    assert values.shape == (2, 64, 16)
    close(values[:, 8 * 2 + 5], grid[:, :, 2, 5])


def test_a_frozen_network_stays_as_it_came(weights: str) -> None:
    built, src = encoder(ResNet(depth=18), weights=weights).train(), photos(2)
    plain = ResNet(depth=18)
    plain.load_state_dict({k: v for k, v in torch.load(weights).items() if not k.startswith("fc.")})
    scaled = (src.values.permute(0, 3, 1, 2) / 255 - torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1)) / torch.tensor(
        [0.2, 0.2, 0.3]
    ).view(3, 1, 1)
    expected = plain.eval()(scaled).flatten(2).transpose(1, 2)
    close(built.features(src.values), expected, tolerance=1e-3)  # rounded to half precision
    kept = [value.clone() for value in built.cnn.state_dict().values()]
    built(src).values.sum().backward()
    assert all(weight.grad is None and not weight.requires_grad for weight in built.cnn.parameters())
    assert all(torch.equal(a, b) for a, b in zip(kept, built.cnn.state_dict().values()))
    assert built.regions.projection is not None and built.regions.projection.weight.grad is not None


def test_kept_features_give_the_memory_of_their_pictures(weights: str) -> None:
    built, src = encoder(ResNet(depth=18), weights=weights).eval(), photos(3)
    assert built.cacheable
    kept = built.features(src.values).half()  # as a file holds them
    features = Padded(kept.float(), torch.full((3,), kept.shape[1]))
    for given, expected in zip(built(features), built(src)):
        assert torch.equal(given, expected) if isinstance(given, Tensor) else torch.equal(given[0][0], expected[0][0])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(built.features(src.values).half(), kept)


def test_learns_from_the_update_that_it_was_told(weights: str) -> None:
    built, src = encoder(ResNet(depth=18), weights=weights, fine_tune_from=3).train(), photos(2)
    assert not built.cacheable and built.cnn.rate_factor == 0.1
    statistics = built.cnn.bn1.running_mean.clone()
    for update, learns in ((1, False), (2, False), (3, True), (4, True), (2, False)):
        built.zero_grad()
        built.unfreeze(update)
        built(src).values.square().sum().backward()
        assert (built.cnn.conv1.weight.grad is not None) == learns, update
        assert (built.cnn.bn1.weight.grad is not None) == learns, update
    assert torch.equal(built.cnn.bn1.running_mean, statistics)


def test_learns_from_scratch_from_the_first_update_on() -> None:
    built = encoder(ResNet(depth=18), fine_tune_from=7).train()
    built.unfreeze(1)
    built(photos(2)).values.square().sum().backward()
    assert built.cnn.conv1.weight.grad is not None and built.cnn.rate_factor == 1.0
    assert built.cnn.bn1.running_mean.abs().max() > 0  # batch norm learns its statistics
    with pytest.raises(ConfigError, match=r"fine_tune_from=0: expected the number of an update"):
        encoder(fine_tune_from=0)


@pytest.mark.parametrize("fine_tune_from", [None, 2])
def test_is_built_again_without_the_file(weights: str, tmp_path: Path, fine_tune_from: int | None) -> None:
    node: dict[str, Any] = {
        "_target_": "seq2seq.models.vision.ImageEncoder",
        "cnn": {"_target_": "seq2seq.nn.cnn.resnet.ResNet", "depth": 18},
        "weights": weights,
        "fine_tune_from": fine_tune_from,
        "fine_tune_rate": 0.1,
        "projection": 6,
        "normalize": True,
        "dropout": 0.1,
    }
    built = build(node, at="model.encoder").eval()
    save_model(built, str(tmp_path / "weights.safetensors"))
    stored = json.loads(json.dumps({**node, **built.settled}))
    assert stored["weights"] is None
    again = build(stored, at="model.encoder", trusted=())
    load_model(again, str(tmp_path / "weights.safetensors"))
    src = photos(2)
    close(again.eval()(src).values, built(src).values)
    assert again.pretrained and again.cacheable == built.cacheable and again.fingerprint() == built.fingerprint()


@pytest.mark.parametrize("attention", ["general", "multi_head", "none"])
def test_a_decoder_reads_a_picture_as_it_reads_a_sentence(attention: str) -> None:
    """Laws 1 and 2 from end to end: regions in any number, and ``unroll`` equals looping ``step``."""
    made = partial(decoder, attention=attention, bridge="projected", order="luong")
    built = shaken(
        EncoderDecoder(
            encoder=RegionEncoder(input_dim=4, projection=6, normalize=True, dropout=0.0), decoder=made, tying="none"
        )
    )
    src = Padded(random(3, 7, 4), torch.tensor([3, 1, 7]))
    tgt = tokens(2, 5, 4)
    outputs = built(src, tgt).outputs
    for number in range(3):
        close(built(row(src, number), row(tgt, number)).outputs[0], outputs[number, : tgt.lengths[number]])
    step, state = built.begin(built.encode(src))
    expected = built.logits(outputs).log_softmax(-1)
    for place in range(2):
        log_probs, state = step(tgt.values[:, place], state)
        close(log_probs, expected[:, place])


def test_what_features_depend_on_has_a_fingerprint(weights: str) -> None:
    built, other = (encoder(ResNet(depth=18), weights=weights) for _ in range(2))
    assert built.fingerprint() == other.fingerprint()
    with torch.no_grad():
        other.cnn.conv1.weight[0, 0, 0, 0] += 1
    assert built.fingerprint() != other.fingerprint()
    assert encoder().settled == {}


def test_dropout_acts_on_the_memory_in_training_only() -> None:
    built, src = encoder(dropout=0.5).eval(), photos(2)
    plain = built(src)
    dropped = built.train()(src)
    kept = dropped.values != 0
    assert 0.2 < kept.float().mean() < 0.8
    close(dropped.values[kept], 2 * plain.values[kept])
    close(dropped.summary, plain.summary)
    assert isinstance(built.cnn, nn.Module) and built.cnn.training


def test_a_picture_without_regions_does_no_harm() -> None:
    encoder = RegionEncoder(input_dim=4, projection=None, normalize=False, dropout=0.0)
    memory = encoder(Padded(torch.zeros(2, 3, 4), torch.tensor([0, 2])))
    assert memory.mask.tolist() == [[True, True, True], [True, True, False]]
    assert memory.values[0].abs().sum() == 0 and torch.isfinite(memory.summary[0][0]).all()
