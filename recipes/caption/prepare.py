"""Lays down Flickr8k, Flickr30k or COCO for captioning: photos, captions, and the splits that everybody reports on.

    python recipes/caption/prepare.py flickr8k data/flickr8k
    python recipes/caption/prepare.py coco data/coco --from ~/downloads
    python -m seq2seq.train recipe=caption data=flickr8k data.root=data/flickr8k

Archives are fetched from their public homes, or taken with ``--from FOLDER`` where you have them, packed or unpacked.
Everything is gathered in a folder beside the place asked for and checked there: every photo of every split can be
decoded and has its five captions, and each split has its known size. Only then does the folder take its name, so what
stands there is whole. A download or a check that was cut is taken up where it stopped. The homes publish no sha256; the
archives' own checksums are verified. The photos belong to their photographers; see each data set's terms of use.
"""

from __future__ import annotations

import argparse
import fnmatch
import gzip
import shutil
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from tqdm import tqdm

from seq2seq.data.caption_json import KarpathyJson
from seq2seq.data.captions import Captions, TokenFile
from seq2seq.data.fetch import as_script, fetch
from seq2seq.data.pictures import read_picture, upright
from seq2seq.errors import DataError

FLICKR8K = "https://github.com/jbrownlee/Datasets/releases/download/Flickr8k"
COCO = "http://images.cocodataset.org/zips"
KARPATHY = "https://cs.stanford.edu/people/karpathy/deepimagesent"
REFERENCES = 5


class Piece(NamedTuple):
    """A file, or a folder of photos, that is laid down."""

    target: str
    archive: str
    home: str | None
    """Where the archive is fetched from; None where it is given out by hand only"""
    names: tuple[str, ...]
    """What the file, or the folder, may be called where a user has it; the file's first name is that in the archive"""
    photos: bool = False
    split: str | None = None
    """The only split that needs it"""


class Dataset(NamedTuple):
    """What is laid down, and what its splits must then give."""

    pieces: tuple[Piece, ...]
    sizes: dict[str, int]
    """Photos of each split"""
    reader: Callable[[Path, str], Captions]
    """Reads a split of the data that stand in a folder"""


def flickr8k(root: Path, split: str) -> Captions:
    """Reads a split of Flickr8k (Hodosh et al. 2013)."""
    captions, listed = root / "Flickr8k.token.txt.gz", root / f"Flickr_8k.{split}Images.txt"
    return TokenFile(path=captions, root=root / "images", split=listed, grouped=True, references=REFERENCES)


def flickr30k(root: Path, split: str) -> Captions:
    """Reads a split of Flickr30k (Young et al. 2014), as Karpathy and Fei-Fei (2015) cut it."""
    path = root / "dataset_flickr30k.json"
    return KarpathyJson(path=path, root=root / "images", splits=[split], grouped=True, references=REFERENCES)


def coco(root: Path, split: str) -> Captions:
    """Reads a split of COCO 2014 (Lin et al. 2014), as Karpathy and Fei-Fei (2015) cut it."""
    return KarpathyJson(path=root / "dataset_coco.json", root=root, splits=[split], grouped=True, references=REFERENCES)


def flickr8k_list(split: str) -> Piece:
    """The list of photos of a split of Flickr8k."""
    name = f"Flickr_8k.{split}Images.txt"
    return Piece(name, "Flickr8k_text.zip", FLICKR8K, (name,), split=split)


def splits_of(name: str) -> Piece:
    """Karpathy's file of a data set."""
    return Piece(f"dataset_{name}.json", "caption_datasets.zip", KARPATHY, (f"dataset_{name}.json",))


DATASETS = {
    "flickr8k": Dataset(
        (
            Piece("Flickr8k.token.txt.gz", "Flickr8k_text.zip", FLICKR8K, ("Flickr8k.token.txt",)),
            *map(flickr8k_list, ("train", "dev", "test")),
            Piece(
                "images", "Flickr8k_Dataset.zip", FLICKR8K, ("Flicker8k_Dataset", "Flickr8k_Dataset", "images"), True
            ),
        ),
        {"train": 6000, "dev": 1000, "test": 1000},
        flickr8k,
    ),
    "flickr30k": Dataset(
        (
            splits_of("flickr30k"),
            Piece("images", "flickr30k-images.zip", None, ("flickr30k-images", "flickr30k_images", "images"), True),
        ),
        {"train": 29000, "val": 1014, "test": 1000},
        flickr30k,
    ),
    "coco": Dataset(
        (
            splits_of("coco"),
            Piece("train2014", "train2014.zip", COCO, ("train2014",), True),
            Piece("val2014", "val2014.zip", COCO, ("val2014",), True),
        ),
        {"train": 82783, "restval": 30504, "val": 5000, "test": 5000},
        coco,
    ),
}
FORM = "http://hockenmaier.cs.illinois.edu/DenotationGraph/"


def main(arguments: list[str] | None = None) -> int:
    """Runs the script; returns its exit status."""
    parser = argparse.ArgumentParser(description="Lay down a data set of captioned photos, checked.")
    parser.add_argument("dataset", choices=DATASETS)
    parser.add_argument("root", type=Path, nargs="?", help="where (data/ and the data set's name)")
    parser.add_argument("--splits", nargs="+", metavar="SPLIT", help="only these splits have to be there (all)")
    parser.add_argument("--from", dest="folder", type=Path, help="take archives or unpacked files from this folder")
    parser.add_argument("--base-url", help="where all archives are, instead of their public homes")
    parser.add_argument("--keep-archives", action="store_true", help="keep fetched archives beside what they held")
    parser.add_argument("--retries", type=int, default=5, help="tries more after a failed one (%(default)s)")
    parser.add_argument("--wait", type=float, default=1.0, help="seconds before the first retry, then doubled")
    options = parser.parse_args(arguments)
    dataset = DATASETS[options.dataset]
    for split in options.splits or ():
        if split not in dataset.sizes:
            parser.error(f"{options.dataset} has no split {split}: it has {', '.join(dataset.sizes)}")
    return as_script(lambda: prepare(options, dataset))


def prepare(options: argparse.Namespace, dataset: Dataset) -> None:
    """Lays the data set down, or checks the one that is there."""
    root = options.root or Path("data", options.dataset)
    splits = options.splits or list(dataset.sizes)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        print(f"{root}: is there; checking it", flush=True)
        check(dataset, root, splits)
    else:
        stage = root.with_name(f"{root.name}.part")
        stage.mkdir(parents=True, exist_ok=True)
        for piece in dataset.pieces:
            if piece.split is None or piece.split in splits:
                lay_down(piece, stage, options)
        check(dataset, stage, splits)
        if not options.keep_archives:
            for archive in {piece.archive for piece in dataset.pieces}:
                (stage / archive).unlink(missing_ok=True)
        if root.exists():
            root.rmdir()
        stage.rename(root)
    print(f"ready: python -m seq2seq.train recipe=caption data={options.dataset} data.root={root}")


def lay_down(piece: Piece, stage: Path, options: argparse.Namespace) -> None:
    """Brings one piece to its place, where it is not there yet."""
    target = stage / piece.target
    if target.exists():
        print(f"{piece.target}: already there", flush=True)
        return
    source = fetched(piece, stage, options) if options.folder is None else found(piece, options.folder)
    aside = stage / f"{piece.target}.tmp"
    if aside.is_dir():
        shutil.rmtree(aside)
    with told_as_damaged(source, options.folder is None):
        if piece.photos:
            aside.mkdir()
            for name, file in photos_in(source):
                with (aside / name).open("wb") as copy:
                    shutil.copyfileobj(file, copy)
        else:
            with file_in(source, piece) as file, opened_to_write(aside) as copy:
                shutil.copyfileobj(file, copy)
    aside.rename(target)
    told = f"{sum(1 for _ in target.iterdir()):,} photos" if piece.photos else f"{target.stat().st_size:,} bytes"
    print(f"{piece.target}: {told}, from {source}", flush=True)


def fetched(piece: Piece, stage: Path, options: argparse.Namespace) -> Path:
    """The archive of a piece, fetched where it is not there yet."""
    archive = stage / piece.archive
    base = options.base_url or piece.home
    if base is None:
        raise DataError(f"{piece.archive} is given out by hand: ask for it at {FORM}, then use --from FOLDER")
    if not archive.exists():
        part = stage / f"{piece.archive}.part"
        fetch(f"{base.rstrip('/')}/{piece.archive}", part, retries=options.retries, wait=options.wait)
        part.rename(archive)
    return archive


def found(piece: Piece, folder: Path) -> Path:
    """What a user's folder holds of a piece: the file or folder itself, or its archive; the least deep one."""
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder: --from expects the one that holds the data")
    names = piece.names if piece.photos else (*piece.names, *(f"{name}.gz" for name in piece.names))
    inside = sorted(folder.rglob("*"), key=lambda path: (len(path.parts), path))
    for path in [folder, *inside] if piece.photos else inside:
        if path.name in names and path.is_dir() == piece.photos:
            return path
    for path in inside:
        if path.name == piece.archive:
            return path
    kind = "a folder" if piece.photos else "a file"
    home = f"; it is at {piece.home}/{piece.archive}" if piece.home else f"; ask for it at {FORM}"
    raise DataError(f"{folder}: holds neither {kind} {' or '.join(names)} nor {piece.archive}{home}")


def photos_in(source: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The photos of a folder or an archive, each open, by the last part of its name."""
    if source.is_dir():
        paths = sorted(path for path in source.iterdir() if path.suffix.lower() == ".jpg")
        for path in tqdm(paths, unit=" photos", desc=source.name, disable=None, leave=False):
            with path.open("rb") as file:
                yield path.name, file
        count = len(paths)
    else:
        with zipfile.ZipFile(source) as archive:
            members = matching(archive, "*.jpg")
            for member in tqdm(members, unit=" photos", desc=source.name, disable=None, leave=False):
                with archive.open(member) as file:
                    yield PurePosixPath(member.filename).name, file
        count = len(members)
    if not count:
        raise DataError(f"{source}: holds no photo (.jpg)")


@contextmanager
def file_in(source: Path, piece: Piece) -> Iterator[IO[bytes]]:
    """The piece's file, open: the source itself, unpacked where it is gzip, or out of an archive."""
    if source.suffix == ".gz":
        with gzip.open(source) as file:
            yield file
    elif source.name != piece.archive:
        with source.open("rb") as file:
            yield file
    else:
        with zipfile.ZipFile(source) as archive:
            members = matching(archive, piece.names[0])
            if not members:
                raise DataError(f"{source}: holds no {piece.names[0]}")
            with archive.open(members[0]) as file:
                yield file


def matching(archive: zipfile.ZipFile, pattern: str) -> list[zipfile.ZipInfo]:
    """An archive's files whose name, without folders, fits; those that macOS adds are none."""
    return [
        member
        for member in archive.infolist()
        if fnmatch.fnmatch(PurePosixPath(member.filename).name, pattern)
        and not PurePosixPath(member.filename).name.startswith("._")
    ]


@contextmanager
def opened_to_write(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to, packed where its name, without what stands behind the last dot, ends in ``.gz``."""
    with path.open("wb") as file:
        if path.stem.endswith(".gz"):
            with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packed:  # no time, so that equal data are equal
                yield packed
        else:
            yield file


@contextmanager
def told_as_damaged(source: Path, ours: bool) -> Iterator[None]:
    """Says in one line that an archive is damaged. One that was fetched is removed: nothing can be built upon it."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile) as error:
        if ours:
            source.unlink()
        then = "removed; the same command fetches it again" if ours else "give a whole one"
        raise DataError(f"{source}: is damaged or no archive ({error}): {then}") from error


def check(dataset: Dataset, root: Path, splits: list[str]) -> None:
    """Reads every split, counts it, and decodes its photos. Raises DataError for what is wrong."""
    for split in splits:
        photos = [example.src for example in dataset.reader(root, split)]
        if len(photos) != dataset.sizes[split]:
            raise DataError(
                f"{root}: {split} has {len(photos):,} photos, expected {dataset.sizes[split]:,}: "
                "these are other captions than those everybody reports on; remove them and start again"
            )
        with (
            ThreadPoolExecutor() as pool,
            tqdm(total=len(photos), unit=" photos", desc=f"checking {split}", disable=None, leave=False) as bar,
        ):
            for _ in pool.map(decode, photos):
                bar.update()
        print(f"{split}: {len(photos):,} photos, each can be decoded and has {REFERENCES} captions or more", flush=True)


def decode(path: str) -> None:
    """Decodes a photo, small. Raises DataError where that cannot be done."""
    try:
        upright(read_picture(path), path, 32)
    except DataError as error:
        raise DataError(f"{str(error).rpartition(';')[0]}; remove its folder and start again") from error


if __name__ == "__main__":
    sys.exit(main())
