"""Drawn scenes for the demo: textured shapes scattered over a cluttered background.

A class is a texture and a shape ("striped star"). A scene shows several objects of its class, as a
photograph shows evidence in many places. Colors, places, sizes, rotation, objects of other classes,
background, lighting and noise are independent of the class. Scenes are drawn at twice their size
and averaged down.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

Array: TypeAlias = NDArray[np.floating]
Color: TypeAlias = NDArray[np.integer]
Texture: TypeAlias = Callable[[Array, Array, np.random.Generator], NDArray[np.bool_]]

_OVERSAMPLING = 2
_CELLS = 2  # a side of the grid that keeps objects apart


def draw_scenes(
    n: int, *, seed: int, size: int = 96
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Draws random scenes.

    Scene `i` of a seed is always the same, independent of `n`.

    Args:
        n: number of scenes.
        seed: random seed, >= 0; scenes of different seeds are independent.
        size: height and width in pixels, at least 16.

    Returns:
        Images (n, size, size, 3) uint8, raw RGB pixels 0..255, and labels (n,) int32, indices into
        `CLASS_NAMES`.
    """
    images = np.empty((n, size, size, 3), np.uint8)
    labels = np.empty((n,), np.int32)
    for i in range(n):
        rng = np.random.default_rng([seed, i])
        shape, texture = rng.integers(len(_SHAPES)), rng.integers(len(_TEXTURES))
        labels[i] = shape * len(_TEXTURES) + texture
        images[i] = _draw_scene(rng, list(_SHAPES)[shape], list(_TEXTURES)[texture], size)
    return images, labels


# Shapes: outlines `(corners, 2)` within the unit circle, y downwards; a second one is a hole.


def _polar(radii: Array) -> Array:
    """Corners at equal angles and given distances from the center, the first one on top."""
    angles = np.arange(len(radii)) * 2 * np.pi / len(radii)
    return np.stack([radii * np.sin(angles), -radii * np.cos(angles)], axis=1)


def _arc(center: float, radius: float, start: float, stop: float) -> Array:
    """Points of a circle around `(center, 0)`, between two angles in half turns."""
    angles = np.linspace(start, stop, 32) * np.pi
    return np.stack([center + radius * np.cos(angles), radius * np.sin(angles)], axis=1)


def _heart() -> Array:
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([np.sin(t) ** 3, -(y + 2.5) / 15], axis=1)


def _cross() -> Array:
    arm = np.array([(1, -0.3), (1, 0.3), (0.3, 0.3)])
    turn = np.array([(0, 1), (-1, 0)])
    return np.concatenate([arm @ np.linalg.matrix_power(turn, k) for k in range(4)])


_DISK = _polar(np.ones(48))
_ARROW = [(0, -1), (0.75, -0.2), (0.28, -0.2), (0.28, 1), (-0.28, 1), (-0.28, -0.2), (-0.75, -0.2)]
_BOLT = [(0.25, -1), (-0.6, 0.2), (-0.1, 0.2), (-0.3, 1), (0.6, -0.25), (0.1, -0.25), (0.6, -1)]

_SHAPES: dict[str, list[Array]] = {
    "disk": [_DISK],
    "ring": [_DISK, 0.5 * _DISK],
    "triangle": [_polar(np.ones(3))],
    "square": [np.array([(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)])],
    "hexagon": [_polar(np.ones(6))],
    "star": [_polar(np.tile([1.0, 0.42], 5))],
    "flower": [_polar(0.75 + 0.25 * np.cos(np.arange(60) * np.pi / 6))],
    "cross": [_cross()],
    "heart": [_heart()],
    "crescent": [np.concatenate([_arc(0, 1, 0.3, 1.7), _arc(0.5, 0.81, 1.5, 0.5)])],
    "arrow": [np.array(_ARROW)],
    "bolt": [np.array(_BOLT)],
}


# Textures: where the second color shows, by the place `(u, v)` on the object in periods.


def _speckles(u: Array, v: Array, rng: np.random.Generator) -> NDArray[np.bool_]:
    cells = rng.random((32, 32)) < 0.4
    row, column = np.floor(3 * np.stack([u, v])).astype(int) % 32
    return cells[row, column]


_TEXTURES: dict[str, Texture] = {
    "plain": lambda u, v, rng: np.zeros_like(u, bool),
    "striped": lambda u, v, rng: u % 1 < 0.5,
    "checked": lambda u, v, rng: (u % 1 < 0.5) ^ (v % 1 < 0.5),
    "dotted": lambda u, v, rng: (u % 1 - 0.5) ** 2 + (v % 1 - 0.5) ** 2 < 0.1,
    "speckled": _speckles,
    "zigzag": lambda u, v, rng: (0.5 * u + np.abs(0.75 * v % 2 - 1)) % 1 < 0.5,
}

CLASS_NAMES: tuple[str, ...] = tuple(f"{t} {s}" for s in _SHAPES for t in _TEXTURES)
"""The name of each label: a texture and a shape."""


def _draw_scene(rng: np.random.Generator, shape: str, texture: str, size: int) -> NDArray[np.uint8]:
    """One scene (size, size, 3): two to four objects of the class, and perhaps an intruder."""
    side = _OVERSAMPLING * size
    ground = rng.integers(64, 192, size=3)
    canvas = _draw_background(rng, ground, side)
    cells = rng.permutation(_CELLS**2)[: rng.integers(3, _CELLS**2 + 1)]
    n_intruders = rng.integers(2)
    for cell in cells[:n_intruders]:
        stranger, cloth = rng.choice(list(_SHAPES)), rng.choice(list(_TEXTURES))
        _strew(rng, canvas, str(stranger), str(cloth), cells=[cell], ground=ground)
    _strew(rng, canvas, shape, texture, cells=cells[n_intruders:], ground=ground)
    return _photograph(rng, canvas.reduce(_OVERSAMPLING))


def _strew(
    rng: np.random.Generator,
    canvas: Image.Image,
    shape: str,
    texture: str,
    *,
    cells: Iterable[int],
    ground: Color,
) -> None:
    """Draws one object in each of the cells, all of the same two colors."""
    side = canvas.width
    outlines: list[list[list[float]]] = []
    for cell in cells:
        middle = (np.array(divmod(cell, _CELLS)) + 0.5 + rng.uniform(-0.1, 0.1, size=2)) / _CELLS
        outlines.append(_place(rng, shape, side * middle, side * rng.uniform(0.19, 0.24)))
    body = _silhouettes(outlines, side)
    threads = ImageChops.multiply(body, _weave(rng, texture, side))
    first = _contrasting(rng, ground)
    canvas.paste(_ink(first), mask=body)
    canvas.paste(_ink(_contrasting(rng, ground, first)), mask=threads)


def _draw_background(rng: np.random.Generator, ground: Color, side: int) -> Image.Image:
    """Soft blotches around one color, with lines and small plain shapes on top."""
    grid = rng.integers(2, 7)
    blotches = ground + rng.uniform(5, 35) * rng.standard_normal((grid, grid, 3))
    canvas = Image.fromarray(blotches.clip(0, 255).astype(np.uint8))
    canvas = canvas.resize((side, side), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(6)):
        ends, width = rng.uniform(0, side, size=4), rng.integers(1, 1 + side // 32)
        pen.line(ends.tolist(), fill=_ink(rng.integers(256, size=3)), width=int(width))
    for shape in rng.choice(list(_SHAPES), size=rng.integers(8)):
        center, radius = rng.uniform(0, side, size=2), side * rng.uniform(0.03, 0.08)
        outline, *_ = _place(rng, shape, center, radius)
        pen.polygon(outline, fill=_ink(rng.integers(256, size=3)))
    return canvas


def _place(rng: np.random.Generator, shape: str, center: Array, radius: float) -> list[list[float]]:
    """Outlines `[x, y, x, y, ...]` in pixels of a shape, rotated and stretched at random."""
    stretch = rng.uniform(0.85, 1.15)
    frame = radius * np.diag([stretch, 1 / stretch]) @ _rotation(rng.uniform(-0.5, 0.5))
    return [(corners @ frame + center).ravel().tolist() for corners in _SHAPES[shape]]


def _silhouettes(objects: list[list[list[float]]], side: int) -> Image.Image:
    """A mask `(side, side)`: 255 within the first outline of an object, but 0 within its hole."""
    mask = Image.new("L", (side, side))
    pen = ImageDraw.Draw(mask)
    for outlines in objects:
        for outline, level in zip(outlines, (255, 0), strict=False):
            pen.polygon(outline, fill=level)
    return mask


def _weave(rng: np.random.Generator, texture: str, side: int) -> Image.Image:
    """A texture, rotated and moved at random, as a mask `(side, side)` of 0 and 255."""
    period = side * rng.uniform(0.065, 0.1)
    (cos, sin), _ = _rotation(rng.uniform(0, np.pi)) / period
    center = rng.uniform(0, side, size=2)
    x, y = np.arange(side) - center[0], np.arange(side)[:, None] - center[1]
    shows = _TEXTURES[texture](cos * x + sin * y, cos * y - sin * x, rng)
    return Image.fromarray(np.where(shows, 255, 0).astype(np.uint8))


def _photograph(rng: np.random.Generator, scene: Image.Image) -> NDArray[np.uint8]:
    """The scene under uneven light and with sensor noise, (size, size, 3) uint8."""
    ramp = np.linspace(-1, 1, scene.width, dtype=np.float32)
    across, down = rng.uniform(-0.2, 0.2, size=2).astype(np.float32)
    light = np.float32(rng.uniform(0.75, 1.15)) + across * ramp + down * ramp[:, None]
    noise = rng.standard_normal((*scene.size, 3), np.float32) * np.float32(rng.uniform(0, 12))
    return (np.asarray(scene) * light[..., None] + noise).clip(0, 255).astype(np.uint8)


def _contrasting(rng: np.random.Generator, *others: Color) -> Color:
    """The one of six random colors (3,) that is farthest from all the others."""
    candidates = rng.integers(256, size=(6, 3))
    distances = np.linalg.norm(candidates[:, None] - np.stack(others), axis=-1)
    return candidates[distances.min(axis=1).argmax()]


def _rotation(angle: float) -> Array:
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _ink(color: Color) -> tuple[int, ...]:
    return tuple(color.tolist())
