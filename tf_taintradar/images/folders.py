"""Finds the image files in folders, and reports what else is there."""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageFile

from tf_taintradar.errors import ImageError

_LOG = logging.getLogger(__name__)
_SHOWN = 5  # names in a message
_NEVER_DECODED = frozenset({"MPEG"})  # Pillow knows these files, and reads no pixel of them


@dataclasses.dataclass(frozen=True)
class Listing:
    """What a folder and the folders below it hold.

    Attributes:
        images: The image files, those of a folder before those of its sub-folders, each in the
            order of their names with numbers by value: `frame2.png` comes before `frame10.png`.
        unreadable: Why a folder or a file could not be looked at, by path.
        skipped: Files that are no images by their suffix, hidden images, hidden folders, and links
            to a folder that they are in.
    """

    images: list[Path]
    unreadable: dict[Path, str]
    skipped: list[Path]

    def log_unreadable(self, folder: str | os.PathLike[str]) -> None:
        """Logs a warning that counts and names what could not be looked at, if there is any."""
        why = [f"{path} ({reason})" for path, reason in self.unreadable.items()]
        if why:
            text, extra = "Could not read %s in %s: %s", {"unreadable": len(why)}
            _LOG.warning(text, _entries(why), folder, _some(why), extra=extra)

    def log_skipped(self, folder: str | os.PathLike[str]) -> None:
        """Logs a warning that counts and names what was skipped, if there is any."""
        found = self.skipped
        if found:
            text = "Skipped %s in %s, no images: %s"
            _LOG.warning(text, _entries(found), folder, _some(found))

    def require_images(self, folder: str | os.PathLike[str]) -> None:
        """Raises ImageError if there is no image."""
        if not self.images:
            known = " ".join(sorted(suffixes()))
            raise ImageError(f"The folder {str(folder)!r} holds no image: {known}.")


def _entries(found: Sequence[Any]) -> str:
    return "1 entry" if len(found) == 1 else f"{len(found)} entries"


def _some(found: Sequence[Any]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(map(str, found[:_SHOWN])) + more


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
    """Finds the image files in a folder and the folders below it.

    Files are recognized by their suffix, in either case; all formats that Pillow reads count. Links
    are followed. Skipped and unreadable files are counted and named in the log.

    Args:
        folder: The folder to search.

    Returns:
        One path or more, each beginning with `folder`, in the order of `Listing.images`.

    Raises:
        ImageError: `folder` is not a folder, or holds no images.
    """
    listing = list_folder(folder)
    listing.log_unreadable(folder)
    listing.log_skipped(folder)
    listing.require_images(folder)
    return listing.images


def list_folder(folder: str | os.PathLike[str]) -> Listing:
    """What a folder and the folders below it hold; see `find_images`.

    Raises:
        ImageError: `folder` is not a folder.
    """
    folder = existing_folder(folder)
    listing = Listing([], {}, [])
    _search(folder, listing, frozenset())
    return listing


@functools.cache
def suffixes() -> frozenset[str]:
    """The suffixes, in lower case, of all formats that Pillow reads here."""
    Image.init()
    stubs = {
        kind
        for kind, (factory, _) in Image.OPEN.items()
        if isinstance(factory, type) and issubclass(factory, ImageFile.StubImageFile)
    }
    read = Image.OPEN.keys() - stubs - _NEVER_DECODED
    return frozenset(suffix for suffix, kind in Image.EXTENSION.items() if kind in read)


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Sorts names with their numbers by value, `frame2` before `frame10`."""
    parts: list[str | int] = re.split("([0-9]+)", name)
    parts[1::2] = map(int, parts[1::2])
    return parts, name


def _search(folder: Path, listing: Listing, above: frozenset[tuple[int, int]]) -> None:
    """Adds what a folder holds to a listing.

    Args:
        folder: The folder.
        listing: Is added to.
        above: The identities of the folders that this one is in.
    """
    folders: list[Path] = []
    places = {"image": listing.images, "folder": folders, "skipped": listing.skipped}
    try:
        here = above | {_identity(folder.stat())}
        names = sorted(os.listdir(folder), key=natural_key)
    except OSError as error:
        listing.unreadable[folder] = error.strerror or str(error)
        return
    for path in map(folder.joinpath, names):
        try:
            kind = _kind_of(path, here)
        except OSError as error:
            listing.unreadable[path] = error.strerror or str(error)
            continue
        if kind is not None:
            places[kind].append(path)
    for path in folders:
        _search(path, listing, here)


def _kind_of(path: Path, above: frozenset[tuple[int, int]]) -> str | None:
    """What an entry of a folder is: "image", "folder", "skipped" or, not worth a word, None."""
    is_image = path.suffix.lower() in suffixes()
    if path.name.startswith("."):
        return "skipped" if is_image or path.is_dir() else None
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        return "skipped" if _identity(status) in above else "folder"
    if not is_image:
        return "skipped"
    if not stat.S_ISREG(status.st_mode):
        raise OSError("neither a file nor a folder")
    return "image"


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
