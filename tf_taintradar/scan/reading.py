"""Reads and decodes images ahead of the network, on threads."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import hashlib
import os
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from tf_taintradar.errors import ImageError
from tf_taintradar.images.files import as_input, mode_of, read_upright
from tf_taintradar.images.pixels import Shape
from tf_taintradar.scan.items import Item
from tf_taintradar.support.checks import reason_of

_AHEAD = 2  # batches that are read while the network looks at one
_MOST_THREADS = 16


@dataclasses.dataclass(frozen=True, eq=False)
class Decoded:
    """An image as the network takes it, or why there is none.

    Attributes:
        name: The item's.
        size, etag: The item's version before it was read.
        sha256: Of the contents, in hexadecimal; None if they could not be read.
        upright: `(height, width)` of the upright image, before it was made to fit.
        pixels: (H, W, c) uint8, raw pixels; None if there is no image.
        error: Why not.
    """

    name: str
    size: int | None = None
    etag: str = ""
    sha256: str | None = None
    upright: tuple[int, int] = (0, 0)
    pixels: npt.NDArray[np.uint8] | None = None
    error: str | None = None


def decode(item: Item, input_shape: Shape) -> Decoded:
    """The image of an item, with the pixels of `images.read_image`; never raises an error."""
    found = Decoded(item.name)
    try:
        size, etag = item.version()
        found = dataclasses.replace(found, size=size, etag=etag)
        contents = item.read()
    except Exception as error:  # stores have errors of their own
        why = getattr(error, "strerror", None) or reason_of(error)
        return dataclasses.replace(found, error=f"Cannot read {item.name!r}: {why}")
    found = dataclasses.replace(found, sha256=hashlib.sha256(contents).hexdigest())
    try:
        image = read_upright(item.name, mode_of(input_shape), contents)
    except ImageError as error:
        return dataclasses.replace(found, error=reason_of(error))
    height, width = image.shape[:2]
    pixels = as_input(image, input_shape)
    return dataclasses.replace(found, upright=(height, width), pixels=pixels)


def decode_ahead(batches: Iterable[list[Item]], input_shape: Shape) -> Iterator[list[Decoded]]:
    """Decodes batches of items in order, while the caller is busy with the one before.

    A few batches are in memory at a time, however many there are.
    """
    waiting: collections.deque[list[concurrent.futures.Future[Decoded]]] = collections.deque()
    threads = min(_MOST_THREADS, (os.cpu_count() or 1) + 1)
    pool = concurrent.futures.ThreadPoolExecutor(threads, "decoding")
    try:
        for batch in batches:
            waiting.append([pool.submit(decode, item, input_shape) for item in batch])
            if len(waiting) > _AHEAD:
                yield [future.result() for future in waiting.popleft()]
        while waiting:
            yield [future.result() for future in waiting.popleft()]
    finally:
        pool.shutdown(cancel_futures=True)
