"""Kept features: computed once, found by content, and whole whatever interrupted them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from seq2seq.data.feature_cache import CachedImages, FeatureStore
from seq2seq.data.fields import Field
from seq2seq.data.images import ImageField
from seq2seq.errors import ConfigError, DataError


class Network:
    """Mean colours of the four quarters, and a count of the pictures it has seen. May be killed."""

    def __init__(self, patience: int = 1000) -> None:
        self.seen, self.patience = 0, patience

    def __call__(self, pictures: Tensor) -> Tensor:
        self.seen += len(pictures)
        if self.seen > self.patience:
            raise KeyboardInterrupt
        quarters = pictures.float().reshape(len(pictures), 2, 4, 2, 4, 3).mean((2, 4))
        return quarters.flatten(1, 2) / 255


def photos(folder: Path, count: int) -> list[str]:
    random = np.random.default_rng(7)
    folder.mkdir(exist_ok=True)
    for number in range(count):
        Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / f"{number}.png")
    return [str(folder / f"{number}.png") for number in range(count)]


def images(**changes: Any) -> ImageField:
    return ImageField(**{"size": 8, "crop": "center", "flip": False, "on_error": "stop", **changes})


def cached(tmp_path: Path, network: Network, **changes: Any) -> CachedImages:
    kind = {"images": images(), "fingerprint": "one", "cache": tmp_path / "cache", "say": print, "batch_size": 3}
    return CachedImages(extract=network, **{**kind, **changes})


def test_features_are_those_of_the_network_and_computed_once(tmp_path: Path) -> None:
    raws, network = photos(tmp_path / "photos", 8), Network()
    field: Field = cached(tmp_path, network)
    encoded = field.encode_all([*raws, raws[0]])
    expected = Network()(torch.from_numpy(np.stack(images().encode_all(raws))))
    assert network.seen == 8 and all(each.dtype == np.float16 and each.shape == (4, 3) for each in encoded)
    batch = field.collate(encoded)
    assert batch.values.dtype == torch.float32 and batch.lengths.tolist() == [4] * 9
    assert torch.equal(batch.values[:8], expected.half().float()) and torch.equal(batch.values[8], batch.values[0])
    for again in (field, cached(tmp_path, network)):
        assert all(np.array_equal(a, b) for a, b in zip(again.encode_all(raws), encoded))
    assert network.seen == 8
    assert field.size == 8 and field.fingerprint() == images().fingerprint()
    assert field.save(tmp_path, "src") == images().save(tmp_path, "src")


def test_other_weights_or_another_size_have_other_features(tmp_path: Path) -> None:
    raws, network = photos(tmp_path / "photos", 2), Network()
    cached(tmp_path, network).encode_all(raws)
    cached(tmp_path, network, fingerprint="two").encode_all(raws)
    cached(tmp_path, network, images=images(shorter=16)).encode_all(raws)
    assert network.seen == 6


def test_a_picture_is_known_by_its_content(tmp_path: Path) -> None:
    raws, network = photos(tmp_path / "photos", 3), Network()
    (tmp_path / "copy.png").write_bytes(Path(raws[1]).read_bytes())
    field = cached(tmp_path, network)
    encoded = field.encode_all([str(tmp_path / "copy.png"), *raws])
    assert network.seen == 3 and np.array_equal(encoded[0], encoded[2])
    Path(raws[0]).write_bytes(Path(raws[2]).read_bytes())
    assert np.array_equal(cached(tmp_path, network).encode_all(raws)[0], encoded[3])
    assert network.seen == 3


@pytest.mark.parametrize("damage", ["none", "half a row", "a row without its key", "half a key"])
def test_goes_on_after_it_was_killed(tmp_path: Path, damage: str) -> None:
    raws, whole = photos(tmp_path / "photos", 10), cached(tmp_path / "whole", Network())
    expected = whole.encode_all(raws)
    with pytest.raises(KeyboardInterrupt):
        cached(tmp_path, Network(patience=6)).encode_all(raws)
    (folder,) = (tmp_path / "cache").glob("features-*")
    size = expected[0].nbytes
    assert (folder / "rows").stat().st_size == 6 * size
    extra = {"half a row": size // 2 + 1, "a row without its key": size, "half a key": size}.get(damage, 0)
    with (folder / "rows").open("ab") as file:
        file.write(b"x" * extra)
    with (folder / "keys").open("ab") as file:
        file.write(b"x" * (20 if damage == "half a key" else 0))
    network = Network()
    assert all(np.array_equal(a, b) for a, b in zip(cached(tmp_path, network).encode_all(raws), expected))
    assert network.seen == 4
    assert all(np.array_equal(a, b) for a, b in zip(cached(tmp_path, network).encode_all(raws), expected))
    assert network.seen == 4


def test_two_who_fill_one_store_do_not_disturb_each_other(tmp_path: Path) -> None:
    one, two = (FeatureStore(folder=tmp_path) for _ in range(2))
    rows = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    keys = [bytes([i]) * 32 for i in range(4)]
    one.append(keys[:2], rows[:2])
    two.append([keys[1], keys[2]], rows[1:3])
    one.append(keys[3:], rows[3:])
    assert len(one) == 4 and len(two) == 3 and len(FeatureStore(folder=tmp_path)) == 4
    for store in (one, FeatureStore(folder=tmp_path)):
        assert np.array_equal(np.stack(store.take([store.place(key) for key in keys])), rows)
    assert two.place(keys[3]) is None and two.take([]) == []


def test_refuses_what_cannot_be_kept(tmp_path: Path) -> None:
    store = FeatureStore(folder=tmp_path / "store")
    with pytest.raises(DataError, match="larger than half precision holds"):
        store.append([b"k" * 32], np.full((1, 2, 3), 1e6, np.float32))
    store.append([b"k" * 32], np.zeros((1, 2, 3)))
    with pytest.raises(DataError, match=r"holds features of shape \(2, 3\), not \(2, 4\)"):
        store.append([b"l" * 32], np.zeros((1, 2, 4)))
    for changes in ({"flip": True}, {"crop": "random"}):
        with pytest.raises(ConfigError, match="show another picture every time"):
            cached(tmp_path, Network(), images=images(**changes))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match=r"the cache .* cannot be written"):
        cached(tmp_path, Network(), cache=tmp_path / "file")


def test_broken_pictures_stop_or_are_skipped(tmp_path: Path) -> None:
    raws = photos(tmp_path / "photos", 4)
    Path(raws[2]).write_bytes(b"broken")
    with pytest.raises(DataError, match=r"2.png: cannot be decoded"):
        cached(tmp_path, Network()).encode_all(raws)
    said: list[str] = []
    field = cached(tmp_path, Network(), images=images(on_error="skip"))
    assert field.prepare([*raws, raws[2]], said.append) == [True, True, False, True, False]
    assert "2.png: cannot be decoded" in said[0] and said[1].startswith("left out 1 of 4 pictures")
    encoded = field.encode_all(raws)
    assert [field.is_empty(each) for each in encoded] == [False, False, True, False]
    assert field.collate(encoded).lengths.tolist() == [4, 4, 0, 4]
