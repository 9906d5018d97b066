"""Checks of settings."""

import numbers
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Target: TypeAlias = "int | npt.NDArray[np.int32] | None"
"""What an attacker wants: a label, one for each image, or any but the clean image's."""


def check_integer(argument: str, value: Any, low: int, stop: int | None = None) -> int:
    """The value as an int, if it is an integer from `low`, and below `stop` if there is one.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, numbers.Integral) or value < low or not (stop is None or value < stop):
        expected = f"of at least {low}" if stop is None else f"from {low} to {stop - 1}"
        raise ValueError(f"`{argument}` must be an integer {expected}; received {value!r}.")
    return int(value)


def check_probability(value: Any) -> float | None:
    """The value, if it is a probability above 0 at which an attack stops, or None.

    Raises:
        ValueError: it is neither.
    """
    if value is None or (isinstance(value, (int, float)) and 0 < value <= 1):
        return value
    raise ValueError(
        f"`stop_probability` must be above 0 and at most 1, or None; received {value!r}."
    )


def check_target(target_class: Any, n_classes: int) -> Target:
    """One label as an int, several as an array (n,) int32, or None.

    Raises:
        ValueError: it is none of these, or a label is out of range.
    """
    if target_class is None:
        return None
    if np.ndim(target_class) == 0:
        return check_integer("target_class", target_class, 0, n_classes)
    labels = [check_integer("target_class", label, 0, n_classes) for label in target_class]
    return np.array(labels, np.int32)


def short_target(target: Target) -> str:
    """The target as a `repr` shows it."""
    return f"array of {len(target)}" if isinstance(target, np.ndarray) else str(target)


def wanted_labels(target: Target, clean: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """The target of each image; without one, its clean label (n,).

    Raises:
        ValueError: there are several targets, but not one for each image.
    """
    if target is None:
        return clean
    if isinstance(target, np.ndarray) and len(target) != len(clean):
        raise ValueError(
            "`target_class` must be one label, or one for each image; there are "
            f"{len(target)} labels and {len(clean)} images."
        )
    return np.broadcast_to(np.asarray(target, np.int32), clean.shape)
