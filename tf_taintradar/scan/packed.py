"""Images within files: tar archives as of WebDataset, Parquet and Arrow files with a column."""

from __future__ import annotations

import dataclasses
import functools
import os
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from tf_taintradar.images.folders import natural_key, suffixes
from tf_taintradar.scan.items import LocalFile, Unreadable
from tf_taintradar.support.checks import require
from tf_taintradar.support.extras import import_extra

TABLES = (".parquet", ".arrow")
_OPEN = 2  # pieces of tables that are in memory at a time
_OPENING = threading.Lock()  # so that no piece is read twice


@dataclasses.dataclass(frozen=True)
class Member:
    """A file in a tar archive that is not compressed; see `items.Item`.

    Attributes:
        archive: The path of the archive.
        path: Of the file in it.
        offset: Where its contents begin in the archive.
        size: How many bytes they are.
    """

    archive: str
    path: str
    offset: int
    size: int

    @property
    def name(self) -> str:
        """The archive and the path in it, with `#` between them."""
        return f"{LocalFile(self.archive).name}#{self.path}"

    def version(self) -> tuple[int, str]:
        """The size, and the time of the archive's last change in nanoseconds."""
        return self.size, str(os.stat(self.archive).st_mtime_ns)

    def read(self) -> bytes:
        """The contents."""
        with open(self.archive, "rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


@dataclasses.dataclass(frozen=True)
class Cell:
    """An image in a row of a table; see `items.Item`.

    Attributes:
        table: The path of the Parquet or Arrow file.
        column: The column that has the images: bytes, or a struct with the fields `bytes` and
            `path`, one of which may be None, as in data sets of Hugging Face.
        piece: The number of the row group or of the record batch.
        row: The row in it.
        number: The row in the whole table.
    """

    table: str
    column: str
    piece: int
    row: int
    number: int

    @property
    def name(self) -> str:
        """The table and the row, counted from 0, with `#` between them."""
        return f"{LocalFile(self.table).name}#{self.number}"

    def version(self) -> tuple[None, str]:
        """No size, and the time of the table's last change in nanoseconds."""
        return None, str(os.stat(self.table).st_mtime_ns)

    def read(self) -> bytes:
        """The contents; OSError if there are none in the cell."""
        with _OPENING:
            value = _piece(self.table, self.column, self.piece)[self.row].as_py()
        contents = value
        if isinstance(value, dict):
            contents, file = value.get("bytes"), value.get("path")
            if contents is None and file:
                return Path(file).read_bytes()
        if not isinstance(contents, bytes):
            raise OSError(f"column {self.column!r} has no bytes in this row")
        return contents


def tar_items(path: str) -> Iterator[Member | Unreadable]:
    """The images in a tar archive, by their suffix, in the order of the archive.

    Where it is broken, compressed or no archive, `Unreadable` comes in place of what is not found.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                is_image = PurePosixPath(member.name).suffix.lower() in suffixes()
                if member.isreg() and is_image:
                    yield Member(path, member.name, member.offset_data, member.size)
    except (tarfile.TarError, OSError) as error:
        reason = f"it must be a whole tar archive that is not compressed: {error}"
        yield Unreadable(LocalFile(path).name, reason)


def table_items(path: str, column: str) -> Iterator[Cell | Unreadable]:
    """The images in a column of a Parquet or Arrow file, row by row.

    A file that is broken is `Unreadable`.

    Raises:
        ValueError: There is no such column.
        MissingExtraError: The extra `scan` is not installed.
    """
    try:
        names, sizes = _outline(path)
    except (ValueError, OSError) as error:  # those of Arrow are ValueErrors
        yield Unreadable(LocalFile(path).name, str(error))
        return
    told = f"one of the columns of {path!r}: {', '.join(names)}"
    require(column in names, "image_column", column, told)
    number = 0
    for piece, size in enumerate(sizes):
        for row in range(size):
            yield Cell(path, column, piece, row, number)
            number += 1


def table_files(folder: str) -> list[str]:
    """The tables of a folder and those below it, such as a data set that was saved to the disk."""
    found = (str(path) for path in Path(folder).rglob("*") if path.suffix in TABLES)
    return sorted(found, key=natural_key)


def _outline(path: str) -> tuple[list[str], list[int]]:
    """The names of the columns, and the number of rows of each piece."""
    if path.endswith(".parquet"):
        with _parquet(path) as file:
            groups = range(file.metadata.num_row_groups)
            sizes = [file.metadata.row_group(group).num_rows for group in groups]
            return file.schema_arrow.names, sizes
    table = _arrow(path)
    return table.column_names, [batch.num_rows for batch in table.to_batches()]


@functools.lru_cache(_OPEN)
def _piece(path: str, column: str, piece: int) -> Any:
    """The column (rows,) of one piece."""
    if path.endswith(".parquet"):
        with _parquet(path) as file:
            return file.read_row_group(piece, columns=[column]).column(column)
    return _arrow(path).to_batches()[piece].column(column)


def _parquet(path: str) -> Any:
    parquet = import_extra("pyarrow.parquet", feature="A Parquet file", extra="scan")
    return parquet.ParquetFile(path)


def _arrow(path: str) -> Any:
    """The table of an Arrow file, whose columns stay on the disk until they are read."""
    arrow = import_extra("pyarrow", feature="An Arrow file", extra="scan")
    file = arrow.memory_map(path)
    try:
        return arrow.ipc.open_stream(file).read_all()
    except arrow.ArrowInvalid:
        return arrow.ipc.open_file(file).read_all()
