"""Reads image files as the classifier takes them."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image, ImageOps

from tf_taintradar.errors import ImageError
from tf_taintradar.images.pixels import Shape


def read_image(path: str | os.PathLike[str], input_shape: Shape) -> npt.NDArray[np.uint8]:
    """One image file as the classifier takes it: upright, in RGB or grey, cropped and resized.

    The EXIF orientation is applied; grey, palette and CMYK pictures become RGB; an alpha channel is
    dropped and 16-bit samples keep their high byte, as the decoders of Keras and TensorFlow do; of
    an animation or a document the first frame counts. See `fit` for cropping and resizing.

    Args:
        path: A file of any format that Pillow reads.
        input_shape: `(height, width, channels)` that the classifier takes, 1 or 3 channels.

    Returns:
        `(height, width, channels)` uint8, raw pixels.

    Raises:
        ImageError: The file is missing, truncated or not an image, has more pixels than Pillow's
            `Image.MAX_IMAGE_PIXELS`, or samples of 32 bits; or the classifier's input is neither
            grey nor RGB.
    """
    height, width, channels = input_shape
    if channels not in (1, 3):
        raise ImageError(
            f"`input_shape` must have 1 or 3 channels for files to be read. Received: {channels} "
            "channels. Pass the images as arrays."
        )
    image = read_upright(path, "RGB" if channels == 3 else "L")
    return fit(image.reshape(*image.shape[:2], channels), (height, width)).numpy()


def read_upright(path: str | os.PathLike[str], mode: str = "RGB") -> npt.NDArray[np.uint8]:
    """One image file at its own size, upright; see `read_image`.

    Args:
        path: A file of any format that Pillow reads.
        mode: Pillow's name of the channels, "RGB" or "L".

    Returns:
        `(height, width, 3)` uint8, raw pixels; `(height, width)` of mode "L".

    Raises:
        ImageError: The file cannot be read, see `read_image`.
    """
    try:
        return _decode(path, mode)
    except Exception as error:  # on a malformed file Pillow raises nearly anything
        raise ImageError(f"Cannot read {os.fspath(path)!r} as an image: {error}") from error


def _decode(path: str | os.PathLike[str], mode: str) -> npt.NDArray[np.uint8]:
    """The first frame of the file, upright, in Pillow's mode "RGB" or "L"."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture)
    if upright.mode in ("I", "F"):
        raise ValueError("its 32-bit samples have no known range. Convert it to 8 bits.")
    if upright.mode.startswith("I;16"):  # Pillow would cut these off at 255
        upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
    upright.info.pop("transparency", None)
    return np.asarray(upright.convert(mode))


def fit(image: Any, size: tuple[int, int]) -> tf.Tensor:
    """The image at another size: its centre, cropped to the aspect ratio of `size`, then resized.

    An image that has the size already is returned unchanged. Works inside a graph, too.

    Args:
        image: `(any height, any width, channels)` uint8 or float, raw pixels in [0, 255].
        size: `(height, width)` to arrive at.

    Returns:
        `(height, width, channels)` uint8: antialiased bilinear interpolation, rounded.
    """
    image = tf.convert_to_tensor(image)
    height, width = size
    shape = tf.shape(image, out_type=tf.int64)
    rows, columns = shape[0], shape[1]
    crop_rows = tf.clip_by_value((columns * height + width // 2) // width, 1, rows)
    crop_columns = tf.clip_by_value((rows * width + height // 2) // height, 1, columns)
    top, left = (rows - crop_rows) // 2, (columns - crop_columns) // 2
    crop = image[top : top + crop_rows, left : left + crop_columns]
    resized = tf.image.resize(crop, size, method="bilinear", antialias=True)
    return tf.saturate_cast(tf.round(resized), tf.uint8)
