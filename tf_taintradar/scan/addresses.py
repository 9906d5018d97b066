"""Collections and results in stores that fsspec knows, such as `s3://`, `gs://` and `memory://`."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from tf_taintradar.images.folders import natural_key, suffixes
from tf_taintradar.support.checks import reason_of
from tf_taintradar.support.extras import MissingExtraError, import_extra

_TAGS = ("ETag", "etag", "LastModified", "last_modified", "mtime", "updated", "created")


def is_address(place: str) -> bool:
    """Whether a text is an address such as `s3://bucket/folder`, and not a path."""
    return "://" in place


@dataclasses.dataclass(frozen=True)
class RemoteFile:
    """A file in a store; see `items.Item`.

    Attributes:
        store: The fsspec file system.
        path: Where the file is in it.
        size: Its size in bytes when it was found; None if the store does not report it.
        etag: The tag of that version, or the time of its last change.
    """

    store: Any
    path: str
    size: int | None
    etag: str

    @property
    def name(self) -> str:
        """The whole address."""
        return str(self.store.unstrip_protocol(self.path))

    def version(self) -> tuple[int | None, str]:
        """As the store told when the file was found."""
        return self.size, self.etag

    def read(self) -> bytes:
        """The contents."""
        return bytes(self.store.cat_file(self.path))


def remote_items(address: str) -> Iterator[RemoteFile]:
    """The images at an address: a folder with all below it, a file, or a pattern.

    Files of a folder count by their suffix, as those of this machine do, in the order of their
    paths with numbers by value.

    Raises:
        MissingExtraError: The extra `scan`, or the store's own package, is not installed.
        OSError: The store does not answer, or does not let anyone in.
    """
    store, path = open_store(address)
    store.invalidate_cache()  # what an earlier scan saw there
    try:
        found = _look(store, path)
    except Exception as error:  # stores have errors of their own
        raise OSError(f"Cannot look into {address!r}: {reason_of(error)}") from error
    for name in sorted(found, key=natural_key):
        info = found[name]
        if info.get("type") != "directory":
            tag = next((str(info[key]) for key in _TAGS if info.get(key) is not None), "")
            yield RemoteFile(store, name, info.get("size"), tag)


def open_store(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it.

    Raises:
        MissingExtraError: The extra `scan` is not installed, or a package of the store's own, which
            the message names.
    """
    core = import_extra("fsspec.core", feature=f"The address {address!r}", extra="scan")
    try:
        store, path = core.url_to_fs(address)
    except ImportError as error:
        raise MissingExtraError(f"The address {address!r} needs a package: {error}") from error
    return store, path


def _look(store: Any, path: str) -> dict[str, Any]:
    """What the store tells of each file at a path, by the file's path."""
    if any(sign in path for sign in "*?["):
        return dict(store.glob(path, detail=True))
    if store.isdir(path):
        files = store.find(path, detail=True)
        return {name: info for name, info in files.items() if _is_image(name)}
    return {path: store.info(path) if store.exists(path) else {}}


class RemotePlace:
    """A folder in a store; see `places.Place`. A file appears there when it is whole.

    Args:
        address: Of the folder.
    """

    def __init__(self, address: str) -> None:
        self._store, self._path = open_store(address)

    def names(self) -> list[str]:
        """See `Place.names`."""
        self._store.invalidate_cache()
        try:
            paths = self._store.ls(self._path, detail=False)
        except FileNotFoundError:
            return []
        return [PurePosixPath(path).name for path in paths]

    @contextlib.contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        """See `Place.reading`."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            self._store.get_file(f"{self._path}/{name}", str(path))
            yield path

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """See `Place.writing`."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            yield path
            self._store.makedirs(self._path, exist_ok=True)
            partial = f"{self._path}/.{name}.partial"
            self._store.put_file(str(path), partial)
            self._store.mv(partial, f"{self._path}/{name}")

    def remove(self, name: str) -> None:
        """See `Place.remove`."""
        self._store.rm_file(f"{self._path}/{name}")


def _is_image(path: str) -> bool:
    name = PurePosixPath(path)
    return name.suffix.lower() in suffixes() and not name.name.startswith(".")
