"""Readers of captioned photos whose captions come as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from seq2seq.data.captions import Caption, Captions, OwnCaptions, Photo
from seq2seq.data.readers import read_lines
from seq2seq.errors import ConfigError, DataError, nearest


class CocoJson(Captions):
    """Captions as COCO publishes them (Lin et al. 2014), for example ``annotations/captions_val2014.json``.

    Of the file, ``images`` (``id``, ``file_name``) and ``annotations`` (``image_id``, ``caption``) are read.
    """

    def photos(self) -> Iterator[Photo]:
        """The photos in the order of ``images``, each with its captions in the order of ``annotations``."""
        content = load_json(self.path)
        photos: dict[Any, Photo] = {}
        for where, image in _entries(content, "images", self.path):
            photos[_get(image, "id", int, where)] = Photo(_get(image, "file_name", str, where), where, [])
        for where, annotation in _entries(content, "annotations", self.path):
            number = _get(annotation, "image_id", int, where)
            if number not in photos:
                raise DataError(f"{where}: a caption of image_id {number}, which is none of images: take it out")
            photos[number].captions.append(Caption(_get(annotation, "caption", str, where), where))
        yield from photos.values()


class KarpathyJson(Captions):
    """The splits of Karpathy and Fei-Fei (2015): ``dataset_flickr8k.json``, ``…_flickr30k.json`` or ``…_coco.json``.

    Args:
        path, root, grouped, references: see ``Captions``. COCO's photos are in folders below the root (``val2014/``).
        splits: which of the splits are read: ``train``, ``val``, ``test``, and ``restval``, which only COCO has and
            which is customarily trained on.
    """

    def __init__(
        self, *, path: str | Path, root: str | Path, grouped: bool, references: int, splits: Sequence[str]
    ) -> None:
        super().__init__(path=path, root=root, grouped=grouped, references=references)
        self.splits = list(splits)

    def photos(self) -> Iterator[Photo]:
        """The photos of the splits in the order of the file."""
        entries = _entries(load_json(self.path), "images", self.path)
        marked = [(_get(image, "split", str, where), where, image) for where, image in entries]
        known = sorted({split for split, _, _ in marked})
        for split in self.splits:
            if known and split not in known:
                raise ConfigError(f"splits={split} of {self.path}: {nearest(split, known)}")
        for split, where, image in marked:
            if split in self.splits:
                folder = _get(image, "filepath", str, where) if "filepath" in image else ""
                name = PurePosixPath(folder, _get(image, "filename", str, where))
                sentences = _get(image, "sentences", list, where)
                captions = [
                    Caption(_get(each, "raw", str, f"{where}.sentences[{number}]"), f"{where}.sentences[{number}]")
                    for number, each in enumerate(sentences)
                ]
                yield Photo(str(name), where, captions)

    def settings(self) -> list[str]:
        """The splits."""
        return self.splits


class OwnJson(OwnCaptions):
    """Captions of one's own: a list of ``{"image": "photo.jpg", "captions": ["…", "…"]}``, or one such a line (JSONL).

    In place of ``captions`` there may be one ``caption``, and a photo may come more than once. The file is read line by
    line where its name ends in ``.jsonl`` or ``.jsonl.gz``. Arguments are those of ``OwnCaptions``.
    """

    def entries(self) -> Iterator[tuple[str, list[str], str]]:
        """Each object."""
        for where, entry in self._objects():
            name = _get(entry, "image", str, where)
            if "caption" in entry:
                texts = [_get(entry, "caption", str, where)]
            else:
                texts = _get(entry, "captions", list, where)
            for text in texts:
                if not isinstance(text, str):
                    raise DataError(f"{where}: captions hold {_kind(text)}: expected texts")
            yield name, texts, where

    def _objects(self) -> Iterator[tuple[str, dict[str, Any]]]:
        if self.path.name.removesuffix(".gz").endswith(".jsonl"):
            for number, line in enumerate(read_lines(self.path), start=1):
                where = f"{self.path.name}:{number}"
                yield where, _object(_parsed(line, self.path, number), where)
            return
        content = load_json(self.path)
        if not isinstance(content, list):
            raise DataError(f'{self.path}: holds {_kind(content)}: expected a list of {{"image": …, "captions": […]}}')
        for number, entry in enumerate(content):
            yield f"{self.path.name}[{number}]", _object(entry, f"{self.path.name}[{number}]")


def load_json(path: Path) -> Any:
    """What a JSON file holds, plain or gzip. Raises DataError where it is no JSON, naming the line."""
    return _parsed("\n".join(read_lines(path)), path, 1)


def _parsed(text: str, path: Path, first: int) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        line = first + getattr(error, "lineno", 1) - 1
        reason = getattr(error, "msg", "nested too deeply")
        raise DataError(f"{path}:{line} is not JSON ({reason}): mend the file or fetch it again") from error


def _entries(content: Any, name: str, path: Path) -> list[tuple[str, dict[str, Any]]]:
    """The objects of one of a file's lists, each with its place for messages: ``captions.json:images[7]``."""
    listed = _get(_object(content, str(path)), name, list, str(path))
    places = [f"{path.name}:{name}[{number}]" for number in range(len(listed))]
    return [(where, _object(each, where)) for where, each in zip(places, listed)]


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{where}: holds {_kind(value)}: expected an object, {{…}}")
    return value


def _get(entry: Any, key: str, kind: type, where: str) -> Any:
    """A value of an entry. Raises DataError where it lacks it or is of another kind."""
    value = _object(entry, where).get(key)
    if not isinstance(value, kind):
        have = f"{key} is {_kind(value)}" if key in entry else f"has no {key}"
        raise DataError(f"{where}: {have}: expected {_KINDS[kind]} under {key!r}")
    return value


_KINDS = {str: "a text", int: "a whole number", list: "a list", dict: "an object", type(None): "null"}


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), f"a {type(value).__name__}")
