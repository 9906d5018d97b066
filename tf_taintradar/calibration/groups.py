"""Groups of benign images, none of which may be flagged more often than the target.

A rate over all images hides that one kind of them, such as people with glasses, is flagged far more
often than the others. A threshold that is high enough for every group on its own keeps the promise
of `smallest_threshold` for each: a further image of a group is exchangeable with the known images
of that group. The scales that a rule finds in all images treat the images of a group alike, so this
also holds for scaled scores; see `scaling`.

Source: Mondrian conformal prediction, in Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random
World", 2005, section 4.5.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from tf_taintradar.calibration.record import GroupRate, wilson_interval
from tf_taintradar.errors import CalibrationError
from tf_taintradar.support.checks import require

T = TypeVar("T")
Array: TypeAlias = npt.NDArray[Any]
Groups: TypeAlias = npt.NDArray[np.str_]
"""The name of each image's group, (n,)."""


def as_groups(labels: npt.ArrayLike, n_images: int | None = None) -> Groups:
    """The name of each image's group.

    Args:
        labels: a label for each image: texts, numbers or booleans.
        n_images: number of images; None if it is not known yet.

    Raises:
        ValueError: `labels` does not hold one label for each image.
    """
    found = np.asarray(labels)
    is_list = found.ndim == 1 and len(found) > 0
    require(is_list, "groups", found.shape, "a list of labels, one for each image")
    missing = sum(label is None or label != label for label in found.tolist())  # NaN is not itself
    require(missing == 0, "groups", f"{missing} without", "a label for each image")
    fits = n_images is None or len(found) == n_images
    require(fits, "groups", f"{len(found)} labels", f"one label for each of {n_images} images")
    return found.astype(np.str_)


def divide(groups: Groups) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """The name of each group, in alphabetical order, and which images (n,) are of it."""
    for name in np.unique(groups):
        yield str(name), groups == name


def of_groups(
    step: Callable[[Array, float], T], values: Array, groups: Groups | None, target_fpr: float
) -> list[T]:
    """Applies a step to the values (n, ...) of each group; without groups, to all values.

    Args:
        step: takes the values of one group and the target.
        values: one row for each image.
        groups: see `as_groups`.
        target_fpr: the false positive rate asked for.

    Raises:
        CalibrationError: that of the step, with the name of the group.
    """
    if groups is None:
        return [step(values, target_fpr)]
    found = []
    for name, own in divide(groups):
        try:
            found.append(step(values[own], target_fpr))
        except CalibrationError as error:
            raise CalibrationError(f"Group {name!r} of `groups`: {error}") from error
    return found


def rates_of(flags: npt.NDArray[np.bool_], groups: Groups | None) -> tuple[GroupRate, ...]:
    """The rate of each group of flags (n,); none without groups."""
    found = []
    for name, own in () if groups is None else divide(groups):
        n, hits = int(own.sum()), int(flags[own].sum())
        found.append(GroupRate(name, n, hits / n, wilson_interval(hits, n)))
    return tuple(found)
