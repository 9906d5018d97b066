"""Drawn faces of people who do not exist.

A subject is a set of proportions, colors and a haircut; a photograph adds everything else: pose,
expression, light, background, clothes, noise.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

_OVERSAMPLING = 2
_HAIR = ("none", "short", "long", "fringe", "curls")


def draw_face(
    subject: int, photograph: int, *, seed: int = 0, size: int = 224
) -> NDArray[np.uint8]:
    """Draws a photograph of a subject.

    Args:
        subject: number of the subject, from 0.
        photograph: number of the photograph, from 0.
        seed: random seed of all subjects.
        size: side of the picture, in pixels.

    Returns:
        (size, size, 3) uint8 RGB; the same for the same arguments.
    """
    person = _person(np.random.default_rng([seed, subject]))
    rng = np.random.default_rng([seed, subject, photograph, 1])
    side = size * _OVERSAMPLING
    background = _gradient(rng, side)
    layer = Image.new("RGBA", (side, side))
    _paint(ImageDraw.Draw(layer), person, rng, side)
    angle, zoom = rng.uniform(-12, 12), rng.uniform(0.9, 1.08)
    shift = rng.uniform(-0.05, 0.05, 2) * side
    center, wide = side / 2, side / zoom
    box = (center - wide / 2, center - wide / 2, center + wide / 2, center + wide / 2)
    layer = layer.rotate(angle, Image.Resampling.BILINEAR, translate=(int(shift[0]), int(shift[1])))
    layer = layer.resize((side, side), Image.Resampling.BILINEAR, box=_inside(box, side))
    background.paste(layer, (0, 0), layer)
    picture = background.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.5)))
    pixels = np.asarray(picture.resize((size, size), Image.Resampling.BOX), np.float64)
    ramp = np.linspace(-1, 1, size) * rng.uniform(-0.2, 0.2)
    light = rng.uniform(0.8, 1.15) + (ramp if rng.random() < 0.5 else ramp[:, None])[..., None]
    if light.ndim == 2:
        light = light[None]
    return np.clip(pixels * light + rng.normal(0, 5, pixels.shape), 0, 255).astype(np.uint8)


def _person(rng: np.random.Generator) -> dict[str, Any]:
    """The features of one person; lengths are fractions of the picture."""
    skin = np.array([235, 190, 160]) * rng.uniform(0.45, 1.05) + rng.normal(0, 8, 3)
    hair = np.array([[30, 25, 20], [90, 60, 35], [190, 150, 80], [150, 70, 40], [170, 170, 170]])
    return {
        "skin": skin,
        "face": (rng.uniform(0.22, 0.29), rng.uniform(0.29, 0.36)),
        "jaw": rng.uniform(0.6, 1.0),
        "hair": hair[rng.integers(len(hair))] + rng.normal(0, 12, 3),
        "cut": _HAIR[rng.integers(len(_HAIR))],
        "spacing": rng.uniform(0.085, 0.13),
        "eye": rng.uniform(0.025, 0.042),
        "iris": rng.integers(30, 170, 3),
        "brow": (rng.uniform(0.008, 0.024), rng.uniform(-0.02, 0.02), rng.uniform(0.05, 0.075)),
        "nose": (rng.uniform(0.02, 0.055), rng.uniform(0.08, 0.15)),
        "mouth": (rng.uniform(0.06, 0.125), rng.uniform(0.012, 0.035)),
        "lips": np.array([170, 70, 70]) * rng.uniform(0.7, 1.2),
        "ears": rng.uniform(0.02, 0.05),
        "beard": rng.random() < 0.25,
        "mole": rng.uniform(-0.15, 0.15, 2) if rng.random() < 0.4 else None,
    }


def _paint(
    draw: ImageDraw.ImageDraw, person: dict[str, Any], rng: np.random.Generator, side: int
) -> None:
    skin, hair = _ink(person["skin"]), _ink(person["hair"])
    wide, high = person["face"]

    def oval(x: float, y: float, rx: float, ry: float, ink: Any) -> None:
        draw.ellipse([side * v for v in (x - rx, y - ry, x + rx, y + ry)], fill=ink)

    draw.rectangle([side * v for v in (0.1, 0.86, 0.9, 1.2)], fill=_ink(rng.integers(20, 235, 3)))
    if person["cut"] == "long":
        oval(0.5, 0.55, wide + 0.07, high + 0.12, hair)
    draw.rectangle([side * v for v in (0.42, 0.7, 0.58, 0.95)], fill=_ink(person["skin"] * 0.9))
    for turn in (-1, 1):
        oval(0.5 + turn * wide, 0.52, person["ears"], 1.6 * person["ears"], skin)
    if person["cut"] in ("short", "fringe", "curls"):
        oval(0.5, 0.42, wide + 0.02, high - 0.02, hair)
    oval(0.5, 0.52, wide, high, skin)
    oval(0.5, 0.52 + 0.45 * high, wide * person["jaw"], 0.55 * high, skin)
    if person["beard"]:
        oval(0.5, 0.52 + 0.72 * high, 0.8 * wide * person["jaw"], 0.34 * high, hair)
    _hair(draw, person, side)
    _features(oval, person, rng)


def _hair(draw: ImageDraw.ImageDraw, person: dict[str, Any], side: int) -> None:
    ink, (wide, high) = _ink(person["hair"]), person["face"]
    top = 0.52 - high
    if person["cut"] == "fringe":
        draw.rectangle(
            [side * v for v in (0.5 - wide * 0.85, top, 0.5 + wide * 0.85, top + 0.12)], fill=ink
        )
    elif person["cut"] in ("short", "long"):
        draw.pieslice(
            [side * v for v in (0.5 - wide, top - 0.03, 0.5 + wide, top + 0.24)], 180, 360, fill=ink
        )
    elif person["cut"] == "curls":
        for x in np.linspace(0.5 - wide, 0.5 + wide, 7):
            y = top + 0.06 + 0.5 * (x - 0.5) ** 2 / wide
            draw.ellipse([side * v for v in (x - 0.06, y - 0.06, x + 0.06, y + 0.06)], fill=ink)


def _features(oval: Any, person: dict[str, Any], rng: np.random.Generator) -> None:
    gaze, eye = rng.uniform(-0.3, 0.3, 2), person["eye"]
    lids, smile = rng.uniform(0.5, 0.8), rng.uniform(0.6, 2.2)
    thick, slant, length = person["brow"]
    for turn in (-1, 1):
        x = 0.5 + turn * person["spacing"]
        oval(x, 0.46, eye, eye * lids, (245, 245, 245))
        iris = 0.5 * eye
        oval(x + gaze[0] * eye, 0.46 + 0.3 * gaze[1] * eye, iris, iris, _ink(person["iris"]))
        oval(x + gaze[0] * eye, 0.46 + 0.3 * gaze[1] * eye, iris / 2, iris / 2, (10, 10, 10))
        for part in np.linspace(-0.5, 0.5, 7):
            y = 0.46 - 1.9 * eye + turn * part * slant
            oval(x + part * length, y, length / 8, thick, _ink(person["hair"] * 0.8))
    nose, down = person["nose"]
    oval(0.5, 0.46 + down, nose, 0.6 * nose, _ink(person["skin"] * 0.86))
    oval(0.5, 0.46 + 0.6 * down, 0.3 * nose, 0.45 * down, _ink(person["skin"] * 0.94))
    mouth, lip = person["mouth"]
    oval(0.5, 0.67, mouth, lip * smile, _ink(person["lips"]))
    oval(0.5, 0.67, 0.8 * mouth, max(0.004, lip * (smile - 1)), (60, 20, 25))
    if person["mole"] is not None:
        oval(0.5 + person["mole"][0], 0.56 + person["mole"][1], 0.008, 0.008, (70, 45, 40))


def _gradient(rng: np.random.Generator, side: int) -> Image.Image:
    ends = rng.uniform(20, 235, (2, 3))
    ramp = np.linspace(0, 1, side)[:, None, None]
    rows = np.broadcast_to(ends[0] * (1 - ramp) + ends[1] * ramp, (side, side, 3))
    return Image.fromarray(rows.astype(np.uint8))


def _inside(box: tuple[float, ...], side: int) -> tuple[float, float, float, float]:
    left, top, right, bottom = (min(max(v, 0.0), float(side)) for v in box)
    return left, top, right, bottom


def _ink(color: Any) -> tuple[int, ...]:
    return tuple(int(v) for v in np.clip(color, 0, 255))
