"""Makes the requests that a served detector takes of what a caller passes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence, Sized
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tf_taintradar.errors import ImageError
from tf_taintradar.images.pixels import Shape, as_whole_pixels
from tf_taintradar.images.sources import ImageSource, files_of, is_stream, iterate_batches
from tf_taintradar.serving.verdict import Source

PIXELS, BYTES = ("serving_default", "images"), ("serve_bytes", "image_bytes")


@dataclasses.dataclass(frozen=True)
class Request:
    """One batch on its way to the server.

    Attributes:
        signature: The signature that it is for.
        input_name: That signature's only input.
        values: (b, H, W, c) uint8, or a list of encoded images.
        sources: Where each row came from.
    """

    signature: str
    input_name: str
    values: npt.NDArray[np.uint8] | list[bytes]
    sources: Sequence[Source]


def read_requests(
    images: ImageSource | bytes | Sequence[bytes], batch_size: int, input_shape: Callable[[], Shape]
) -> Iterator[Request]:
    """The images in batches; everything that can be checked is checked before the first one.

    Args:
        images: As `RestClient.detect` takes them.
        batch_size: The most images in one request.
        input_shape: Called for arrays only: (H, W, c) that the detector takes.

    Yields:
        Requests of 1 to `batch_size` images. Files are read as their turn comes.

    Raises:
        ImageError: A file is missing or cannot be read, or an array holds no raw pixels.
    """
    if isinstance(images, (bytes, bytearray, memoryview)):
        images = [images]
    if isinstance(images, Sized) and not isinstance(images, str) and not len(images):
        return
    files = files_of(images)
    if files is not None:
        yield from _file_requests(files, batch_size)
    elif isinstance(images, (list, tuple)) and _all_bytes(images):
        yield from _byte_requests(images, batch_size)
    elif is_stream(images):
        yield from _stream_requests(iterate_batches(images, input_shape(), batch_size))
    else:
        yield from _pixel_requests(as_whole_pixels(images, input_shape()), batch_size)


def _all_bytes(images: Sequence[Any]) -> bool:
    kinds = [isinstance(image, (bytes, bytearray, memoryview)) for image in images]
    if any(kinds) and not all(kinds):
        raise ImageError(
            "`images` must be a list of encoded images, of paths, or of arrays. Received: a "
            "mixture. Pass each kind in a call of its own."
        )
    return all(kinds)


def _file_requests(files: Sequence[Path], batch_size: int) -> Iterator[Request]:
    missing = [path for path in files if not path.is_file()]
    if missing:
        more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ImageError(f"There is no file {str(missing[0])!r}{more}. Nothing was sent.")
    for start in range(0, len(files), batch_size):
        some = files[start : start + batch_size]
        yield Request(*BYTES, [_read(path) for path in some], some)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"Cannot read {str(path)!r}: {error}") from error


def _byte_requests(images: Sequence[Any], batch_size: int) -> Iterator[Request]:
    for start in range(0, len(images), batch_size):
        some = [bytes(image) for image in images[start : start + batch_size]]
        yield Request(*BYTES, some, range(start, start + len(some)))


def _stream_requests(batches: Iterator[npt.NDArray[np.float32]]) -> Iterator[Request]:
    n = 0
    for batch in batches:
        pixels = np.rint(batch).astype(np.uint8)
        yield Request(*PIXELS, pixels, range(n, n + len(pixels)))
        n += len(pixels)


def _pixel_requests(pixels: npt.NDArray[np.uint8], batch_size: int) -> Iterator[Request]:
    for start in range(0, len(pixels), batch_size):
        some = pixels[start : start + batch_size]
        yield Request(*PIXELS, some, range(start, start + len(some)))
