"""Answers about image files, one row each: what `detect` prints."""

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tf_taintradar.detection.explanation import NOT_FINITE
from tf_taintradar.errors import ImageError
from tf_taintradar.images.folders import find_images, list_folder
from tf_taintradar.model import TaintRadarModel

Row = dict[str, Any]


def list_files(paths: Iterable[Path]) -> list[Path]:
    """The paths, each folder replaced by the images in and below it; see `find_images`."""
    return [file for path in paths for file in (find_images(path) if path.is_dir() else [path])]


def by_sub_folder(folder: Path) -> tuple[list[Path], list[str]]:
    """The images in and below a folder, and the sub-folder of it that each is in.

    Raises:
        ImageError: the folder holds no image, or one that is in no sub-folder.
    """
    files = find_images(folder)
    loose = [file for file in files if file.parent == folder]
    if loose:
        raise ImageError(
            f"With --groups every image must be in a sub-folder of {str(folder)!r}, one for each "
            f"group. Received: {len(loose)} images that are in none, such as {loose[0].name!r}."
        )
    return files, [file.relative_to(folder).parts[0] for file in files]


class Found(NamedTuple):
    """The files that `detect` answers, and what it says of the others.

    Attributes:
        files: image files.
        errors: a row, `file` and `error`, for each folder and file that could not be looked at.
        skipped: files in folders that are no images.
    """

    files: list[Path]
    errors: list[Row]
    skipped: list[Path]


def search(paths: Iterable[Path]) -> Found:
    """The paths, each folder replaced by what is in and below it; skipped files are logged."""
    found = Found([], [], [])
    for path in paths:
        if not path.is_dir():
            found.files.append(path)
            continue
        listing = list_folder(path)
        listing.log_skipped(path)
        if not listing.unreadable:
            listing.require_images(path)
        for entry, why in listing.unreadable.items():
            found.errors.append({"file": str(entry), "error": f"Cannot read {str(entry)!r}: {why}"})
        found.files.extend(listing.images)
        found.skipped.extend(listing.skipped)
    return found


def scan(radar: TaintRadarModel, files: Sequence[Path], batch_size: int) -> Iterator[Row]:
    """A row for each file, in order; only one batch of images is in memory at a time.

    Args:
        radar: a detector with a threshold.
        files: image files.
        batch_size: how many are computed at once, >= 1.

    Yields:
        `file` and, named as in `TaintRadarModel.predict`, `label`, `is_adversarial`, `rank_shift`,
        `score`, `recovered_label`; the label's `probability`; `name` and `recovered_name`, None if
        the classes have no names. Where the classifier's answer is not finite, `score` and
        `probability` are None, and `remark` says so. For a file that cannot be read `file` and
        `error` alone.
    """
    for start in range(0, len(files), batch_size):
        yield from _rows(radar, files[start : start + batch_size])


def _rows(radar: TaintRadarModel, files: Sequence[Path]) -> list[Row]:
    try:
        answers = radar.predict(list(files), batch_size=len(files), verbose=0)
    except ImageError as error:
        if len(files) == 1:
            return [{"file": str(files[0]), "error": str(error)}]
        return [row for file in files for row in _rows(radar, [file])]
    probabilities = _probabilities(answers.pop("predictions"))
    names = radar.class_names
    rows: list[Row] = []
    for i, file in enumerate(files):
        row: Row = {"file": str(file), **{key: value[i].item() for key, value in answers.items()}}
        row["probability"] = probabilities[i, row["label"]].item()
        if not math.isfinite(row["score"]):
            row |= {"score": None, "probability": None, "remark": NOT_FINITE}
        row["name"] = names and names[row["label"]]
        row["recovered_name"] = names and names[row["recovered_label"]]
        rows.append(row)
    return rows


def _probabilities(predictions: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The classifier's answers as probabilities (n, labels), be they that or logits.

    One number an image (n, 1) is that of the label yes, of two.
    """
    values = predictions.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):  # of answers that are not finite
        return _of_two(values) if values.shape[1] == 1 else _as_probabilities(values)


def _of_two(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    known = values[np.isfinite(values)]
    is_logit = known.size and (known.min() < 0 or known.max() > 1)
    yes = 1 / (1 + np.exp(-values)) if is_logit else values
    return np.concatenate([1 - yes, yes], axis=1)


def _as_probabilities(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    known = values[np.isfinite(values).all(axis=1)]
    if known.size and known.min() >= 0 and np.allclose(known.sum(axis=1), 1, atol=1e-2):
        return values
    odds = np.exp(values - values.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)
