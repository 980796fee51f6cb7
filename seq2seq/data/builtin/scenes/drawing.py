"""Draws scenes with numpy: each shape from its signed distance, so that edges are smooth at any place and size."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from seq2seq.data.builtin.scenes.scene import SIDE, Scene, Shape

Pixels: TypeAlias = NDArray[np.floating[Any]]

SHADES = {
    "red": (215, 45, 45),
    "yellow": (240, 220, 50),
    "green": (55, 160, 70),
    "blue": (45, 85, 205),
    "purple": (140, 60, 165),
    "black": (35, 35, 40),
}
SHADE_JITTER = 14.0
"""How far each channel of a colour strays, of 255"""
NOISE = 9.0
"""How far each channel of a pixel strays at most, of 255"""
_FIXED = 16
"""Bytes drawn before those of the noise: background, its slope and the shapes' shades"""


def draw(scene: Scene) -> NDArray[np.uint8]:
    """The picture ``[64, 64, 3]`` of a scene, RGB, 0 to 255; a function of the scene alone.

    The background is light grey with a tint and a slope of brightness; colours stray a little, and each pixel is noisy.
    """
    # Raw bits, because numpy promises them to stay the same in every version, unlike the draws made of them.
    count = _FIXED + 3 * SIDE * SIDE
    raw = np.random.PCG64(scene.shade).random_raw(-(-count // 8)).astype("<u8").view(np.uint8)[:count]
    strays = raw.astype(np.float32) * (2 / 255) - 1  # from -1 to 1
    canvas = NOISE * strays[_FIXED:].reshape(SIDE, SIDE, 3)
    ramp = np.linspace(-1, 1, SIDE, dtype=np.float32)
    canvas += 212 + 10 * strays[0:3]
    canvas += 12 * (strays[3] * ramp[:, None, None] + strays[4] * ramp[None, :, None])
    for number, shape in enumerate(scene.shapes):
        _paint(canvas, shape, SHADE_JITTER * strays[5 + 2 * number : 8 + 2 * number])
    return canvas.clip(0, 255).astype(np.uint8)


def _paint(canvas: Pixels, shape: Shape, stray: Pixels) -> None:
    """Lays a shape over the canvas, keeping the noise that is there."""
    reach = shape.radius + 1
    left, top = (max(0, int(middle - reach)) for middle in (shape.x, shape.y))
    right, bottom = (min(SIDE, int(middle + reach) + 1) for middle in (shape.x, shape.y))
    u = np.arange(left, right, dtype=np.float32)[None, :] + 0.5 - shape.x
    v = np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5 - shape.y
    cover = (0.5 - _distance(shape.kind, u, v, shape.radius)).clip(0, 1)[:, :, None]
    patch = canvas[top:bottom, left:right]
    patch += cover * (np.asarray(SHADES[shape.colour], np.float32) + stray - 212)


def _distance(kind: str, u: Pixels, v: Pixels, radius: float) -> Pixels:
    """How far each pixel is from the edge of a shape, negative inside; ``u [1, W]`` and ``v [H, 1]`` from its centre.

    Exact near edges, which is what anti-aliasing asks for, and a bound elsewhere.
    """
    if kind == "circle":
        return np.hypot(u, v) - radius
    u = np.abs(u)  # the others are the same left and right
    if kind == "square":
        return np.maximum(u, np.abs(v)) - 0.84 * radius
    if kind == "cross":
        v, arm = np.abs(v), 0.3 * radius
        return np.minimum(np.maximum(u - radius, v - arm), np.maximum(u - arm, v - radius))
    if kind == "triangle":
        slope, base = 1.75, 0.75 * radius
        return np.maximum(v - base, (slope * u - v - radius) / math.hypot(slope, 1))
    return _star(u, v, radius)


def _star(u: Pixels, v: Pixels, radius: float) -> Pixels:
    """Five points: every pixel is turned into the half of a point that it lies in, whose edge is one line."""
    tenth = math.pi / 5
    angle = np.abs((np.arctan2(u, -v) + tenth) % (2 * tenth) - tenth)
    length = np.hypot(u, v)
    inner = 0.42 * radius
    across, along = inner * math.sin(tenth), inner * math.cos(tenth) - radius
    x, y = length * np.cos(angle) - radius, length * np.sin(angle)
    return (x * across - y * along) / math.hypot(across, along)
