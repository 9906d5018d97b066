"""Reads image files as the classifier takes them."""

from __future__ import annotations

import functools
import io
import os
import threading
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image, ImageOps

from tf_taintradar.errors import ImageError
from tf_taintradar.images.pixels import Shape

_OPENING = threading.Lock()
"""The filters of warnings are the whole process's: one thread at a time changes them."""


def read_image(path: str | os.PathLike[str], input_shape: Shape) -> npt.NDArray[np.uint8]:
    """Reads an image file as the classifier takes it: upright, RGB or grey, cropped and resized.

    The EXIF orientation is applied; grey, palette and CMYK pictures become RGB; an alpha channel is
    dropped and 16-bit samples keep their high byte, as the decoders of Keras and TensorFlow do; of
    an animation or a document the first frame is used. See `fit` for cropping and resizing.

    Args:
        path: A file of any format that Pillow reads.
        input_shape: (H, W, c) that the classifier takes, 1 or 3 channels.

    Returns:
        (H, W, c) uint8, raw pixels.

    Raises:
        ImageError: The file is missing, truncated or not an image, has more pixels than Pillow's
            `Image.MAX_IMAGE_PIXELS`, or samples of 32 bits; or the classifier's input is neither
            grey nor RGB.
    """
    return as_input(read_upright(path, mode_of(input_shape)), input_shape)


def mode_of(input_shape: Shape) -> str:
    """Pillow's name of the channels that a classifier takes, "RGB" or "L".

    Raises:
        ImageError: The classifier's input is neither grey nor RGB.
    """
    channels = input_shape[-1]
    if channels not in (1, 3):
        raise ImageError(
            f"`input_shape` must have 1 or 3 channels for files to be read. Received: {channels} "
            "channels. Pass the images as arrays."
        )
    return "RGB" if channels == 3 else "L"


def as_input(upright: npt.NDArray[np.uint8], input_shape: Shape) -> npt.NDArray[np.uint8]:
    """What `read_upright` gives, (H, W, c) as the classifier takes it."""
    height, width, channels = input_shape
    image = upright.reshape(*upright.shape[:2], channels)
    return image if image.shape == input_shape else _fitting(height, width)(image).numpy()


@functools.cache
def _fitting(height: int, width: int) -> Any:
    """`fit` to one size, compiled: one by one, its operations take twice the time."""
    signature = [tf.TensorSpec((None, None, None), tf.uint8)]
    of_size = functools.partial(fit, size=(height, width))
    return tf.function(of_size, input_signature=signature, autograph=False)


def read_upright(
    path: str | os.PathLike[str], mode: str = "RGB", contents: bytes | None = None
) -> npt.NDArray[np.uint8]:
    """One image file at its own size, upright; see `read_image`. Threads may read at a time.

    Args:
        path: A file of any format that Pillow reads.
        mode: Pillow's name of the channels, "RGB" or "L".
        contents: What the file holds, if that has been read already: `path` is only its name then.

    Returns:
        (H, W, 3) uint8, raw pixels; (H, W) in mode "L".

    Raises:
        ImageError: The file cannot be read, see `read_image`.
    """
    try:
        return _decode(path if contents is None else _Named(contents, os.fspath(path)), mode)
    except Exception as error:  # on a malformed file Pillow raises nearly anything
        raise ImageError(f"Cannot read {os.fspath(path)!r} as an image: {error}") from error


class _Named(io.BytesIO):
    """The contents of a file, which errors call by the file's name."""

    def __init__(self, contents: bytes, path: str) -> None:
        super().__init__(contents)
        self.path = path

    def __repr__(self) -> str:
        return repr(self.path)


def _decode(file: Any, mode: str) -> npt.NDArray[np.uint8]:
    """The first frame of the file, upright, in Pillow's mode "RGB" or "L"."""
    with _OPENING, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        opened = Image.open(file)
    with opened as picture:
        upright = ImageOps.exif_transpose(picture)
    if (
        Image.MAX_IMAGE_PIXELS is not None
        and upright.width * upright.height > Image.MAX_IMAGE_PIXELS
    ):
        raise ValueError(f"it has {upright.width * upright.height} pixels, too many.")
    if upright.mode in ("I", "F"):
        raise ValueError("its 32-bit samples have no known range. Convert it to 8 bits.")
    if upright.mode.startswith("I;16"):  # Pillow would cut these off at 255
        upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
    upright.info.pop("transparency", None)
    return np.asarray(upright.convert(mode))


def shown_part(size: tuple[int, int], fitted: tuple[int, int]) -> tuple[int, int, int, int]:
    """The part of an image that `fit` shows: `(top, left, height, width)` in its own pixels.

    Args:
        size: `(height, width)` of the image, >= 1.
        fitted: `(height, width)` that it is made to have.
    """
    (rows, columns), (height, width) = size, fitted
    shown_rows = min(max((columns * height + width // 2) // width, 1), rows)
    shown_columns = min(max((rows * width + height // 2) // height, 1), columns)
    return (rows - shown_rows) // 2, (columns - shown_columns) // 2, shown_rows, shown_columns


def fit(image: npt.NDArray[Any] | tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """The image at another size: its centre, cropped to the aspect ratio of `size`, then resized.

    An image that has the size already is returned unchanged. Works inside a graph, too.

    Args:
        image: (any H, any W, c) uint8 or float, raw pixels in [0, 255].
        size: `(height, width)` to arrive at.

    Returns:
        (H, W, c) uint8: antialiased bilinear interpolation, rounded.
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
