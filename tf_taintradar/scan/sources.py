"""Finds the images of a collection, and how to read each of them."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from typing import Any

from tf_taintradar.errors import ImageError
from tf_taintradar.images.folders import list_folder
from tf_taintradar.images.sources import ImageFiles
from tf_taintradar.scan.addresses import is_address, remote_items
from tf_taintradar.scan.items import Item, LocalFile, Unreadable
from tf_taintradar.scan.packed import TABLES, table_files, table_items, tar_items
from tf_taintradar.support.checks import require

_LIST = ".txt"


def find_items(source: ImageFiles, image_column: str | None = None) -> list[Item]:
    """Finds the images of a source, in order and each of them once.

    Args:
        source: The path of a folder, which is searched as `images.find_images` searches it, of a
            file, of a `.tar`, `.parquet` or `.arrow` file with images in it, of a `.txt` file with
            the path or address of an image in each line, a pattern such as `photos/**/*.jpg`, or an
            address such as `s3://bucket/folder`; or a list of them.
        image_column: The column of tables that has the images. With it a folder is searched for
            tables, such as a data set that Hugging Face's `save_to_disk` wrote, and not for images.

    Raises:
        ImageError: There are no images.
        ValueError: The source is something else, or a table has no such column.
        MissingExtraError: Addresses and tables need the extra `scan`.
    """
    sources = [source] if isinstance(source, (str, os.PathLike)) else source
    is_listed = isinstance(sources, Iterable) and not isinstance(sources, (bytes, dict))
    places: list[Any] = list(sources) if is_listed else [None]
    if not all(isinstance(place, (str, os.PathLike)) for place in places):
        raise ValueError(
            "`source` must be a folder, a file, a pattern, an address, or a list of them. "
            f"Received: {type(source).__name__}. Arrays are for `predict`."
        )
    names = map(os.fspath, places)
    items = (item for place in names for item in _items_of(place, image_column))
    found: dict[str, Item] = {}
    for item in items:
        found.setdefault(_whole(item.name), item)
    if not found:
        raise ImageError(f"There is no image in {source!r}.")
    return list(found.values())


def _whole(name: str) -> str:
    """A name that is the same however a file was reached: `photos/1.png`, `./photos/1.png`."""
    return name if is_address(name) else os.path.abspath(name)


def _items_of(place: str, image_column: str | None) -> Iterator[Item]:
    if is_address(place):
        yield from remote_items(place)
    elif os.path.isdir(place):
        if image_column is None:
            yield from _items_in(place)
        else:
            yield from _rows_of(table_files(place), image_column)
    elif glob.has_magic(place) and not os.path.exists(place):
        for path in sorted(glob.glob(place, recursive=True)):
            if not os.path.isdir(path):
                yield from _items_of(path, image_column)
    elif place.endswith(TABLES):
        yield from _rows_of([place], image_column)
    elif place.endswith(".tar") and os.path.isfile(place):
        yield from tar_items(place)
    elif place.endswith(_LIST) and os.path.isfile(place):
        for line in _lines(place):
            yield from remote_items(line) if is_address(line) else (LocalFile(line),)
    else:
        yield LocalFile(place)


def _lines(path: str) -> Iterator[str]:
    """The lines of a list that are not empty; names that are no UTF-8 stay as they are."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        yield from (line.rstrip("\n") for line in file if line.strip())


def _items_in(folder: str) -> Iterator[Item]:
    listing = list_folder(folder)
    listing.log_skipped(folder)
    yield from (LocalFile(str(path)) for path in listing.images)
    yield from (Unreadable(str(path), why) for path, why in listing.unreadable.items())


def _rows_of(tables: Iterable[str], image_column: str | None) -> Iterator[Item]:
    for table in tables:
        told = f"the name of the column that has the images, as {table!r} is a table"
        require(image_column is not None, "image_column", image_column, told)
        yield from table_items(table, str(image_column))
