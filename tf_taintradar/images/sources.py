"""From arrays, files, folders, datasets and generators to batches of raw pixels."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, TypeAlias, cast

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.errors import ImageError
from tf_taintradar.images.files import read_image
from tf_taintradar.images.folders import find_images
from tf_taintradar.images.pixels import ImagesLike, Shape, as_batch, as_pixels
from tf_taintradar.support.checks import check_integer

Pixels = npt.NDArray[np.float32]

ImageFiles: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""Images on disk: the path of a folder or of an image file, or a list of files."""

ImageSource: TypeAlias = (
    ImagesLike
    | ImageFiles
    | tf.data.Dataset
    | keras.utils.PyDataset
    | Iterable[ImagesLike | tuple[ImagesLike, ...]]
)
"""Images in any form that `iterate_batches` takes.

Images in memory or on disk, or an iterable of batches of images or of tuples that begin with them.
"""


def iterate_batches(
    source: ImageSource, input_shape: Shape, batch_size: int, *, steps: int | None = None
) -> Iterator[Pixels]:
    """Yields the images of any source in checked batches, each read only when it is needed.

    Args:
        source: An array, tensor or list of arrays as `as_pixels` takes them; the path of a folder
            or of one image file, or a list or array of paths; or a batched `tf.data.Dataset`, a
            `keras.utils.PyDataset`, a generator or another iterable of batches of images, or of
            tuples that begin with them. Files are cropped and resized by `read_image`, everything
            else must have the size of the classifier's input.
        input_shape: (H, W, c) that the classifier takes.
        batch_size: The largest number of images in a batch. Smaller batches of a dataset or
            generator stay as they are; larger ones are divided.
        steps: The number of batches after which to stop; for a dataset or generator, of its own
            batches.

    Yields:
        (1 to batch_size, H, W, c) float32, raw pixels in [0, 255].

    Raises:
        ImageError: The source holds no images or images that `as_pixels` or `read_image` refuse; or
            it is a dataset that is not batched, or that never ends although `steps` is None.
        ValueError: `batch_size` or `steps` is less than 1.
    """
    check_integer("batch_size", batch_size, 1)
    if steps is not None:
        check_integer("steps", steps, 1)
    if is_stream(source):
        batches = itertools.islice(_stream(source, is_cut=steps is not None), steps)
        return _stream_batches(batches, input_shape, batch_size)
    files = files_of(source)
    if files is not None:
        return itertools.islice(_file_batches(files, input_shape, batch_size), steps)
    images = as_batch(source, input_shape)
    return itertools.islice(_array_batches(images, input_shape, batch_size), steps)


def count_images(source: ImageSource) -> int | None:
    """How many images `iterate_batches` will yield from this source.

    Args:
        source: As `iterate_batches` takes it.

    Returns:
        The number of images; `None` for what yields batches, which would have to be read to be
        counted.

    Raises:
        ImageError: The source is a folder without images.
    """
    if is_stream(source):
        return None
    files = files_of(source)
    if files is not None:
        return len(files)
    if isinstance(source, (list, tuple)):
        return len(source)
    shape = np.shape(cast(ImagesLike, source))
    return int(shape[0]) if shape else 0


def files_of(source: ImageSource) -> list[Path] | None:
    """The files that a source names.

    Args:
        source: Anything; the path of a folder or of a file, or a list or one-dimensional array of
            paths, names files.

    Returns:
        The file, the listed files in their order, or the images of the folder, as `find_images`
        finds them; `None` if the source is something else. The files need not exist.

    Raises:
        ImageError: The source is a folder without images.
    """
    if isinstance(source, (str, os.PathLike)):
        return find_images(source) if Path(source).is_dir() else [Path(source)]
    names = source if isinstance(source, (list, tuple)) else _text_of(source)
    if not names or not all(isinstance(name, (str, os.PathLike)) for name in names):
        return None
    return [Path(name) for name in names]


def require_files(source: ImageSource) -> list[Path]:
    """The files that a source names, as `files_of` finds them.

    Raises:
        ImageError: The source is a folder without images.
        ValueError: The source is something else, whose rows have no files.
    """
    files = files_of(source)
    expected = "left out unless `x` is a folder, a file or a list of files: other rows have no file"
    received = f"True, with `x` of type {type(source).__name__}"
    if files is None:
        raise ValueError(f"`return_files` must be {expected}. Received: {received}.")
    return files


def names_of(files: Sequence[Path], n: int) -> npt.NDArray[np.str_]:
    """The paths of the first n files as text (n,), for answers with `return_files`."""
    return np.array(list(map(str, files[:n])))


def _text_of(source: Any) -> list[Any]:
    """The elements of an array of objects or of text with one axis; nothing of anything else."""
    if tf.is_tensor(source):
        if source.dtype != tf.string:
            return []
        source = np.vectorize(os.fsdecode, otypes=[object])(source)
    elif not hasattr(source, "__array__"):
        return []
    array = np.asarray(source)
    is_list = array.dtype.kind in "OUT" and array.ndim == 1
    return array.tolist() if is_list else []


def is_stream(source: ImageSource) -> bool:
    """Whether a source yields batches one after the other, and has no rows of its own."""
    if isinstance(source, (tf.data.Dataset, keras.utils.PyDataset)):
        return True
    has_rows = (str, bytes, bytearray, memoryview, os.PathLike, list, tuple, Mapping, Set)
    is_array = any(hasattr(source, name) for name in ("__array__", "__array_interface__"))
    is_rows = isinstance(source, has_rows) or is_array or tf.is_tensor(source)
    return isinstance(source, Iterable) and not is_rows


def _stream(source: Any, *, is_cut: bool) -> Iterable[Any]:
    """The elements of what yields batches; `is_cut` tells that only some of them are taken."""
    if isinstance(source, tf.data.Dataset):
        _check_dataset(source, is_cut)
        return source
    if not isinstance(source, keras.utils.PyDataset):
        return source
    if source.num_batches is None and not is_cut:
        raise ImageError("The dataset never ends: pass `steps`, the number of batches to take.")
    numbers = itertools.count() if source.num_batches is None else range(source.num_batches)
    return (source[i] for i in numbers)


def _file_batches(files: list[Path], input_shape: Shape, batch_size: int) -> Iterator[Pixels]:
    for start in range(0, len(files), batch_size):
        images = [read_image(path, input_shape) for path in files[start : start + batch_size]]
        yield np.stack(images).astype(np.float32)


def _array_batches(
    images: npt.NDArray[Any], input_shape: Shape, batch_size: int
) -> Iterator[Pixels]:
    for start in range(0, len(images), batch_size):
        stop = min(start + batch_size, len(images))
        yield as_pixels(images[start:stop], input_shape, argument=f"images[{start}:{stop}]")


def _stream_batches(
    elements: Iterable[Any], input_shape: Shape, batch_size: int
) -> Iterator[Pixels]:
    is_empty = True
    for element in elements:
        images = as_batch(_images_in(element, input_shape), input_shape)
        yield from _array_batches(images, input_shape, batch_size)
        is_empty = False
    if is_empty:
        raise ImageError(
            "The dataset is empty: it must yield at least one batch of images. A generator can be "
            "read only once: make a new one for each call."
        )


def _images_in(element: Any, input_shape: Shape) -> Any:
    """The images of one element: itself, or the first of a tuple (images, labels, weights)."""
    is_tuple = isinstance(element, tuple)
    is_listed = isinstance(element, list) and element and np.ndim(element[0]) == 4
    images = element[0] if (is_tuple and element) or is_listed else element
    if isinstance(images, Mapping):
        raise ImageError(
            "A dataset must yield images or tuples that begin with images. Received: a dict of "
            f"{sorted(map(str, images))}. Pick the images first, e.g. d['image']."
        )
    if not isinstance(images, (list, str)) and np.shape(images) == tuple(input_shape):
        raise ImageError(
            f"A dataset must yield batches of images. Received: a single image {input_shape}. "
            "Yield image[None], or pass a list of all images."
        )
    return images


def _check_dataset(dataset: tf.data.Dataset, is_cut: bool) -> None:
    spec = dataset.element_spec
    spec = spec[0] if isinstance(spec, tuple) else spec
    if not isinstance(spec, tf.TensorSpec):
        raise ImageError(
            "A dataset must yield images or tuples that begin with images. Received: "
            f"{dataset.element_spec}. Pick the images first: dataset.map(lambda d: d['image'])."
        )
    if spec.shape.rank == 3:
        raise ImageError(
            f"A dataset must yield batches of images. Received: single images {spec.shape}. "
            "Pass dataset.batch(32)."
        )
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY and not is_cut:
        raise ImageError(
            "The dataset repeats for ever: pass dataset.take(100), or `steps` to `predict`."
        )
