"""Pictures: found, read, decoded, and cut to squares of bytes."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from seq2seq.data.builtin.scenes import PREFIX, picture
from seq2seq.errors import DataError

Picture = NDArray[np.uint8]
SUFFIXES = (".jpg", ".jpeg", ".png")
SIGNS = "*?["
"""What makes a path a pattern"""
_ORIENTATION = 0x0112  # EXIF's tag for how the camera was held


def read_picture(path: str | Path) -> bytes:
    """The content of a picture's file, or the description of a built-in scene. Raises DataError where there is none."""
    if str(path).startswith(PREFIX):
        return str(path).encode()
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        shown = path if len(str(path)) < 200 else f"{str(path)[:200]}…"
        raise DataError(f"{shown}: no such picture (looked in {Path.cwd()}); check the path") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def upright(content: bytes, name: str, least: int) -> Image.Image:
    """A JPEG or PNG in three colours, turned as its EXIF says, on white where it is transparent; or a scene, drawn.

    Args:
        content: What ``read_picture`` gave.
        name: What it was given, for messages.
        least: What the shorter side should be at least; larger JPEGs are decoded at a half, a quarter or an eighth.

    Raises:
        DataError: It cannot be decoded.
    """
    if name.startswith(PREFIX):
        return Image.fromarray(picture(name))
    try:
        image: Image.Image = Image.open(io.BytesIO(content), formats=("JPEG", "PNG"))
        image.draft(image.mode, (least, least))
        image.load()
        turned = image.getexif().get(_ORIENTATION, 1)
        if turned != 1:
            image = ImageOps.exif_transpose(image)
        return _on_white(image)
    except MemoryError:
        raise
    except Exception as error:  # damaged data make Pillow raise nearly anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, Image.UnidentifiedImageError):
            reason = "neither JPEG nor PNG" if content else "the file is empty"
        raise DataError(f"{name}: cannot be decoded as a picture ({reason}); mend it, or use on_error=skip") from error


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits of grey, which Pillow would cut off instead of scaling
        grey = np.asarray(image).astype(np.int64) >> 8
        image = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
    if "A" in image.mode or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image)
        image = white
    return image.convert("RGB")


def square(image: Image.Image, size: int, shorter: int, across: float = 0.5, down: float = 0.5) -> Picture:
    """Scales a picture and cuts a square out of it, in one step.

    Args:
        image: In three colours.
        size: Side of the square, in pixels.
        shorter: What the picture's shorter side is scaled to.
        across: How much of what is over is cut off on the left, 0 to 1.
        down: Likewise above.
    """
    side = min(image.size) * size / shorter
    left, top = (image.width - side) * across, (image.height - side) * down
    box = (left, top, left + side, top + side)
    return np.array(image.resize((size, size), Image.Resampling.BILINEAR, box=box))


def within(root: str | Path, name: str, where: str) -> str:
    """The path of a picture that a file of captions names, below the data's root.

    Args:
        root: Folder of the pictures.
        name: As the file of captions says.
        where: Its place in that file, for messages.

    Raises:
        DataError: It leads out of the root.
    """
    inside, path = (Path(os.path.normpath(Path.cwd() / root / part)) for part in ("", name))
    if not path.is_relative_to(inside):
        raise DataError(f"{where}: {name} lies outside of {root}: name pictures by their path below it")
    return str(Path(root) / path.relative_to(inside))


def are_pictures(given: str) -> bool:
    """Whether a path is a folder, a picture by its name, or a pattern, and no text file that lists pictures."""
    path = Path(given)
    if path.is_file() or not any(sign in given for sign in SIGNS):
        return path.is_dir() or path.suffix.lower() in SUFFIXES
    return True


def find_pictures(given: str) -> list[str]:
    """The pictures that a path stands for, sorted: a file, all JPEGs and PNGs of a folder, or what a pattern fits.

    Raises DataError where there is none.
    """
    path = Path(given)
    if path.is_dir():
        found = [each for each in path.iterdir() if each.suffix.lower() in SUFFIXES]
    else:
        found = [path] if path.is_file() else list(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    if not found:
        alone = "fits no file" if any(sign in given for sign in SIGNS) else "there is no such picture"
        held = f"holds no {' or '.join(SUFFIXES)}" if path.is_dir() else alone
        raise DataError(f"{given}: {held} (looked in {Path.cwd()}); check the path")
    return sorted(str(each) for each in found if each.is_file())
