"""One SavedModel on disk for each version, as TensorFlow Serving expects them."""

import os
import pathlib
from typing import Any

import numpy as np

from tf_taintradar.classifier.copying import probe_of
from tf_taintradar.classifier.precision import at_precision
from tf_taintradar.classifier.preprocessing import make_preprocessor
from tf_taintradar.export.savedmodel import versions_in


def export_savedmodel(
    radar: Any,
    path: str | os.PathLike[str],
    *,
    version: int | None = None,
    precision: str = "float32",
) -> pathlib.Path:
    """Writes the detector to `path/version`, where TensorFlow Serving finds it by itself.

    Use it for TensorFlow Serving, which expects a numbered folder for each version, and for half
    precision; `radar.export` writes a single folder that you name yourself.

    The folder is renamed when it is complete, so a server that watches `path` never sees half a
    version. Older versions stay as they are.

    Args:
        radar: a detector with a threshold.
        path: the folder of all versions; its name is usually that of the served model.
        version: a whole number above 0; by default 1, or one more than the newest.
        precision: "float32", or "float16" or "bfloat16" for accelerators. The classifier computes
            in it; its weights, the maps and all answers stay float32. Measure how well the flags
            agree on your images.

    Returns:
        `path/version`.

    Raises:
        NotCalibratedError: there is no threshold yet.
        ValueError: `version` is not above 0, or `precision` is unknown.
        FileExistsError: the version exists.
        UnsupportedClassifierError: the classifier cannot be copied to another precision, or its
            answers differ in it by more than rounding.
    """
    base = pathlib.Path(path)
    if version is None:
        version = _next_version(base)
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ValueError(f"`version` must be a whole number above 0. Received: {version!r}.")
    target = base / str(version)
    if target.exists():
        raise FileExistsError(
            f"{target} exists already, and a server may be using it. Leave `version` out for the "
            f"next one, {_next_version(base)}, or remove it first."
        )
    with_precision(radar, precision).export(target)
    return target


def with_precision(radar: Any, precision: str) -> Any:
    """The detector itself for "float32", else one like it around a copy of its classifier."""
    shape = radar.opened.input_shape
    probe = np.asarray(make_preprocessor(radar.preprocessor, shape)(probe_of(shape)))
    classifier = at_precision(radar.classifier, precision, probe)
    if classifier is radar.classifier:
        return radar
    twin = radar.replaced(classifier=classifier, **{radar.rule.threshold_name: radar.threshold})
    if radar.calibration is not None:
        twin.calibration = radar.calibration
    return twin


def _next_version(base: pathlib.Path) -> int:
    return max(versions_in(base), default=0) + 1
