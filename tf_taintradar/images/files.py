"""From image files, folders and datasets to batches of raw pixels, read as they are needed."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image, ImageOps

from tf_taintradar.errors import ImageError
from tf_taintradar.images.pixels import Shape, as_batch, as_pixels
from tf_taintradar.support.checks import check_integer

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"})

Pixels = npt.NDArray[np.float32]


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
    try:
        image = _decode(path, "RGB" if channels == 3 else "L")
    except Exception as error:  # on a malformed file Pillow raises nearly anything
        raise ImageError(f"Cannot read {os.fspath(path)!r} as an image: {error}") from error
    return fit(image.reshape(*image.shape[:2], channels), (height, width)).numpy()


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


def existing_folder(folder: str | os.PathLike[str]) -> Path:
    """Its path.

    Raises:
        ImageError: `folder` is not a folder.
    """
    path = Path(folder)
    if not path.is_dir():
        raise ImageError(f"There is no folder {str(path)!r}.")
    return path


def find_images(folder: str | os.PathLike[str]) -> list[Path]:
    """The image files in a folder and the folders below it, sorted by path.

    Files count by their suffix: .jpg .jpeg .png .bmp .gif .webp .tif .tiff, in either case. Hidden
    files and hidden folders are skipped.

    Args:
        folder: The folder to search.

    Returns:
        One path or more, each beginning with `folder`.

    Raises:
        ImageError: `folder` is not a folder, or holds no image.
    """
    folder = existing_folder(folder)
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not found:
        raise ImageError(
            f"The folder {str(folder)!r} holds no image: {' '.join(sorted(SUFFIXES))}."
        )
    return found


def iterate_batches(source: Any, input_shape: Shape, batch_size: int) -> Iterator[Pixels]:
    """The images of any source in checked batches, each read when its turn comes.

    Args:
        source: An array, tensor or list of arrays as `as_pixels` takes them; a batched
            `tf.data.Dataset` of images or of tuples that begin with the images; the path of a
            folder or of one image file; or a list of paths. Files are cropped and resized by
            `read_image`, everything else must have the size of the classifier's input.
        input_shape: `(height, width, channels)` that the classifier takes.
        batch_size: The most images in one batch. A dataset keeps its own batches if they are
            smaller.

    Yields:
        `(1 to batch_size, height, width, channels)` float32, raw pixels in [0, 255].

    Raises:
        ImageError: The source holds no images, holds others than `as_pixels` and `read_image`
            take, or is a dataset that is not batched or never ends.
        ValueError: `batch_size` is less than 1.
    """
    check_integer("batch_size", batch_size, 1)
    if isinstance(source, tf.data.Dataset):
        return _dataset_batches(source, input_shape, batch_size)
    files = files_of(source)
    if files is not None:
        return _file_batches(files, input_shape, batch_size)
    return _array_batches(as_batch(source, input_shape), input_shape, batch_size)


def count_images(source: Any) -> int | None:
    """How many images `iterate_batches` will yield from this source.

    Args:
        source: As `iterate_batches` takes it.

    Returns:
        The number of images; `None` for a dataset, which would have to be read to be counted.

    Raises:
        ImageError: The source is a folder without images.
    """
    if isinstance(source, tf.data.Dataset):
        return None
    files = files_of(source)
    return len(source if files is None else files)


def files_of(source: Any) -> list[Path] | None:
    """The files that a source names.

    Args:
        source: Anything; the path of a folder or of a file, or a list of paths, names files.

    Returns:
        The file, the listed files or the images of the folder, as `find_images` finds them; `None`
        if the source is something else. The files need not exist.

    Raises:
        ImageError: The source is a folder without images.
    """
    if isinstance(source, (str, os.PathLike)):
        return find_images(source) if Path(source).is_dir() else [Path(source)]
    if not isinstance(source, (list, tuple)) or not source:
        return None
    return (
        [Path(p) for p in source]
        if all(isinstance(p, (str, os.PathLike)) for p in source)
        else None
    )


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


def _dataset_batches(
    dataset: tf.data.Dataset, input_shape: Shape, batch_size: int
) -> Iterator[Pixels]:
    _check_dataset(dataset)
    empty = True
    for element in dataset:
        images = element[0] if isinstance(element, tuple) else element
        yield from _array_batches(as_batch(images, input_shape), input_shape, batch_size)
        empty = False
    if empty:
        raise ImageError("The dataset is empty: it must yield at least one batch of images.")


def _check_dataset(dataset: tf.data.Dataset) -> None:
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
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ImageError("The dataset repeats for ever: pass dataset.take(100).")
