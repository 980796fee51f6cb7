"""Pictures of every kind to squares of bytes, and what training draws about them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from seq2seq.data.builtin.scenes import Scenes, picture
from seq2seq.data.fields import Field
from seq2seq.data.images import ImageField
from seq2seq.data.pictures import find_pictures, square, upright, within
from seq2seq.errors import ConfigError, DataError
from seq2seq.objects import build
from seq2seq.types import Example


def field(**changes: Any) -> ImageField:
    return ImageField(**{"size": 8, "crop": "center", "flip": False, "on_error": "stop", **changes})


def corners(width: int = 8, height: int = 8) -> Image.Image:
    """Red, green, blue and white quarters, from the left above to the right below."""
    pixels = np.zeros((height, width, 3), np.uint8)
    half = height // 2, width // 2
    pixels[: half[0], : half[1]], pixels[: half[0], half[1] :] = (255, 0, 0), (0, 255, 0)
    pixels[half[0] :, : half[1]], pixels[half[0] :, half[1] :] = (0, 0, 255), (255, 255, 255)
    return Image.fromarray(pixels)


def content(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def saved(path: Path, image: Image.Image, **options: Any) -> str:
    image.save(path, **options)
    return str(path)


def test_a_picture_of_its_size_stays_as_it_is(tmp_path: Path) -> None:
    one = field().encode(saved(tmp_path / "a.png", corners()))
    assert one.dtype == torch.uint8 and one.shape == (8, 8, 3)
    assert np.array_equal(one.numpy(), np.array(corners()))
    kind: Field = field()
    assert kind.size == 8


@pytest.mark.parametrize("size", [(40, 20), (20, 40), (31, 17), (1000, 3), (2, 2)])
def test_any_size_becomes_the_square_in_its_middle(tmp_path: Path, size: tuple[int, int]) -> None:
    one = field().encode(saved(tmp_path / "a.png", corners(*size))).numpy()
    expected = np.array(corners())
    for row, column in ((0, 0), (0, 7), (7, 0), (7, 7)):
        assert np.abs(one[row, column].astype(int) - expected[row, column]).max() <= 8


def test_a_margin_is_cut_off() -> None:
    """Scaled to 16 and cut to 8: of 32 x 32 pixels, the 16 x 16 in the middle are seen."""
    pixels = np.full((32, 32, 3), 200, np.uint8)
    pixels[8:24, 8:24] = 50
    assert (square(Image.fromarray(pixels), 8, 16)[1:-1, 1:-1] == 50).all()  # smoothed at its edge
    assert (square(Image.fromarray(pixels), 16, 16)[:3] == 200).all()


@pytest.mark.parametrize(
    "orientation, first", [(1, "red"), (2, "green"), (3, "white"), (6, "blue"), (8, "green"), (5, "red")]
)
def test_a_photo_is_turned_as_its_camera_was(orientation: int, first: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = upright(content(corners(64, 32), "JPEG", exif=exif, quality=95), "a.jpg", 32)
    assert image.size == ((32, 64) if orientation >= 5 else (64, 32))
    colour = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}[first]
    assert np.abs(np.array(image)[2, 2].astype(int) - colour).max() < 30


def test_what_is_transparent_is_white() -> None:
    clear = corners().convert("RGBA")
    clear.putalpha(Image.fromarray(np.where(np.arange(64).reshape(8, 8) < 32, 0, 255).astype(np.uint8)))
    pixels = np.array(upright(content(clear), "a.png", 1))
    assert (pixels[:4] == 255).all() and (pixels[4:, :4] == (0, 0, 255)).all()
    palette = corners().quantize(4)
    index = palette.getpixel((0, 0))
    pixels = np.array(upright(content(palette, transparency=index), "a.png", 1))
    assert (pixels[0, 0] == 255).all() and (pixels[7, 0] == (0, 0, 255)).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "YCbCr", "I;16"])
def test_every_kind_of_colour_becomes_three(mode: str) -> None:
    white = Image.new("L", (8, 8), 255)
    grey = Image.fromarray(np.full((8, 8), 65535, np.uint16)) if mode == "I;16" else white.convert("RGB").convert(mode)
    kind = "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"
    image = upright(content(grey, kind), f"a.{kind}", 1)
    assert image.mode == "RGB" and np.array(image).min() > 250


def test_large_photos_are_decoded_smaller() -> None:
    photo = content(corners(1000, 800), "JPEG")
    assert upright(photo, "a.jpg", 100).size == (125, 100)
    assert upright(photo, "a.jpg", 500).size == (1000, 800)


def test_sixteen_bits_of_grey_are_scaled_and_not_cut_off() -> None:
    deep = Image.fromarray(np.full((4, 4), 0x4000, np.uint16))
    assert (np.array(upright(content(deep), "a.png", 1)) == 0x40).all()


BROKEN = {
    "empty.jpg": (b"", "the file is empty"),
    "text.png": (b"hello, this is no picture", "neither JPEG nor PNG"),
    "cut.jpg": (content(corners(64, 64), "JPEG")[:400], "Truncated"),
    "cut.png": (content(corners(64, 64))[:100], ""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(BROKEN[name][0])
    with pytest.raises(DataError, match=rf"{name}: cannot be decoded as a picture \(.*{BROKEN[name][1]}.*skip") as told:
        field().encode_all([str(path)])
    assert "\n" not in str(told.value)


def test_broken_files_are_counted_and_skipped(tmp_path: Path) -> None:
    good = saved(tmp_path / "good.png", corners())
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8")
    raws = [good, str(tmp_path / "bad.jpg"), str(tmp_path / "none.jpg"), good]
    said: list[str] = []
    careful = field(on_error="skip")
    assert careful.prepare(raws, said.append) == [True, False, False, True]
    assert "bad.jpg: cannot be decoded" in said[0] and "none.jpg: no such picture" in said[1]
    assert said[2] == "left out 2 of 3 pictures, which cannot be decoded"
    encoded = careful.encode_all(raws)
    assert [careful.is_empty(each) for each in encoded] == [False, True, True, False]
    batch = careful.collate(encoded)
    assert batch.values.shape == (4, 8, 8, 3) and batch.lengths.tolist() == [8, 0, 0, 8]
    with pytest.raises(DataError, match=r"bad.jpg: cannot be decoded"):
        field().prepare(raws, said.append)


def test_draws_are_a_function_of_the_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # draws depend on the path, which thus is the same wherever the test runs
    random = field(crop="random", flip=True)
    assert random.stochastic and not field().stochastic
    raws = [saved(Path(f"{i}.png"), corners(24, 8)) for i in range(12)]
    first, again, other = (random.sample_all(raws, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    assert sum(not np.array_equal(a, b) for a, b in zip(first, other)) > 4
    assert len({picture.tobytes() for picture in first}) > 4
    plain = random.encode_all(raws)
    assert all(np.array_equal(plain[0], each) for each in plain)


def test_pictures_of_captions_that_speak_of_sides_are_not_mirrored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # draws depend on the path, which thus is the same wherever the test runs
    raws = [saved(Path(f"{i}.png"), corners()) for i in range(24)]
    mirrored = field(flip=True)
    words = ["A dog on the LEFT .", "right-handed", "an upright dog leftover", "a dog"]
    mirrored.learn(Example(raw, words[i % 4], "") for i, raw in enumerate(raws))
    (tmp_path / "saved").mkdir()
    node = mirrored.save(tmp_path / "saved", "src")
    node["unflipped"] = node["unflipped"].replace("${folder}", str(tmp_path / "saved"))
    for one in (mirrored, build(node, at="src", trusted=())):
        seen = [np.array_equal(picture, np.array(corners())) for picture in one.sample_all(raws, 3)]
        assert all(seen[0::4]) and all(seen[1::4]) and not all(seen[2::4]) and not all(seen[3::4])


def test_sides_are_looked_for_in_all_captions_of_a_picture() -> None:
    mirrored = field(flip=True)
    mirrored.learn([Example("a.jpg", ("a dog", "a dog on the left"), ""), Example("b.jpg", ("a", "b"), "")])
    assert mirrored.unflipped == {"a.jpg"}


def test_a_built_in_scene_is_drawn() -> None:
    raw = next(iter(Scenes(part="train", size=1, seed=1, grouped=True))).src
    assert np.array_equal(field(size=64).encode_all([raw])[0], picture(raw))
    assert field(size=32).encode(raw).shape == (32, 32, 3)
    with pytest.raises(DataError, match="describes no built-in scene"):
        field().encode("scene:nothing")


def test_size_comes_with_the_weights_and_is_saved_without_them(tmp_path: Path) -> None:
    weights = tmp_path / "w.pth"
    weights.write_bytes(b"")
    pixels = {"size": 32, "shorter": 40, "mean": [0.5] * 3, "std": [0.5] * 3, "padding": "right"}
    (tmp_path / "w.pth.json").write_text(json.dumps(pixels))
    learned = field(size=None, weights=str(weights))
    assert (learned.size, learned.shorter) == (32, 40)
    larger = field(size=64, weights=str(weights))
    assert (larger.size, larger.shorter) == (64, 80)
    again = build(learned.save(tmp_path, "src"), at="src", trusted=())
    assert again.fingerprint() == learned.fingerprint() != larger.fingerprint()


def test_refuses_options_that_cannot_work() -> None:
    for changes, told in (
        ({"size": None}, "size=null"),
        ({"crop": "centre"}, "crop='centre': did you mean 'center'"),
        ({"on_error": "ignore"}, "on_error='ignore': known are: skip, stop"),
        ({"size": 8, "shorter": 4}, "size=8: expected 1 or more, and no more than shorter=4"),
    ):
        with pytest.raises(ConfigError, match=told):
            field(**changes)
    with pytest.raises(ConfigError, match="a picture is no output"):
        field().decode([1])


def test_pictures_lie_below_the_root(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    assert within(root, "train/a.jpg", "x.json") == str(root / "train" / "a.jpg")
    assert within(root, str(root / "a.jpg"), "x.json") == str(root / "a.jpg")
    assert within("photos", "b/../a.jpg", "x.json") == str(Path("photos", "a.jpg"))
    for name in ("../a.jpg", "train/../../a.jpg", "/etc/passwd", str(tmp_path / "photos2" / "a.jpg")):
        with pytest.raises(DataError, match=r"x.json:7: .* lies outside of .*photos: name pictures by their path"):
            within(root, name, "x.json:7")


def test_finds_the_pictures_of_a_folder_or_pattern(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "empty").mkdir()
    assert find_pictures(str(tmp_path)) == [str(tmp_path / "a.png"), str(tmp_path / "b.JPG")]
    assert find_pictures(str(tmp_path / "*.JPG")) == find_pictures(str(tmp_path / "b.JPG"))
    with pytest.raises(DataError, match=r"empty: holds no .jpg or .jpeg or .png"):
        find_pictures(str(tmp_path / "empty"))
    with pytest.raises(DataError, match=r"\*.gif: fits no file"):
        find_pictures(str(tmp_path / "*.gif"))
