"""Files: written whole or not at all, told apart by what they hold."""

import contextlib
import hashlib
import os
import pathlib
import shutil
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """A temporary name beside `path`, with its suffix; what is written there takes its place.

    A file or a folder. If anything fails, `path` stays as it was and nothing is left behind; what a
    killed process left is removed by the next one.
    """
    target = pathlib.Path(path)
    partial, old = _beside(target, "partial"), _beside(target, "old")
    _remove(partial)
    try:
        yield partial
        if target.is_dir():  # a folder cannot take the place of a full one
            _remove(old)
            target.replace(old)
        partial.replace(target)
        _remove(old)
    finally:
        _remove(partial)


def require_new_folder(folder: str | os.PathLike[str]) -> None:
    """Raises FileExistsError if `folder` exists and is no empty folder."""
    path = pathlib.Path(folder)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(f"{os.fspath(folder)!r} exists and is not empty: choose another.")


def sha256_of(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of what a file holds, in hexadecimal; OSError if it cannot be read."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def _remove(path: pathlib.Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _beside(target: pathlib.Path, role: str) -> pathlib.Path:
    return target.with_name(f".{target.stem}.{role}{target.suffix}")
