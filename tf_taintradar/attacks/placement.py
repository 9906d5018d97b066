"""Where an attacker may paint: the shape of a patch, its place, and how it gets into an image."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Place = str | Sequence[int]  # "random", "bottom_right", or (row, column) of the top left corner


def make_mask(shape: str, diameter: int) -> npt.NDArray[np.uint8]:
    """The pixels of a patch that are painted.

    Args:
        shape: "disk" (its diameter is the side) or "square".
        diameter: side of the patch in pixels, >= 1.

    Returns:
        (diameter, diameter) uint8, 1 where the patch is painted, else 0. A pixel belongs to the
        disk if its centre does.

    Raises:
        ValueError: `shape` is neither of the two.
    """
    if shape == "square":
        return np.ones((diameter, diameter), np.uint8)
    if shape == "disk":
        from_centre = np.arange(diameter) - (diameter - 1) / 2
        squares = from_centre**2
        return (squares[:, None] + squares <= diameter**2 / 4).astype(np.uint8)
    raise ValueError(f'`shape` must be "disk" or "square"; received {shape!r}.')


def corner_range(
    place: Place, patch_size: tuple[int, int], image_size: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Between which corners a patch may lie.

    Args:
        place: "random" (anywhere inside the image), "bottom_right", or (row, column) of the top
            left pixel of the patch.
        patch_size: (height, width) in pixels.
        image_size: (height, width) in pixels.

    Returns:
        The first and the last (row, column), both included, of the patch's top left pixel: the same
        twice for a fixed place.

    Raises:
        ValueError: the patch is larger than the image, or `place` is unknown or lets the patch
            leave the image.
    """
    last = (image_size[0] - patch_size[0], image_size[1] - patch_size[1])
    if min(last) < 0:
        raise ValueError(
            f"A patch of {_by(patch_size)} pixels is larger than the image of {_by(image_size)}: "
            "make it smaller."
        )
    if isinstance(place, str):
        if place not in ("random", "bottom_right"):
            raise ValueError(_not_a_place(place))
        return ((0, 0), last) if place == "random" else (last, last)
    corner = np.asarray(place)
    if corner.shape != (2,) or corner.dtype.kind not in "iu":
        raise ValueError(_not_a_place(place))
    row, column = int(corner[0]), int(corner[1])
    if not (0 <= row <= last[0] and 0 <= column <= last[1]):
        raise ValueError(
            f"`place` must keep the patch of {_by(patch_size)} pixels inside the image of "
            f"{_by(image_size)}: from (0, 0) to {last}; received {(row, column)}."
        )
    return (row, column), (row, column)


def paste(
    images: tf.Tensor, patches: tf.Tensor, mask: npt.ArrayLike, top_left: tf.Tensor
) -> tf.Tensor:
    """The images with a patch on each; differentiable in the images and the patches.

    Args:
        images: (b, H, W, c) float32.
        patches: (b, h, w, c) float32, or (1, h, w, c): the same on all images.
        mask: (h, w), 1 where the patch is painted, else 0.
        top_left: (b, 2) int32, row and column of each patch's top left pixel.

    Returns:
        (b, H, W, c) float32: the patch's pixels under the mask and the image's everywhere else,
        neither of them rounded or blended.
    """
    rows_columns = np.argwhere(mask)
    n_images, n_pixels, n_channels = tf.shape(images)[0], len(rows_columns), patches.shape[-1]
    flat = tf.reshape(patches, [-1, np.size(mask), n_channels])
    colours = tf.gather(flat, np.flatnonzero(mask), axis=1)
    image = tf.broadcast_to(tf.range(n_images)[:, None, None], [n_images, n_pixels, 1])
    pixels = top_left[:, tf.newaxis] + rows_columns.astype(np.int32)
    return tf.tensor_scatter_nd_update(
        images,
        indices=tf.concat([image, pixels], axis=-1),
        updates=tf.broadcast_to(colours, [n_images, n_pixels, n_channels]),
    )


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _not_a_place(place: Any) -> str:
    return (
        '`place` must be "random", "bottom_right" or (row, column) of the top left corner of the '
        f"patch, two integers; received {place!r}."
    )
