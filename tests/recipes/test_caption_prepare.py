"""Laying down the data sets of captioned photos, from a server on this machine and from a user's folders."""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from tests.recipes.server import Server

SCRIPT = Path(__file__).parents[2] / "recipes" / "caption" / "prepare.py"
SIZES = {
    "flickr8k": {"train": 4, "dev": 2, "test": 2},
    "flickr30k": {"train": 4, "val": 2, "test": 2},
    "coco": {"train": 3, "restval": 2, "val": 2, "test": 1},
}


@pytest.fixture
def prepare(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, whose data sets are small."""
    specification = importlib.util.spec_from_file_location("caption_prepare", SCRIPT)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "caption_prepare", module)
    specification.loader.exec_module(module)
    small = {name: each._replace(sizes=SIZES[name]) for name, each in module.DATASETS.items()}
    monkeypatch.setattr(module, "DATASETS", small)
    return module


def photo(number: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((40, 50, 3), 20 * number, np.uint8)).save(file, "JPEG")
    return file.getvalue()


def packed(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return content.getvalue()


def flickr8k() -> dict[str, bytes]:
    """The two archives as their home has them, with what macOS and other versions leave in them."""
    names = [f"{number}.jpg" for number in range(8)]
    texts = {
        "Flickr8k.token.txt": "".join(f"{name}#{k}\tSays {k} .\n" for name in [*names, "9.jpg.1"] for k in range(5))
    }
    start = 0
    for split, size in SIZES["flickr8k"].items():
        texts[f"Flickr_8k.{split}Images.txt"] = "".join(f"{name}\n" for name in names[start : start + size])
        start += size
    photos = {f"Flicker8k_Dataset/{name}": photo(number) for number, name in enumerate(names)}
    return {
        "Flickr8k_text.zip": packed({name: text.encode() for name, text in texts.items()}),
        "Flickr8k_Dataset.zip": packed(photos | {"__MACOSX/Flicker8k_Dataset/._1.jpg": b"no photo"}),
    }


def karpathy(name: str, folders: bool) -> bytes:
    """The archive of splits, and in it the file of one data set."""
    splits = [split for split, size in SIZES[name].items() for _ in range(size)]
    images = [
        {
            "filename": f"{number}.jpg",
            "split": split,
            "sentences": [{"raw": f"Says {k} ."} for k in range(5)],
            **({"filepath": "train2014" if split == "train" else "val2014"} if folders else {}),
        }
        for number, split in enumerate(splits)
    ]
    return packed({f"dataset_{name}.json": json.dumps({"images": images}).encode()})


def run(prepare: ModuleType, name: str, root: Path, *more: str) -> int:
    return prepare.main([name, str(root), "--wait", "0", *more])


def test_flickr8k_comes_from_its_home(
    prepare: ModuleType, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files, root = flickr8k(), tmp_path / "data"
    assert run(prepare, "flickr8k", root, "--base-url", server.url) == 0
    assert [name for name, _ in server.requests] == ["Flickr8k_text.zip", "Flickr8k_Dataset.zip"]
    lists = [f"Flickr_8k.{split}Images.txt" for split in ("dev", "test", "train")]
    assert sorted(path.name for path in root.iterdir()) == ["Flickr8k.token.txt.gz", *lists, "images"]
    assert {path.name: path.read_bytes() for path in (root / "images").iterdir()} == {
        f"{number}.jpg": photo(number) for number in range(8)
    }
    assert gzip.decompress((root / "Flickr8k.token.txt.gz").read_bytes()).startswith(b"0.jpg#0\tSays 0 .\n")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    told = capsys.readouterr().out
    assert "train: 4 photos, each can be decoded and has 5 captions or more" in told
    assert f"data=flickr8k data.root={root}" in told
    server.requests.clear()
    assert run(prepare, "flickr8k", root, "--base-url", server.url) == 0
    assert server.requests == [] and "is there; checking it" in capsys.readouterr().out


def test_a_later_run_goes_on_where_an_earlier_one_stopped(prepare: ModuleType, server: Server, tmp_path: Path) -> None:
    server.files, root = flickr8k(), tmp_path / "data"
    server.cut_after = [10**6, 300]
    assert run(prepare, "flickr8k", root, "--base-url", server.url, "--retries", "0") == 1
    assert not root.exists()
    server.requests.clear()
    assert run(prepare, "flickr8k", root, "--base-url", server.url, "--keep-archives") == 0
    assert server.requests == [("Flickr8k_Dataset.zip", "bytes=300-")]
    assert (root / "Flickr8k_Dataset.zip").read_bytes() == server.files["Flickr8k_Dataset.zip"]


def test_a_damaged_archive_is_removed_and_fetched_again(
    prepare: ModuleType, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, root = flickr8k(), tmp_path / "data"
    name = "Flickr8k_Dataset.zip"
    server.files = whole | {name: whole[name][:-100]}
    assert run(prepare, "flickr8k", root, "--base-url", server.url) == 1
    assert f"{name}: is damaged or no archive" in capsys.readouterr().err
    assert not root.exists()
    server.files = whole
    assert run(prepare, "flickr8k", root, "--base-url", server.url) == 0


@pytest.mark.parametrize("unpacked", [False, True])
def test_files_that_the_user_has_are_taken(prepare: ModuleType, tmp_path: Path, unpacked: bool) -> None:
    folder, root = tmp_path / "downloads" / "more", tmp_path / "data"
    folder.mkdir(parents=True)
    for name, body in flickr8k().items():
        if unpacked:
            zipfile.ZipFile(io.BytesIO(body)).extractall(folder)
        else:
            (folder / name).write_bytes(body)
    assert run(prepare, "flickr8k", root, "--from", str(folder.parent)) == 0
    assert len(list((root / "images").iterdir())) == 8
    assert folder.is_dir(), "what the user has stays"
    again = tmp_path / "again"  # what was laid down is itself such a folder
    assert run(prepare, "flickr8k", again, "--from", str(root)) == 0
    assert (again / "Flickr8k.token.txt.gz").read_bytes() == (root / "Flickr8k.token.txt.gz").read_bytes()


def test_coco_has_two_folders_of_photos(prepare: ModuleType, server: Server, tmp_path: Path) -> None:
    server.files = {
        "caption_datasets.zip": karpathy("coco", True),
        "train2014.zip": packed({f"train2014/{number}.jpg": photo(number) for number in range(3)}),
        "val2014.zip": packed({f"val2014/{number}.jpg": photo(number) for number in range(3, 8)}),
    }
    assert run(prepare, "coco", tmp_path / "coco", "--base-url", server.url) == 0
    assert sorted(path.name for path in (tmp_path / "coco").iterdir()) == ["dataset_coco.json", "train2014", "val2014"]


def test_flickr30k_is_given_out_by_hand(
    prepare: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, root = tmp_path / "downloads", tmp_path / "data"
    folder.mkdir()
    assert run(prepare, "flickr30k", root, "--from", str(folder)) == 1
    assert "dataset_flickr30k.json.gz nor caption_datasets.zip; it is at https://" in capsys.readouterr().err
    (folder / "caption_datasets.zip").write_bytes(karpathy("flickr30k", False))
    assert run(prepare, "flickr30k", root, "--from", str(folder)) == 1
    assert "flickr30k-images.zip; ask for it at http" in capsys.readouterr().err
    photos = folder / "flickr30k-images"
    photos.mkdir()
    for number in range(8):
        (photos / f"{number}.jpg").write_bytes(photo(number))
    assert run(prepare, "flickr30k", root, "--from", str(folder)) == 0
    assert sorted(path.name for path in root.iterdir()) == ["dataset_flickr30k.json", "images"]
    # Without --from the splits are fetched, and then nothing more can be.
    monkeypatch.setattr(prepare, "fetch", lambda url, part, **_: part.write_bytes(karpathy("flickr30k", False)))
    assert run(prepare, "flickr30k", tmp_path / "other") == 1
    assert "flickr30k-images.zip is given out by hand: ask for it at" in capsys.readouterr().err


def test_what_is_not_as_promised_is_not_laid_down(
    prepare: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, root = tmp_path / "downloads", tmp_path / "data"
    folder.mkdir()
    for body in flickr8k().values():
        zipfile.ZipFile(io.BytesIO(body)).extractall(folder)
    broken = folder / "Flicker8k_Dataset" / "3.jpg"
    listed = folder / "Flickr_8k.devImages.txt"
    for path, body, message in [
        (broken, b"no photo", r"3.jpg: cannot be decoded as a picture (neither JPEG nor PNG); remove its folder"),
        (broken, None, "3.jpg has captions, but there is no picture"),
        (listed, b"4.jpg\n", "dev has 1 photos, expected 2"),
        (listed, b"4.jpg\n77.jpg\n", "77.jpg has no caption in"),
        (listed, None, "holds neither a file Flickr_8k.devImages.txt"),
    ]:
        right = path.read_bytes()
        path.unlink() if body is None else path.write_bytes(body)
        assert run(prepare, "flickr8k", root, "--from", str(folder)) == 1
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
        assert not root.exists()
        path.write_bytes(right)
        for part in (tmp_path / "data.part").iterdir():
            if part.name in ("images", listed.name):
                prepare.shutil.rmtree(part) if part.is_dir() else part.unlink()
    listed.unlink()
    assert run(prepare, "flickr8k", root, "--from", str(folder), "--splits", "train", "test") == 0
    assert not (root / listed.name).exists()
    with pytest.raises(SystemExit):
        run(prepare, "flickr8k", root, "--splits", "val")
    assert "flickr8k has no split val: it has train, dev, test" in capsys.readouterr().err


def test_data_that_stand_there_are_checked_again(
    prepare: ModuleType, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files, root = flickr8k(), tmp_path / "data"
    assert run(prepare, "flickr8k", root, "--base-url", server.url) == 0
    (root / "images" / "5.jpg").write_bytes(photo(5)[:300])
    capsys.readouterr()
    assert run(prepare, "flickr8k", root) == 1
    assert "5.jpg: cannot be decoded as a picture" in capsys.readouterr().err
