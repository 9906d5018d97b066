"""The calibrations that a detector's file had before: `TaintRadarModel.provenance`.

They are kept in the file and in its exports. `taintradar calibrate` and `taintradar recalibrate`
add the one that they replace.
"""

import json
import os
import zipfile
from typing import Any

from tf_taintradar.calibration.record import Calibration

_KEPT = ("kind", "target_fpr", "fpr", "fpr_interval", "n_images", "weights")

Entry = dict[str, Any]


def read_provenance(path: str | os.PathLike[str]) -> list[Entry]:
    """The former calibrations of a detector's file, the oldest first.

    Args:
        path: a `.keras` file; anything else has none.

    Returns:
        For each calibration: `saved`, the time when Keras wrote its file, `threshold`, `variant`,
        and the record's `kind`, `target_fpr`, `fpr`, `fpr_interval`, `n_images` and `weights`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))["config"]
            return list(json.loads(config["provenance"]))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return []


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
