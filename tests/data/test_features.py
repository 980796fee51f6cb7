"""Features computed elsewhere: read as they are, and told apart from those of another network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seq2seq.data.features import FeatureField
from seq2seq.data.fields import Field
from seq2seq.errors import ConfigError, DataError
from seq2seq.objects import build

NUMBERS = np.arange(24, dtype=np.float32).reshape(6, 4)


def saved(folder: Path, name: str, array: Any = None, **arrays: Any) -> str:
    if arrays:
        np.savez(folder / name, **arrays)
    else:
        np.save(folder / name, array)
    return str(folder / name)


def test_files_are_found_by_the_pictures_name(tmp_path: Path) -> None:
    saved(tmp_path, "a.npy", NUMBERS)
    saved(tmp_path, "b.npz", features=NUMBERS[:2].astype(np.float16), boxes=np.ones((2, 4)))
    saved(tmp_path, "c.npz", x=NUMBERS[:1], bbox=np.zeros((1, 4)))
    field: Field = FeatureField(features=4, folder=tmp_path)
    encoded = field.encode_all(["photos/a.jpg", "b.png", "c", str(tmp_path / "a.npy")])
    assert [len(each) for each in encoded] == [6, 2, 1, 6] and field.size == 4
    assert field.encode_all([" "])[0].shape == (0, 4), "a blank line has no regions"
    assert np.array_equal(encoded[0], NUMBERS) and encoded[1].dtype == np.float16
    assert torch.equal(field.encode("b.jpg"), torch.from_numpy(NUMBERS[:2]))
    assert isinstance(field, FeatureField)
    assert field.boxes("a.jpg") is None and field.boxes("b.jpg").tolist() == [[1] * 4] * 2
    assert field.boxes("c.jpg").shape == (1, 4)


def test_grids_and_single_vectors_are_regions(tmp_path: Path) -> None:
    saved(tmp_path, "grid.npy", NUMBERS.reshape(3, 2, 4))
    saved(tmp_path, "one.npy", NUMBERS[0])
    field = FeatureField(features=4, folder=tmp_path)
    assert np.array_equal(field.encode_all(["grid.jpg"])[0], NUMBERS)
    assert np.array_equal(field.encode_all(["one.jpg"])[0], NUMBERS[:1])


def test_different_numbers_of_regions_are_padded_with_zeros(tmp_path: Path) -> None:
    field = FeatureField(features=4, folder=None)
    batch = field.collate([NUMBERS[:1].astype(np.float16), NUMBERS[:3], torch.from_numpy(NUMBERS[:2])])
    assert batch.values.dtype == torch.float32 and batch.values.shape == (3, 3, 4)
    assert batch.lengths.tolist() == [1, 3, 2]
    assert torch.equal(batch.values[2, :2], torch.from_numpy(NUMBERS[:2])) and batch.values[0, 1:].abs().max() == 0
    assert field.collate([]).values.shape == (0, 0, 4)
    assert field.is_empty(np.zeros((0, 4))) and not field.is_empty(NUMBERS)


def test_what_is_wrong_is_told_in_one_line(tmp_path: Path) -> None:
    saved(tmp_path, "wide.npy", np.zeros((3, 5), np.float32))
    saved(tmp_path, "ids.npy", np.zeros((3, 4), np.int64))
    saved(tmp_path, "other.npz", labels=np.zeros(3))
    saved(tmp_path, "object.npy", np.array([{}], dtype=object))
    (tmp_path / "cut.npy").write_bytes(Path(saved(tmp_path, "whole.npy", NUMBERS)).read_bytes()[:-9])
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04")
    field = FeatureField(features=4, folder=tmp_path)
    for name, told in {
        "wide.jpg": r"wide.npy: its regions have 5 features, but features=4: .*or features=5",
        "ids.jpg": r"ids.npy: holds int64 of shape \[3, 4\]: expected numbers with a point, \[regions, 4\]",
        "other.jpg": r"other.npz: holds labels: expected an array called features",
        "object.jpg": r"object.npy: cannot be read as features",
        "cut.jpg": r"cut.npy: cannot be read as features",
        str(tmp_path / "cut.npz"): r"cut.npz: cannot be read as features",
        "none.jpg": r"none.jpg: has no features, .*none.npy or .*none.npz is not there",
    }.items():
        with pytest.raises(DataError, match=told) as error:
            field.prepare([name], print)
        assert "\n" not in str(error.value)
    assert field.prepare(["whole.jpg", "whole.jpg"], print) == [True, True]
    with pytest.raises(DataError, match=r"a.jpg: expected a file of features \(.npy or .npz\), or folder"):
        FeatureField(features=4, folder=None).encode("a.jpg")
    with pytest.raises(DataError, match=r"folder=.*nowhere: no such folder"):
        FeatureField(features=4, folder=tmp_path / "nowhere").prepare(["a.jpg"], print)
    with pytest.raises(ConfigError, match="features are no output"):
        field.decode([1])


def test_is_saved_with_its_folder_which_may_be_gone(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    path = saved(tmp_path / "here", "a.npy", NUMBERS)
    again = build(FeatureField(features=4, folder=tmp_path / "here").save(tmp_path, "src"), at="src", trusted=())
    assert np.array_equal(again.encode_all(["photos/a.jpg"])[0], NUMBERS)
    (tmp_path / "here").rename(tmp_path / "there")
    again = build(again.save(tmp_path, "src"), at="src", trusted=())
    assert np.array_equal(again.encode_all([path.replace("here", "there")])[0], NUMBERS)
