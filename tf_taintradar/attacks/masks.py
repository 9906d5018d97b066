"""Masks of patches: the pixels that an attacker paints."""

import os
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from tf_taintradar.attacks.placement import Placement
from tf_taintradar.errors import ImageError
from tf_taintradar.support.checks import check_integer, is_in_unit_interval, require

Mask = npt.NDArray[np.uint8]
Polygon = list[tuple[float, float]]

_OVERSAMPLING = 8  # polygons are drawn at this multiple of their size, then averaged

# corners (x, y) in the unit square, y downwards
_STAR: Polygon = [
    (0.5 + radius * np.sin(np.pi * i / 5), 0.5 - radius * np.cos(np.pi * i / 5))
    for i, radius in enumerate([0.5, 0.2] * 5)
]
_LIGHTNING: Polygon = [(0.62, 0), (0.2, 0.56), (0.46, 0.56), (0.32, 1), (0.8, 0.38), (0.54, 0.38)]
_POLYGONS = {"star": _STAR, "lightning": _LIGHTNING}
SHAPES = ("disk", "square", *_POLYGONS)
"""The shapes that `make_mask` knows by name."""


MaskShape: TypeAlias = str | os.PathLike[str] | npt.ArrayLike
"""The shape of a patch: one of `SHAPES`, an array or the path of a picture; see `make_mask`."""


def make_mask(shape: MaskShape, diameter: int) -> Mask:
    """The mask of a patch of a given shape and size.

    Args:
        shape: "disk", "square", "star" (five points), "lightning" (a bolt), an array (h, w) or
            (h, w, 1) that is painted where it is not 0, or the path of a picture that is painted
            where it is opaque, or not black if it has no transparency.
        diameter: the longer side of the patch in pixels, >= 1.

    Returns:
        (h, w) uint8, 1 where the patch is painted, else 0. A pixel belongs to the disk if its
        center does, to a polygon if most of it does. An array or picture is resized to the
        diameter by taking the nearest pixel.

    Raises:
        ValueError: `shape` is none of these, or no pixel of it is painted.
        ImageError: the picture cannot be read.
    """
    if isinstance(shape, str) and shape in _POLYGONS:
        mask = _polygons([_POLYGONS[shape]], (diameter, diameter))
    elif isinstance(shape, str) and shape == "square":
        mask = np.ones((diameter, diameter), np.uint8)
    elif isinstance(shape, str) and shape == "disk":
        from_center = np.arange(diameter) - (diameter - 1) / 2
        squares = from_center**2
        mask = (squares[:, None] + squares <= diameter**2 / 4).astype(np.uint8)
    else:
        mask = _resized(_painted(shape), diameter)
    if not mask.any():
        raise ValueError(
            f"`shape` must paint a pixel at a diameter of {diameter}. Received: {_short(shape)}. "
            "Make the patch larger, or take a shape that is not 0 somewhere."
        )
    return mask


def scattered_mask(image_size: tuple[int, int], *, n_pieces: int, area: float, seed: int) -> Mask:
    """The mask of equal disks at random places of an image, without overlap.

    Args:
        image_size: (H, W) of the image in pixels.
        n_pieces: number of disks, >= 1.
        area: share of the image that they cover together, in (0, 0.5]; the disks are of whole
            pixels, so the share is met roughly.
        seed: random seed of the places, >= 0.

    Returns:
        (H, W) uint8, 1 where a disk is painted, else 0.

    Raises:
        ValueError: an argument is out of range, or the disks do not fit without overlap.
    """
    check_integer("n_pieces", n_pieces, 1)
    require(is_in_unit_interval(area) and area <= 0.5, "area", area, "a fraction in (0, 0.5]")
    height, width = image_size
    diameter = max(1, round(2 * np.sqrt(area * height * width / n_pieces / np.pi)))
    disk = make_mask("disk", diameter)
    pieces = Placement("random", n_pieces, disk.shape, image_size)
    mask = np.zeros(image_size, np.uint8)
    for row, column in pieces.draw(1, np.random.default_rng([seed, 7]))[0]:
        mask[row : row + diameter, column : column + diameter] |= disk
    return mask


def eyeglasses_mask(
    image_size: tuple[int, int],
    *,
    eye_line: float = 0.42,
    width: float = 0.94,
    thickness: float = 0.032,
) -> Mask:
    """The mask of a pair of glasses on an aligned face: two rims, a bridge, two temples.

    The defaults suit a face that is upright, centered and fills the image, as in the data sets of
    face recognition; there the frame covers 6.5 % of a square image. For a smaller face, pass its
    eye line and width.

    Args:
        image_size: (H, W) of the image in pixels.
        eye_line: height of the eyes as a fraction of the image's height, from the top.
        width: width of the glasses as a fraction of the image's width, in (0, 1].
        thickness: thickness of the rims as a fraction of the width of the glasses, in (0, 0.15];
            bridge and temples are as much thicker or thinner.

    Returns:
        (H, W) uint8, 1 on the frame, else 0.

    Raises:
        ValueError: the glasses do not lie inside the image, or are too small to be drawn.

    Source: the eyeglass frames of Sharif et al., "Accessorize to a Crime", CCS 2016, which cover
    6.5 % of a 224 x 224 image; the drawing is ours.
    """
    height = width * image_size[1] / image_size[0]  # a unit of the drawing, vertically
    require(0 < thickness <= 0.15, "thickness", thickness, "a fraction in (0, 0.15]")
    reach = thickness / 2 - 0.016  # of the rims beyond those of the usual thickness
    if not (0 < width <= 1 and 0.12 + reach <= eye_line / height <= 1 / height - 0.14 - reach):
        raise ValueError(
            "`eye_line` and `width` must leave the glasses inside the image, fractions in (0, 1). "
            f"Received: {eye_line!r} and {width!r}."
        )

    def placed(x: npt.ArrayLike, y: npt.ArrayLike) -> Polygon:
        return list(
            zip(0.5 + width * np.asarray(x), eye_line + height * np.asarray(y), strict=True)
        )

    half = thickness / 2
    outer, inner = (_superellipse(0.171 + part, 0.096 + part) for part in (half, -half))
    rims = [placed(side * 0.202 + outer[0], 0.011 + outer[1]) for side in (-1, 1)]
    lenses = [placed(side * 0.202 + inner[0], 0.011 + inner[1]) for side in (-1, 1)]
    bar = 0.019 * thickness / 0.032
    bars = [
        placed([left, right, right, left], [-0.031 - bar, -0.031 - bar, -0.031 + bar, -0.031 + bar])
        for left, right in ((-0.05, 0.05), (-0.5, -0.36), (0.36, 0.5))
    ]
    frame = _polygons([*rims, *bars], image_size) & (1 - _polygons(lenses, image_size))
    require(bool(frame.any()), "width", width, "large enough to draw glasses")
    return frame


def read_rgba(
    path: str | os.PathLike[str], argument: str = "path"
) -> tuple[npt.NDArray[np.uint8], bool]:
    """The pixels (h, w, 4) of a picture, and whether it holds any transparency.

    Args:
        path: a file that Pillow reads.
        argument: name of the argument that holds the path, for the error.

    Raises:
        ImageError: the file cannot be read as a picture.
    """
    try:
        with Image.open(path) as picture:
            is_cut_out = picture.has_transparency_data
            return np.asarray(picture.convert("RGBA")), is_cut_out
    except OSError as error:
        told = f"`{argument}`: {os.fspath(path)!r} cannot be read as a picture: {error}."
        raise ImageError(told) from error


def _superellipse(
    half_width: float, half_height: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Corners (x, y) around 0 of a curve between an ellipse and a rectangle."""
    angles = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    rounded = [np.sign(f(angles)) * np.sqrt(np.abs(f(angles))) for f in (np.cos, np.sin)]
    return half_width * rounded[0], half_height * rounded[1]


def _polygons(polygons: Sequence[Polygon], size: tuple[int, int]) -> Mask:
    """The mask (h, w) of pixels at least half of which lie in a polygon (unit coordinates)."""
    height, width = (_OVERSAMPLING * side for side in size)
    canvas = Image.new("L", (width, height))
    draw = ImageDraw.Draw(canvas)
    for polygon in polygons:
        draw.polygon([(x * width - 0.5, y * height - 0.5) for x, y in polygon], fill=1)
    blocks = np.asarray(canvas).reshape(size[0], _OVERSAMPLING, size[1], _OVERSAMPLING)
    return (blocks.mean(axis=(1, 3)) >= 0.5).astype(np.uint8)


def _painted(shape: MaskShape) -> Mask:
    """Where an array is not 0, or a picture is opaque (or not black): (h, w) of 0 and 1."""
    if isinstance(shape, (str, os.PathLike)):
        expected = f"one of {', '.join(SHAPES)}, an array or the path of a picture"
        require(os.path.exists(shape), "shape", shape, expected)
        pixels, is_cut_out = read_rgba(shape, "shape")
        painted = pixels[..., 3] > 0 if is_cut_out else pixels[..., :3].any(axis=-1)
        return np.asarray(painted, np.uint8)
    mask = np.asarray(shape)
    if mask.ndim == 3 and mask.shape[-1] == 1:
        mask = mask[..., 0]
    if mask.ndim != 2 or mask.size == 0 or mask.dtype.kind not in "biuf":
        raise ValueError(
            f"`shape` must be one of {', '.join(SHAPES)}, the path of a picture, or an array "
            f"(h, w) of numbers. Received: {_short(shape)}."
        )
    return (mask != 0).astype(np.uint8)


def _resized(mask: Mask, diameter: int) -> Mask:
    """The mask with `diameter` pixels along its longer side."""
    height, width = (max(1, round(side * diameter / max(mask.shape))) for side in mask.shape)
    rows = ((np.arange(height) + 0.5) * mask.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * mask.shape[1] / width).astype(int)
    return mask[np.ix_(rows, columns)]


def _short(shape: MaskShape) -> str:
    return f"an array {shape.shape}" if isinstance(shape, np.ndarray) else repr(shape)
