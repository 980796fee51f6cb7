"""Pictures read row by row, and the files that MNIST comes in."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seq2seq.data.idx import IdxPictures, read_idx
from seq2seq.data.rows import RowsField
from seq2seq.errors import ConfigError, DataError
from seq2seq.objects import build
from seq2seq.types import Example

PIXELS = np.arange(5 * 4 * 4, dtype=np.uint8).reshape(5, 4, 4) * 3


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def field(side: int = 4, columns: bool = False, **random: float) -> RowsField:
    return RowsField(side=side, columns=columns, **{"shift": 0.0, "turn": 0.0, "zoom": 0.0, **random})


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(PIXELS)))
    (tmp_path / "labels").write_bytes(idx(np.array([3, 1, 4, 1, 5], np.uint8)))
    Image.fromarray(PIXELS[2]).save(tmp_path / "two.png")
    return tmp_path


def test_the_same_picture_from_a_file_of_many_and_from_its_own(files: Path) -> None:
    rows = field()
    many, own = f"{files}/images-idx3-ubyte.gz#2", str(files / "two.png")
    assert rows.encode(many).tolist() == rows.encode(own).tolist() == PIXELS[2].tolist()
    rows.learn([Example(many, "4", ""), Example(own, "4", "")])
    assert rows.encode(own).mean() == pytest.approx(0, abs=1e-5) and rows.encode(own).std(
        correction=0
    ) == pytest.approx(1)
    again = build(rows.save(files, "src"), at="src", trusted=())
    assert again.encode(own).tolist() == rows.encode(own).tolist() and again.fingerprint() == rows.fingerprint()
    assert (
        rows.listed(str(files / "images-idx3-ubyte.gz"))[4].endswith("#4")
        and rows.listed(str(files / "labels")) is None
    )


def test_columns_stand_beside_rows(files: Path) -> None:
    both = field(columns=True)
    assert both.size == 8
    assert both.encode(str(files / "two.png")).tolist() == np.concatenate([PIXELS[2], PIXELS[2].T], 1).tolist()
    batch = both.collate(both.encode_all([str(files / "two.png"), ""]))
    assert batch.values.shape == (2, 4, 8) and batch.lengths.tolist() == [4, 0]


def test_what_is_drawn_at_random_depends_on_picture_and_seed_alone() -> None:
    still, moved = field(28), field(28, shift=2.0, turn=10.0, zoom=0.1)
    names = [f"digit:7;{number}" for number in range(4)]
    assert moved.stochastic and not still.stochastic
    some, alone = moved.sample_all(names, 5), moved.sample_all(names[2:3], 5)
    assert np.array_equal(some[2], alone[0]) and not np.array_equal(some[2], moved.sample_all(names[2:3], 6)[0])
    assert np.allclose(still.sample_all(names, 5)[0], still.encode_all(names)[0], atol=1e-3)
    assert [len(rows) for rows in moved.sample_all(["", names[2]], 5)] == [0, 28]
    only_moved = field(28, shift=2.0)
    heights = [[np.abs(rows).sum(1).argmax() for rows in only_moved.sample_all(names[:1], seed)] for seed in range(30)]
    assert len({height[0] for height in heights}) >= 3, "up and down"


def test_the_reader_gives_places_and_labels(files: Path) -> None:
    reader = IdxPictures(images=files / "images-idx3-ubyte.gz", labels=files / "labels", first=1, last=3)
    assert [(example.src[-2:], example.tgt) for example in reader] == [("#1", "1"), ("#2", "4")]
    other = IdxPictures(images=files / "images-idx3-ubyte.gz", labels=files / "labels")
    assert other.fingerprint() != reader.fingerprint() and len(list(other)) == 5


def test_mistakes_are_told_in_one_line(files: Path) -> None:
    Image.fromarray(PIXELS[2]).resize((6, 5)).save(files / "large.png")
    (files / "cut").write_bytes(idx(PIXELS)[:-3])
    (files / "no.gz").write_bytes(b"\x1f\x8bno")
    (files / "few").write_bytes(idx(np.zeros(4, np.uint8)))
    wrong = {
        str(files / "large.png"): r"is 6 x 5 pixels, but the model reads 4 x 4",
        f"{files}/images-idx3-ubyte.gz#5": "holds 5 x 4 x 4 bytes; no such picture",
        f"{files}/two.png#1": "is no idx file",
        f"{files}/cut#1": "holds 77 bytes, but says it is 5 x 4 x 4",
        f"{files}/no.gz#1": "cannot be read",
        f"{files}/none#1": "no such file",
        "digit:11;3": "describes no built-in digit",
        "digit:7;3": "is 28 x 28 pixels, but the model reads 4 x 4",
    }
    for raw, told in wrong.items():
        with pytest.raises(DataError, match=told) as caught:
            field().prepare([raw], print)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match=r"5 pictures but .* 4 labels"):
        list(IdxPictures(images=files / "images-idx3-ubyte.gz", labels=files / "few"))
    for options in ({"side": 0}, {"zoom": 1.0}, {"shift": -1.0}):
        with pytest.raises(ConfigError, match="expected 1 or more"):
            field(**options)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="the first before the last"):
        IdxPictures(images="a", labels="b", first=3, last=3)
    assert read_idx(files / "labels").tolist() == [3, 1, 4, 1, 5]
