"""Files of captions in, examples out; and one clear line for each that is not what was promised."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from seq2seq.data.caption_json import CocoJson, KarpathyJson, OwnJson
from seq2seq.data.captions import Captions, TabCaptions, TokenFile
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Example

NAMES = ("b.jpg", "a.jpg", "sub/c.png")
FLICKR8K = Path(__file__).parents[3] / "shared" / "data" / "flickr8k"
TOKENS = "".join(f"{name}#{number}\t{name} says {number} .\n" for name in NAMES for number in (0, 1))
TABS = re.sub(r"#\d", "", TOKENS)
COCO: dict[str, Any] = {
    "images": [{"id": number, "file_name": name} for number, name in enumerate(NAMES)],
    "annotations": [
        {"image_id": image, "id": 9, "caption": f"{NAMES[image]} says {number} .\n"}
        for number in (0, 1)
        for image in range(3)
    ],
}
KARPATHY = {
    "dataset": "coco",
    "images": [
        {
            "filepath": str(Path(name).parent),
            "filename": Path(name).name,
            "split": split,
            "sentences": [{"raw": f"{name} says {number} ."} for number in (0, 1)],
        }
        for name, split in zip(NAMES, ("train", "val", "restval"))
    ],
}
OWN = [{"image": name, "captions": [f"{name} says 0 .", f"{name} says 1 ."]} for name in NAMES]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of three files with the names of pictures: were one of them opened, it would not decode."""
    root = tmp_path / "photos"
    (root / "sub").mkdir(parents=True)
    for name in NAMES:
        (root / name).write_bytes(b"no picture")
    return root


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


Make = Callable[..., Captions]


def token_file(
    root: Path, content: Any = TOKENS, *, grouped: bool = True, references: int = 1, **more: Any
) -> Captions:
    path = write(root.parent / "captions.token", content)
    return TokenFile(path=path, root=root, grouped=grouped, references=references, split=more.get("split"))


def coco(root: Path, content: Any = COCO, *, grouped: bool = True, references: int = 1) -> Captions:
    path = write(root.parent / "captions.json", content)
    return CocoJson(path=path, root=root, grouped=grouped, references=references)


def karpathy(
    root: Path, content: Any = KARPATHY, *, grouped: bool = True, references: int = 1, **more: Any
) -> Captions:
    path = write(root.parent / "dataset.json", content)
    splits = more.get("splits", ["train", "val", "restval"])
    return KarpathyJson(path=path, root=root, grouped=grouped, references=references, splits=splits)


def tab(root: Path, content: Any = TABS, *, grouped: bool = True, references: int = 1) -> Captions:
    path = write(root.parent / "captions.tsv", content)
    return TabCaptions(path=path, root=root, grouped=grouped, references=references, complete=False)


def own(root: Path, content: Any = OWN, *, grouped: bool = True, references: int = 1) -> Captions:
    path = write(root.parent / "own.json", content)
    return OwnJson(path=path, root=root, grouped=grouped, references=references, complete=False)


def own_lines(root: Path, content: Any = OWN, *, grouped: bool = True, references: int = 1) -> Captions:
    lines = content if isinstance(content, str) else "".join(f"{json.dumps(entry)}\n" for entry in content)
    path = write(root.parent / "own.jsonl", lines)
    return OwnJson(path=path, root=root, grouped=grouped, references=references, complete=False)


trained = partial(karpathy, splits=["train"])
ALL = [token_file, coco, karpathy, tab, own, own_lines]
each = pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)


@each
def test_every_format_gives_the_same_examples(make: Make, root: Path) -> None:
    groups = [example[:2] for example in make(root)]
    assert groups == [(str(root / name), (f"{name} says 0 .", f"{name} says 1 .")) for name in NAMES]
    pairs = [example[:2] for example in make(root, grouped=False)]
    assert pairs == [(src, text) for src, texts in groups for text in texts]
    reader = make(root, grouped=False)
    assert list(reader) == list(reader)


@pytest.mark.parametrize(
    ("make", "places"),
    [
        (token_file, ["captions.token:3", "captions.token:4"]),
        (tab, ["captions.tsv:3", "captions.tsv:4"]),
        (coco, ["captions.json:annotations[1]", "captions.json:annotations[4]"]),
        (karpathy, ["dataset.json:images[1].sentences[0]", "dataset.json:images[1].sentences[1]"]),
        (own, ["own.json[1]", "own.json[1]"]),
        (own_lines, ["own.jsonl:2", "own.jsonl:2"]),
    ],
)
def test_examples_say_where_they_stand(make: Make, places: list[str], root: Path) -> None:
    assert [example.where for example in make(root, grouped=False)][2:4] == places
    group = list(make(root))[1].where
    assert places[0].startswith(group) or group == "captions.json:images[1]"


def test_a_split_chooses_photos_and_their_order(root: Path) -> None:
    split = write(root.parent / "split.txt", "sub/c.png\r\nb.jpg\r\n")
    assert [example.where for example in token_file(root, split=split)] == ["captions.token:5", "captions.token:1"]
    assert len(list(token_file(root, split=split, grouped=False))) == 4
    assert [Path(e.src).name for e in karpathy(root, splits=["restval", "val"])] == ["a.jpg", "c.png"]


def test_lines_of_a_photo_need_not_stand_together(root: Path) -> None:
    reader = tab(root, "a.jpg\tone\nb.jpg\ttwo\na.jpg\tthree  four \n")
    assert list(reader) == [
        Example(str(root / "a.jpg"), ("one", "three four"), "captions.tsv:1"),
        Example(str(root / "b.jpg"), ("two",), "captions.tsv:2"),
    ]


def test_photos_stand_beside_the_file_where_no_root_is_given(root: Path) -> None:
    path = write(root / "captions.tsv", "a.jpg\tone\n")
    (example,) = TabCaptions(path=path, root=None, grouped=True, references=1, complete=False)
    assert example.src == str(root / "a.jpg")
    path = write(root / "captions.json", [{"image": "a.jpg", "caption": "one"}, {"image": "a.jpg", "caption": "two"}])
    (example,) = OwnJson(path=path, root=None, grouped=True, references=1, complete=False)
    assert example == Example(str(root / "a.jpg"), ("one", "two"), "captions.json[0]")


@each
def test_gzip_is_read_alike(make: Make, root: Path) -> None:
    reader = make(root)
    plain = list(reader)
    reader.path.write_bytes(gzip.compress(reader.path.read_bytes()))
    assert list(reader) == plain


@each
def test_a_caption_without_its_photo_is_told(make: Make, root: Path) -> None:
    (root / "a.jpg").unlink()
    with pytest.raises(
        DataError, match=r"[\]:]\S*: a\.jpg has captions, but there is no picture \S+a\.jpg: put it there"
    ):
        list(make(root))


@each
def test_a_photo_outside_of_the_root_is_refused(make: Make, root: Path) -> None:
    (root.parent / "secret.jpg").write_bytes(b"")
    content = make(root).path.read_text("utf-8")
    for outside in ("../secret.jpg", str(root.parent / "secret.jpg"), "sub/../../secret.jpg"):
        changed = content.replace('"filepath": "."', '"filepath": ""').replace("b.jpg", outside)
        with pytest.raises(DataError, match=r"secret\.jpg lies outside of \S+photos"):
            list(make(root, changed))


@each
def test_fewer_references_than_promised_are_told(make: Make, root: Path) -> None:
    assert len(list(make(root, references=2))) == 3
    with pytest.raises(DataError, match=r"b\.jpg has 2 captions, references=5 promises 5 or more: add captions"):
        list(make(root, references=5, grouped=False))
    with pytest.raises(ConfigError, match="references=0"):
        make(root, references=0)


@each
def test_empty_captions_are_told(make: Make, root: Path) -> None:
    content = make(root).path.read_text("utf-8").replace("a.jpg says 1 .", " ")
    with pytest.raises(DataError, match=r"(:4|:2|\[1\]|\[4\]): the caption of a\.jpg is empty"):
        list(make(root, content))


@each
def test_an_empty_folder_and_a_missing_one(make: Make, root: Path) -> None:
    for name in NAMES:
        (root / name).unlink()
    with pytest.raises(DataError, match=r"photos holds no \.jpg or \.jpeg or \.png: root is the folder"):
        list(make(root))
    with pytest.raises(DataError, match=r"nowhere is no folder \(looked in"):
        list(make(root.parent / "nowhere"))


@pytest.mark.parametrize(
    ("make", "content", "message"),
    [
        (
            token_file,
            "a.jpg#0\tone\na.jpg two\n",
            r"captions\.token:2: 'a\.jpg two' is no caption: expected photo\.jpg#0",
        ),
        (token_file, "a.jpg\tone\n", r"captions\.token:1: 'a\.jpg\\tone' is no caption"),
        (tab, "a.jpg\tone\n\n", r"captions\.tsv:2: '' has 1 column: expected photo\.jpg, one tab"),
        (tab, "a.jpg\tone\ttwo\n", r"captions\.tsv:1: .* has 3 columns: .*lines of their own"),
        (tab, "\tone\n", r"captions\.tsv:1"),
        (
            own,
            '[{"image": "a.jpg",\n "captions": ["one"]},\n oops]',
            r"own\.json:3 is not JSON \(Expecting value\): mend",
        ),
        (own_lines, '{"image": "a.jpg", "caption": "one"}\n{"ima', r"own\.jsonl:2 is not JSON"),
        (own, {"a.jpg": "one"}, r"own\.json: holds an object: expected a list of"),
        (own, ["a.jpg"], r"own\.json\[0\]: holds a text: expected an object"),
        (own, [{"image": "a.jpg"}], r"own\.json\[0\]: has no captions: expected a list under 'captions'"),
        (own, [{"image": "a.jpg", "captions": "one"}], r"own\.json\[0\]: captions is a text: expected a list"),
        (own, [{"image": "a.jpg", "captions": [None]}], r"own\.json\[0\]: captions hold null: expected texts"),
        (own, [{"photo": "a.jpg", "caption": "one"}], r"own\.json\[0\]: has no image: expected a text under 'image'"),
        (own, [{"image": "a.jpg", "captions": []}], r"own\.json\[0\]: a\.jpg has 0 captions"),
        (coco, [], r"captions\.json: holds a list: expected an object"),
        (coco, {"images": []}, r"captions\.json: has no annotations: expected a list"),
        (
            coco,
            {"images": [{"id": "1", "file_name": "a.jpg"}], "annotations": []},
            r"captions\.json:images\[0\]: id is a text: expected a whole",
        ),
        (trained, {"images": [{"split": "train"}]}, r"dataset\.json:images\[0\]: has no filename"),
        (
            trained,
            {"images": [{"split": "train", "filename": "a.jpg", "sentences": [{"tokens": ["a"]}]}]},
            r"dataset\.json:images\[0\]\.sentences\[0\]: has no raw: expected a text",
        ),
        (token_file, "", r"captions\.token holds no captions"),
        (own_lines, "", r"own\.jsonl holds no captions"),
        (karpathy, {"images": []}, r"dataset\.json holds no captions"),
    ],
)
def test_malformed_files_are_told_in_one_line(make: Make, content: Any, message: str, root: Path) -> None:
    with pytest.raises(DataError, match=message) as caught:
        list(make(root, content))
    assert "\n" not in str(caught.value)


def test_photos_without_captions_are_told(root: Path) -> None:
    images = [*COCO["images"], {"id": 7, "file_name": "d.jpg"}]
    with pytest.raises(DataError, match=r"captions\.json:images\[3\]: d\.jpg has 0 captions"):
        list(coco(root, COCO | {"images": images}))
    split = write(root.parent / "split.txt", "a.jpg\nb.jgp\n")
    with pytest.raises(DataError, match=r"split\.txt:2: b\.jgp has no caption in \S+: did you mean 'b\.jpg'"):
        list(token_file(root, split=split))
    for make, path in ((TabCaptions, tab(root).path), (OwnJson, own(root).path)):
        reader = make(path=path, root=root, grouped=True, references=1, complete=True)
        assert len(list(reader)) == 3
        (root / "d.JPG").write_bytes(b"")
        (root / "e.png").write_bytes(b"")
        with pytest.raises(DataError, match=r"d\.JPG \(and 1 more\) has no caption in \S+: write one.*complete=false"):
            list(reader)
        for name in ("d.JPG", "e.png"):
            (root / name).unlink()


def test_captions_of_photos_that_are_not_listed_in_coco(root: Path) -> None:
    annotations = [*COCO["annotations"], {"image_id": 99, "caption": "one"}]
    with pytest.raises(DataError, match=r"captions\.json:annotations\[6\]: a caption of image_id 99, which is none"):
        list(coco(root, COCO | {"annotations": annotations}))


def test_splits_that_are_not_there(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"splits=valid of \S+dataset\.json: did you mean 'val'"):
        list(karpathy(root, splits=["valid"]))
    split = write(root.parent / "split.txt", "a.jpg\nb.jpg\na.jpg\n")
    with pytest.raises(DataError, match=r"split\.txt:3: a\.jpg stands on line 1 already"):
        list(token_file(root, split=split))
    with pytest.raises(DataError, match="does not exist"):
        list(token_file(root, split=root / "no.txt"))


def test_fingerprints_follow_content_and_settings(root: Path) -> None:
    split = write(root.parent / "split.txt", "a.jpg\n")
    makers: list[Callable[[], Captions]] = [
        lambda: token_file(root),
        lambda: token_file(root, grouped=False),
        lambda: token_file(root, references=2),
        lambda: token_file(root, split=split),
        lambda: token_file(root / "sub"),
        lambda: token_file(root, TOKENS + "a.jpg#2\tmore\n"),
        lambda: karpathy(root, splits=["train"]),
        lambda: karpathy(root, splits=["val"]),
        lambda: own(root),
        lambda: tab(root),
    ]
    prints = [make().fingerprint() for make in makers]
    assert len(set(prints)) == len(prints)
    assert [make().fingerprint() for make in makers] == prints
    write(split, "b.jpg\n")
    assert makers[3]().fingerprint() != prints[3]


@pytest.mark.skipif(not FLICKR8K.is_dir(), reason="needs the photos of Flickr8k beside the project")
@pytest.mark.parametrize(("split", "photos"), [("train", 6000), ("dev", 1000)])
def test_flickr8k_has_the_counts_it_is_known_for(split: str, photos: int) -> None:
    groups = list(
        TokenFile(
            path=FLICKR8K / "Flickr8k.token.txt.gz",
            root=FLICKR8K / "images",
            split=FLICKR8K / f"Flickr_8k.{split}Images.txt",
            grouped=True,
            references=5,
        )
    )
    assert len(groups) == photos
    assert {len(example.tgt) for example in groups} == {5}
