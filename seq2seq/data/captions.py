"""Readers of captioned photos: a file of captions and a folder of pictures in, examples out. No picture is opened.

Every photo that is read has to be there and to have captions; blanks in captions are single spaces afterwards.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from seq2seq.data.pictures import SUFFIXES, within
from seq2seq.data.readers import content_hash, joint_hash, read_lines
from seq2seq.errors import ConfigError, DataError, nearest
from seq2seq.types import Example

_TOKEN = re.compile(r"(.+)#\d+")


class Caption(NamedTuple):
    """One caption, and its place in the file for messages."""

    text: str
    where: str


class Photo(NamedTuple):
    """One photo with its captions, as a file of captions has them."""

    name: str
    """Its path below the root, as the file of captions gives it"""
    where: str
    captions: list[Caption]


class Captions:
    """What the readers of captions share: checks, and the two shapes of their examples.

    An example's source is the path of a picture. With ``grouped``, there is one example for each picture and its target
    is a tuple of all its captions, as evaluation asks for; without, one for each pair of picture and caption, as
    training does. Both come in the order of the file.

    Args:
        path: the file of captions, plain or gzip.
        root: the folder that the names of pictures count from; none may lead out of it.
        grouped: see above.
        references: the captions that each picture has at least.

    Raises:
        ConfigError: references below 1.
        DataError: when reading, for what is not as it should be.
    """

    def __init__(self, *, path: str | Path, root: str | Path, grouped: bool, references: int) -> None:
        if references < 1:
            raise ConfigError(f"references={references}: expected the number of captions of each picture, 1 or more")
        self.path, self.root, self.grouped, self.references = Path(path), Path(root), grouped, references

    def photos(self) -> Iterator[Photo]:
        """The photos with their captions, neither checked."""
        raise NotImplementedError

    def settings(self) -> list[str]:
        """What the examples depend on besides the arguments of this class."""
        return []

    def __iter__(self) -> Iterator[Example]:
        if not self.root.is_dir():
            raise DataError(f"{self.root} is no folder (looked in {Path.cwd()}): root is the folder of the pictures")
        photo = None
        for photo in self.photos():
            src = self._checked(photo)
            texts = [" ".join(text.split()) for text, _ in photo.captions]
            if self.grouped:
                yield Example(src, tuple(texts), photo.where)
            else:
                yield from (Example(src, text, where) for text, (_, where) in zip(texts, photo.captions))
        if photo is None:
            raise DataError(f"{self.path} holds no captions: expected at least one photo with its captions")

    def fingerprint(self) -> str:
        """A hash of the captions, of where the pictures are, and of the settings."""
        settings = [type(self).__name__, str(self.root), str(self.grouped), str(self.references), *self.settings()]
        return joint_hash([self.path.name, content_hash(self.path), *settings])

    def _checked(self, photo: Photo) -> str:
        """The path of a photo. Raises DataError where it or its captions are not as they should be."""
        src = within(self.root, photo.name, photo.where)
        for text, where in photo.captions:
            if not text.strip():
                raise DataError(f"{where}: the caption of {photo.name} is empty: write one or take the entry out")
        if len(photo.captions) < self.references:
            have = f"{len(photo.captions)} caption{'' if len(photo.captions) == 1 else 's'}"
            raise DataError(
                f"{photo.where}: {photo.name} has {have}, references={self.references} promises "
                f"{self.references} or more: add captions, take the photo out, or set references lower"
            )
        if not Path(src).is_file():
            raise self._missing(photo, src)
        return src

    def _missing(self, photo: Photo, src: str) -> DataError:
        for _, _, files in os.walk(self.root):
            if any(name.lower().endswith(SUFFIXES) for name in files):
                return DataError(
                    f"{photo.where}: {photo.name} has captions, but there is no picture {src}: "
                    "put it there, or take its captions out"
                )
        return DataError(f"{self.root} holds no {' or '.join(SUFFIXES)}: root is the folder of the pictures")


class TokenFile(Captions):
    """The format of Flickr8k and Flickr30k (Hodosh et al. 2013): lines of ``photo.jpg#2<TAB>caption``.

    Args:
        path, root, grouped, references: see ``Captions``.
        split: a file with the name of a photo on each line: only those are read, in its order. None reads all.
    """

    def __init__(
        self, *, path: str | Path, root: str | Path, grouped: bool, references: int, split: str | Path | None
    ) -> None:
        super().__init__(path=path, root=root, grouped=grouped, references=references)
        self.split = None if split is None else Path(split)

    def photos(self) -> Iterator[Photo]:
        """The photos of the split, or all."""
        photos: dict[str, Photo] = {}
        for number, line in enumerate(read_lines(self.path), start=1):
            where = f"{self.path.name}:{number}"
            key, tab, text = line.partition("\t")
            name = _TOKEN.fullmatch(key)
            if not tab or name is None:
                raise DataError(f"{where}: {_shown(line)} is no caption: expected photo.jpg#0, a tab, and the caption")
            _add(photos, name[1], text, where)
        yield from photos.values() if self.split is None else self._listed(self.split, photos)

    def settings(self) -> list[str]:
        """The content of the split's list."""
        return ["all"] if self.split is None else [content_hash(self.split)]

    def _listed(self, split: Path, photos: dict[str, Photo]) -> Iterator[Photo]:
        seen: dict[str, int] = {}
        for number, line in enumerate(read_lines(split), start=1):
            name = line.strip()
            if name in seen:
                raise DataError(f"{split}:{number}: {name} stands on line {seen[name]} already: take one out")
            if name and name not in photos:
                hint = nearest(name, photos) if len(photos) < 100 else "take it out of the list or add captions"
                raise DataError(f"{split}:{number}: {name} has no caption in {self.path}: {hint}")
            if name:
                seen[name] = number
                yield photos[name]


class OwnCaptions(Captions):
    """What the formats for one's own photos share: the file may lie beside these, and may have to name all of them.

    Args:
        path, grouped, references: see ``Captions``.
        root: see ``Captions``; None for the folder that the file is in.
        complete: every picture of the folder has to have a caption.
    """

    def __init__(
        self,
        *,
        path: str | Path,
        grouped: bool,
        references: int,
        root: str | Path | None,
        complete: bool,
    ) -> None:
        super().__init__(
            path=path, root=Path(path).parent if root is None else root, grouped=grouped, references=references
        )
        self.complete = complete

    def photos(self) -> Iterator[Photo]:
        """The photos in the order in which they come first."""
        photos: dict[str, Photo] = {}
        for name, texts, where in self.entries():
            photos.setdefault(name, Photo(name, where, [])).captions.extend(Caption(text, where) for text in texts)
        if self.complete:
            self._check_complete(photos)
        yield from photos.values()

    def entries(self) -> Iterator[tuple[str, list[str], str]]:
        """The name of a photo, captions of it, and where they stand, one entry of the file after the other."""
        raise NotImplementedError

    def _check_complete(self, photos: dict[str, Photo]) -> None:
        """Raises DataError for the first picture in the root itself that no caption names."""
        named = {os.path.normpath(name) for name in photos}
        there = self.root.iterdir() if self.root.is_dir() else ()
        left = sorted(each.name for each in there if each.suffix.lower() in SUFFIXES and each.name not in named)
        if left:
            more = f" (and {len(left) - 1:,} more)" if len(left) > 1 else ""
            raise DataError(
                f"{self.root / left[0]}{more} has no caption in {self.path}: write one, move it out, "
                "or set complete=false"
            )


class TabCaptions(OwnCaptions):
    """Lines of ``photo.jpg<TAB>caption``; a photo may have several, which need not stand together. Arguments are those
    of ``OwnCaptions``."""

    def entries(self) -> Iterator[tuple[str, list[str], str]]:
        """Each line."""
        for number, line in enumerate(read_lines(self.path), start=1):
            where = f"{self.path.name}:{number}"
            columns = line.split("\t")
            if len(columns) != 2 or not columns[0]:
                have = f"{len(columns)} column{'' if len(columns) == 1 else 's'}"
                raise DataError(
                    f"{where}: {_shown(line)} has {have}: expected photo.jpg, one tab, and its caption; "
                    "further captions of a photo have lines of their own"
                )
            yield columns[0], [columns[1]], where


def _add(photos: dict[str, Photo], name: str, text: str, where: str) -> None:
    photos.setdefault(name, Photo(name, where, [])).captions.append(Caption(text, where))


def _shown(text: str, most: int = 40) -> str:
    """A text as messages show it: quoted, and cut where it is long."""
    return repr(text if len(text) <= most else f"{text[:most]}…")
