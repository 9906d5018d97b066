"""Storage of intermediate results, so that an interrupted run resumes where it stopped."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tf_taintradar.support.files import replacing

_SETTING = "setting.json"

Arrays = dict[str, npt.NDArray[Any]]


class Store:
    """Stores arrays by name in a folder.

    Args:
        folder: folder of the stored arrays; None: nothing is stored, all is computed each time.
        setting: everything that the whole run depends on, in JSON types.

    Raises:
        ValueError: the folder belongs to a run with another setting.
        FileExistsError: the folder holds other files.
    """

    def __init__(self, folder: Path | None, setting: dict[str, Any]) -> None:
        self._folder = folder
        if folder is None:
            return
        file = folder / _SETTING
        if not file.exists():
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise FileExistsError(
                    f"{str(folder)!r} exists and holds no kept results: choose another folder."
                )
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(file) as partial:
                partial.write_text(json.dumps(setting, indent=1), encoding="utf-8")
        before = json.loads(file.read_text(encoding="utf-8"))
        changed = sorted(k for k in before.keys() | setting if before.get(k) != setting.get(k))
        if changed:
            raise ValueError(
                f"{str(folder)!r} holds results of another setting "
                f"({', '.join(changed)}): choose another folder, or the setting it began with."
            )

    def keep(self, name: str, settings: str, make: Callable[[], Arrays]) -> Arrays:
        """The arrays that `make` returns, or returned in an earlier run.

        Args:
            name: name of the file, optionally with folders.
            settings: everything that the arrays depend on besides the run's setting.
            make: computes the arrays by name.

        Raises:
            ValueError: the stored arrays of this name were made with other settings, or cannot be
                read.
        """
        if self._folder is None:
            return make()
        file = self._folder / f"{name}.npz"
        try:
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as kept:
                found = dict(kept)
        except FileNotFoundError:
            found = {**make(), "settings": np.array(settings)}
            file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(file) as partial:
                np.savez_compressed(partial, **found)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"Cannot read {str(file)!r}: {error}. Delete it, and it is computed again."
            ) from error
        if str(found.pop("settings")) != settings:
            raise ValueError(
                f"{str(file)!r} was made with other settings: choose another folder, or delete it."
            )
        return found


def checksum(*arrays: Any) -> str:
    """The SHA-256 of the arrays' shapes, types and values, in hexadecimal."""
    digest = hashlib.sha256()
    for array in map(np.ascontiguousarray, arrays):
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
