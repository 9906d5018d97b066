"""Checks of images, the range and the shape of raw pixels.

Images travel through the package as *raw pixels*: float32 (b, H, W, c), RGB (or one grey
channel), in [0, 255]. Only the preprocessor, the last step before the classifier, leaves that
range; see `preprocessing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.errors import ImageError
from tf_taintradar.images import remedies

Shape = tuple[int, int, int]
"""(H, W, c) of one image."""

ImagesLike: TypeAlias = npt.NDArray[Any] | tf.Tensor | Sequence[npt.NDArray[Any]]
"""Images in memory: a NumPy array, a TensorFlow tensor or a list of arrays."""

ROUNDING = 1e-3
"""How far outside [0, 255] a pixel may lie: an antialiased resize of white gives 255.00006."""


def as_pixels(
    images: ImagesLike, input_shape: Shape, *, argument: str = "images"
) -> npt.NDArray[np.float32]:
    """Checks images and returns them as a batch of raw pixels.

    Args:
        images: A batch (b, H, W, c) of raw pixels in [0, 255], of any integer or floating point
            dtype: a NumPy array, a TensorFlow tensor or a list of arrays.
        input_shape: (H, W, c) that the classifier takes.
        argument: What to call the images in an error.

    Returns:
        The same values as (b, H, W, c) float32; values outside [0, 255] by no more than rounding
        are clipped. The array itself, not a copy, if it is already float32 and within [0, 255].

    Raises:
        ImageError: `images` is not numeric, ragged, empty, of another rank, size or number of
            channels, holds NaN or infinity, leaves [0, 255], or is of a floating point dtype and
            holds an image within [0, 1].
    """
    array = as_batch(images, input_shape, argument=argument)
    pixels = array.astype(np.float32, copy=False)
    is_inside = _check_range(pixels, argument)
    if array.dtype.kind == "f":
        _check_not_unit_range(pixels, argument)
    return pixels if is_inside else np.clip(pixels, 0, 255)


def clip_rounding(images: tf.Tensor) -> tf.Tensor:
    """The images in the graph, pixels outside [0, 255] by no more than rounding clipped.

    Args:
        images: (b, H, W, c) float32.

    Returns:
        The same shape and dtype; pixels that are further outside are unchanged, as is NaN.
    """
    clipped = tf.clip_by_value(images, 0.0, 255.0)
    return tf.where(tf.abs(images - clipped) <= ROUNDING, clipped, images)


def is_raw(images: tf.Tensor, *, can_be_unit: bool = False) -> tf.Tensor:
    """In the graph, whether each image holds raw pixels by the rules of `as_pixels`.

    Args:
        images: (b, H, W, c) float32.
        can_be_unit: Whether images within [0, 1] are raw pixels, as whole numbers are.

    Returns:
        (b,) bool: false for NaN, for values outside [0, 255] by more than rounding, and for
        an image within [0, 1] that is not black.
    """
    is_inside = tf.reduce_all((images >= -ROUNDING) & (images <= 255 + ROUNDING), axis=(1, 2, 3))
    brightest = tf.reduce_max(images, axis=(1, 2, 3))
    return is_inside & (can_be_unit | ~((brightest > ROUNDING) & (brightest <= 1 + ROUNDING)))


def as_whole_pixels(
    images: ImagesLike, input_shape: Shape, *, argument: str = "images"
) -> npt.NDArray[np.uint8]:
    """Checks images and returns them as whole raw pixels, as an exported detector takes them.

    Args:
        images: A batch of raw pixels as `as_pixels` takes it.
        input_shape: (H, W, c) that the classifier takes.
        argument: What to call the images in an error.

    Returns:
        (b, H, W, c) uint8; floats are rounded. The array itself, not a copy, if it is already
        uint8.

    Raises:
        ImageError: As for `as_pixels`.
    """
    array = as_batch(images, input_shape, argument=argument)
    if array.dtype == np.uint8:
        return array
    return np.rint(as_pixels(array, input_shape, argument=argument)).astype(np.uint8)


def as_batch(
    images: ImagesLike, input_shape: Shape, *, argument: str = "images"
) -> npt.NDArray[Any]:
    """Returns the images as one array of the right shape, with their dtype and values unchanged.

    Args:
        images: A batch (b, H, W, c) of integers or floats: a NumPy array, a TensorFlow tensor or
            a list of arrays.
        input_shape: (H, W, c) that the classifier takes.
        argument: What to call the images in an error.

    Returns:
        (b, H, W, c); not a copy if it is already a NumPy array.

    Raises:
        ImageError: `images` is not numeric, ragged, empty, or of another rank, size or number of
            channels.
    """
    if np.ma.is_masked(images):
        raise ImageError(
            f"`{argument}` must be whole images. Received: a masked array, some of whose "
            f"pixels have no value. Give them one, e.g. {argument}.filled(0)."
        )
    try:
        array = np.asarray(images)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ImageError(
            f"`{argument}` must be images of one size. Received: "
            f"{remedies.for_stacking(images, error)}"
        ) from error
    if array.dtype.name.startswith(("bfloat", "float8")):  # no float to NumPy
        array = array.astype(np.float32)
    if array.dtype.kind not in "iuf":
        raise ImageError(
            f"`{argument}` must be raw pixels, integers or floats from 0 to 255. "
            f"Received: {remedies.for_type(images, array)}"
        )
    check_shape(array.shape, input_shape, argument=argument)
    return array


def check_shape(
    shape: Sequence[int | None] | tf.TensorShape, input_shape: Shape, *, argument: str = "images"
) -> None:
    """Raises ImageError unless this is the shape of a batch of images of the classifier's size.

    Args:
        shape: The shape to check, a tuple or a `tf.TensorShape` of known rank. Inside a graph the
            batch size may be unknown.
        input_shape: (H, W, c) that the classifier takes.
        argument: What to call the images in an error.

    Raises:
        ImageError: `shape` is empty, or of another rank, size or number of channels.
    """
    shape = tuple(shape)
    if shape[1:] == tuple(input_shape) and shape[0] != 0:
        return
    expected = ", ".join(map(str, input_shape))
    raise ImageError(
        f"`{argument}` must have shape (batch, {expected}). Received: {shape}. "
        f"{remedies.for_shape(shape, tuple(input_shape), argument)}"
    )


def _check_range(pixels: npt.NDArray[np.float32], argument: str) -> bool:
    """Whether all pixels are within [0, 255]; raises ImageError if rounding is no reason."""
    low, high = float(pixels.min()), float(pixels.max())
    if not np.isfinite([low, high]).all():
        raise ImageError(f"`{argument}` must be finite. Received: NaN or infinite values.")
    if low < -ROUNDING or high > 255 + ROUNDING:
        depth = "If they have 16 bits, divide them by 257. " if high > 1023 else ""
        raise ImageError(
            f"`{argument}` must be raw pixels from 0 to 255. Received: values from {low:g} to "
            f"{high:g}. {depth}If they are preprocessed, pass them raw: the `preprocessor` is "
            f"applied inside. If a resize overshot, clip them: np.clip({argument}, 0, 255)."
        )
    return low >= 0 and high <= 255


def _check_not_unit_range(pixels: npt.NDArray[np.float32], argument: str) -> None:
    brightest = pixels.max(axis=(1, 2, 3))
    suspects = np.flatnonzero((brightest > ROUNDING) & (brightest <= 1 + ROUNDING))
    if suspects.size:
        row = suspects[0]
        raise ImageError(
            f"`{argument}` must be raw pixels from 0 to 255. Received: {brightest[row]:g} as the "
            f"largest value of image {row}, which looks like pixels from 0 to 1: multiply by 255."
        )
