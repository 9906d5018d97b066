"""What to do about images that are refused: the last sentences of the errors of `pixels`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

_Shape = tuple[int, ...]


def for_shape(shape: _Shape, input_shape: _Shape, argument: str) -> str:
    """What to do about an array of another shape than a batch of the classifier's images.

    Args:
        shape: The shape that came; the first number may be None.
        input_shape: (H, W, c) that the classifier takes.
        argument: What to call the images.
    """
    if 0 in shape:
        return "The batch is empty: pass at least one image."
    if len(shape) == 2:
        return _for_rank_2(shape, input_shape, argument)
    if len(shape) == 3:
        return _for_rank_3(shape, input_shape, argument)
    if len(shape) == 4:
        return _for_rank_4(shape, input_shape, argument)
    if shape[2:] == input_shape:
        return f"An array of rank 5 holds several batches: np.concatenate({argument}) joins them."
    return f"An array of rank {len(shape)} is no batch of images."


def _for_rank_2(shape: _Shape, input_shape: _Shape, argument: str) -> str:
    height, width, channels = input_shape
    if shape[1] == height * width * channels:
        return f"Flat images need their axes: {argument}.reshape(-1, {height}, {width}, {channels})"
    if shape == (height, width):
        grey = _colored(f"{argument}[None, ..., None]", channels)
        return f"One grey image needs a batch axis and a channel axis: {grey}."
    return "An array of rank 2 is no batch of images."


def _for_rank_3(shape: _Shape, input_shape: _Shape, argument: str) -> str:
    """One image without a batch axis, or a batch of grey images without a channel axis."""
    *size, channels = input_shape
    grey = _colored(f"{argument}[..., None]", channels)
    if shape == input_shape:
        return f"One image needs a batch axis: {argument}[None]."
    if list(shape[1:]) == size and shape[0] == channels == 3:
        first = f"np.transpose({argument}, (1, 2, 0))[None]"
        return f"One image with its channels first is {first}; 3 grey images are {grey}."
    if list(shape[1:]) == size:
        return f"Grey images need a channel axis: {grey}."
    if shape[2] == channels:
        return f"One image needs a batch axis, {argument}[None]. {_for_size(shape[:2], size)}"
    if shape[2] in (1, 3, 4):
        rest = _for_rank_4((1, *shape), input_shape, f"{argument}[None]")
        return f"One image needs a batch axis, {argument}[None]. {rest}"
    return f"Grey images need a channel axis: {grey}. {_for_size(shape[1:], size)}"


def _for_rank_4(shape: _Shape, input_shape: _Shape, argument: str) -> str:
    """A batch of images of another size or number of channels."""
    height, width, channels = input_shape
    if (shape[2], shape[3], shape[1]) == (height, width, channels):
        return f"Channels come last: np.transpose({argument}, (0, 2, 3, 1))."
    if (shape[3], channels) == (4, 3):
        return f"RGBA has an alpha channel, drop it: {argument}[..., :3]."
    if (shape[3], channels) == (1, 3):
        return f"Grey images become RGB by repetition: {_colored(argument, channels)}."
    if (shape[3], channels) == (3, 1):
        return f"RGB becomes grey: tf.image.rgb_to_grayscale({argument})."
    if shape[3] != channels:
        return f"The images have {shape[3]} channels, the classifier takes {channels}."
    return _for_size(shape[1:3], (height, width), argument)


def _colored(grey: str, channels: int) -> str:
    """Python code that makes grey images have as many channels as the classifier takes."""
    return grey if channels == 1 else f"np.repeat({grey}, {channels}, axis=-1)"


def _for_size(size: Any, wanted: Any, argument: str = "images") -> str:
    height, width = wanted
    return (
        f"The images are {size[0]}x{size[1]}, the classifier takes {height}x{width}: resize, "
        f"e.g. tf.image.resize({argument}, ({height}, {width}), antialias=True), "
        "or pass a folder or files, which are resized."
    )


def for_type(images: Any, array: npt.NDArray[Any]) -> str:
    """What came instead of numbers, and what to do about it.

    Args:
        images: What came.
        array: The same as an array.
    """
    if isinstance(images, Mapping):
        return f"a dict of {', '.join(map(repr, images))}. Pick its images first."
    if isinstance(images, tf.RaggedTensor | tf.SparseTensor):
        dense = "to_tensor" if isinstance(images, tf.RaggedTensor) else "tf.sparse.to_dense"
        return f"a {type(images).__name__}. Make it dense first, with `{dense}`."
    if array.dtype.kind == "b":
        return "dtype bool. Multiply by 255 if True is white."
    kinds = {type(value) for value in array.ravel()[:100].tolist()}
    if any(issubclass(kind, bytes) for kind in kinds):
        return "encoded images or paths as bytes. Pass the paths of the files as text."
    if any(issubclass(kind, (str, os.PathLike)) for kind in kinds):
        return (
            f"text or paths, dtype {array.dtype}. `predict` and the like take paths as one list or "
            "one array with a single axis; what takes arrays alone needs read_image(path, shape)."
        )
    if type(None) in kinds:
        return "None. Some readers of images, cv2.imread among them, answer it for a missing file."
    names = ", ".join(sorted(kind.__name__ for kind in kinds))
    of_what = f" of {names}" if array.dtype.kind == "O" else ""
    return f"dtype {array.dtype}{of_what}. Convert them to integers or floats first."


def for_stacking(images: Any, reason: Exception) -> str:
    """What came instead of images that stack into an array, and what to do about it.

    Args:
        images: What came.
        reason: The error of the attempt.
    """
    rows = images if isinstance(images, (list, tuple)) else []
    is_path = [isinstance(row, (str, os.PathLike)) for row in rows]
    if any(is_path):
        return "a mixture of paths and arrays. Pass each kind in a call of its own."
    shapes = sorted({getattr(row, "shape", None) or _shape_of(row) for row in rows})
    shown = ", ".join(str(tuple(shape)) for shape in shapes[:5])
    if shapes and all(len(shape) == 3 and shape[2] == shapes[0][2] for shape in shapes):
        return (
            f"images of shapes {shown}. Resize them first, e.g. with tf.image.resize, or pass "
            "their files, which are resized."
        )
    if len(shapes) > 1:
        return f"images of shapes {shown}. Give all of them the same axes and channels."
    return f"what does not become an array ({reason})."


def _shape_of(row: Any) -> tuple[int, ...]:
    try:
        return np.shape(row)
    except ValueError:
        return ()
