"""The folder that the parts of a table are kept in."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Protocol

from tf_taintradar.support.files import replacing


class Place(Protocol):
    """A folder of files, here or in a store."""

    def names(self) -> list[str]:
        """The names of its files."""
        ...

    def reading(self, name: str) -> contextlib.AbstractContextManager[Path]:
        """A local path at which the file can be read."""
        ...

    def writing(self, name: str) -> contextlib.AbstractContextManager[Path]:
        """A local path; what is written there takes the file's place when it is whole."""
        ...

    def remove(self, name: str) -> None:
        """Removes a file."""
        ...


class LocalPlace:
    """A folder of this machine, made when a file is written; see `Place`.

    Attributes:
        folder: Where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """See `Place.names`."""
        return [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []

    def reading(self, name: str) -> contextlib.AbstractContextManager[Path]:
        """See `Place.reading`."""
        return contextlib.nullcontext(self.folder / name)

    def writing(self, name: str) -> contextlib.AbstractContextManager[Path]:
        """See `Place.writing`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return replacing(self.folder / name)

    def remove(self, name: str) -> None:
        """See `Place.remove`."""
        (self.folder / name).unlink()

    def remove_all(self) -> None:
        """Removes the folder with all that it holds, if there is one."""
        shutil.rmtree(self.folder, ignore_errors=True)
