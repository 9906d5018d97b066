"""The items of a collection: their common interface, and local files."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Protocol


class Item(Protocol):
    """One image of a collection, not read yet. Items can be pickled.

    Attributes:
        name: Its path as text.
    """

    @property
    def name(self) -> str:
        """The path as text, which no other image of the collection has."""
        ...

    def version(self) -> tuple[int | None, str]:
        """The size in bytes, and what tells this version from others; OSError if it is gone."""
        ...

    def read(self) -> bytes:
        """What the file holds; OSError if it cannot be read."""
        ...


@dataclasses.dataclass(frozen=True)
class LocalFile:
    """A file of this machine; see `Item`.

    Attributes:
        path: Where it is.
    """

    path: str

    @property
    def name(self) -> str:
        """The path; bytes that are no text are written as their numbers."""
        return os.fsencode(self.path).decode("utf-8", "backslashreplace")

    def version(self) -> tuple[int, str]:
        """The size, and the time of the last change in nanoseconds."""
        status = os.stat(self.path)
        return status.st_size, str(status.st_mtime_ns)

    def read(self) -> bytes:
        """The contents."""
        return Path(self.path).read_bytes()


@dataclasses.dataclass(frozen=True)
class Unreadable:
    """A folder or file that could not be looked at; see `Item`.

    Attributes:
        name: Its path.
        reason: Why not.
    """

    name: str
    reason: str

    def version(self) -> tuple[None, str]:
        """Nothing is known."""
        return None, ""

    def read(self) -> bytes:
        """Raises OSError: `reason`."""
        raise OSError(self.reason)
