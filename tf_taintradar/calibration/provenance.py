"""The calibrations that a detector's file had before: kept in the file, beside what Keras reads.

A `.keras` file is a zip archive, and Keras passes over members that it does not know. Loading such
a file and saving it again loses them; `taintradar calibrate` and `taintradar recalibrate` take
them along.
"""

import json
import os
import zipfile
from typing import Any

from tf_taintradar.calibration.record import Calibration

_MEMBER = "taintradar_provenance.json"
_KEPT = ("kind", "target_fpr", "fpr", "fpr_interval", "n_images", "weights")

Entry = dict[str, Any]


def read_provenance(path: str | os.PathLike[str]) -> list[Entry]:
    """The former calibrations of a detector's file, the oldest first.

    Args:
        path: a `.keras` file; anything else has none.

    Returns:
        Of each calibration `saved`, when Keras wrote its file, `threshold`, `variant`, and of the
        record `kind`, `target_fpr`, `fpr`, `fpr_interval`, `n_images` and `weights`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(_MEMBER))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return []


def write_provenance(path: str | os.PathLike[str], entries: list[Entry]) -> None:
    """Puts former calibrations into a `.keras` file that has none yet."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(_MEMBER, json.dumps(entries, indent=1))


def entry_of(calibration: Calibration, path: str | os.PathLike[str]) -> Entry:
    """What is kept of a calibration.

    Args:
        calibration: the calibration.
        path: the `.keras` file that has it.
    """
    values = json.loads(calibration.to_json())
    kept = {name: values[name] for name in _KEPT}
    about = {"threshold": calibration.threshold, "variant": calibration.variant}
    return {"saved": _saved(path), **about, **kept}


def _saved(path: str | os.PathLike[str]) -> str | None:
    """When Keras wrote a file, as `2026-11-28T17:32:18`; None: it does not say."""
    try:
        with zipfile.ZipFile(path) as archive:
            return str(json.loads(archive.read("metadata.json"))["date_saved"]).replace("@", "T")
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None
