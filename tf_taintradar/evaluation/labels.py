"""The true labels of image files, from a table."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt


def read_labels(
    path: str | os.PathLike[str], files: Sequence[Path], class_names: Sequence[str] | None = None
) -> npt.NDArray[np.int64]:
    """The labels of image files.

    Args:
        path: path of a CSV file with the columns `file` and `label`. `file` is the name of the file
            or the end of its path, `label` the number or the name of its class.
        files: paths of n image files.
        class_names: names of the classes, in the order of their labels.

    Returns:
        (n,) int64, the label of each file.

    Raises:
        OSError: the file cannot be read.
        ValueError: the table lacks a column or one of `files`, or a label names no class.
    """
    with Path(path).open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        missing = {"file", "label"} - set(reader.fieldnames or ())
        if missing:
            raise ValueError(
                f"{os.fspath(path)!r} must have the columns file and label. It lacks "
                f"{' and '.join(sorted(missing))}."
            )
        known = {Path(row["file"]).parts: row["label"] for row in reader}
    return np.array([_label(_find(known, file, path), class_names) for file in files])


def _find(known: dict[tuple[str, ...], str], file: Path, path: str | os.PathLike[str]) -> str:
    for length in range(len(file.parts), 0, -1):
        label = known.get(file.parts[-length:])
        if label is not None:
            return label
    raise ValueError(f"{os.fspath(path)!r} has no row for {file.name!r}.")


def _label(label: str, class_names: Sequence[str] | None) -> int:
    if label.strip().isdecimal():
        return int(label)
    if class_names is None or label not in class_names:
        raise ValueError(f"`label` must be a number or the name of a class. Received: {label!r}.")
    return list(class_names).index(label)
