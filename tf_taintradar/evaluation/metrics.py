"""Rates with their intervals, and the area under the ROC curve."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tf_taintradar.calibration.record import wilson_interval

FEW = 20
"""A rate over fewer images is marked: one of them is more than 5 %."""


class Rate(NamedTuple):
    """So many of so many.

    Attributes:
        hits: how many are.
        n: how many could be.
    """

    hits: int
    n: int

    @classmethod
    def of(cls, are: npt.NDArray[np.bool_]) -> "Rate":
        """The rate of an array (n,) bool."""
        return cls(int(are.sum()), len(are))

    @property
    def value(self) -> float | None:
        """The rate, in [0, 1]; None if there are none at all."""
        return self.hits / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval (Wilson)."""
        return wilson_interval(self.hits, self.n)

    def __str__(self) -> str:
        """In per cent with its interval; `*` behind a rate over few images."""
        if not self.n:
            return "-"
        low, high = self.interval
        few = "*" if self.n < FEW else ""
        return f"{self.hits / self.n:.0%}{few} ({100 * low:.0f} to {100 * high:.0f})"


def auroc(benign: npt.NDArray[Any], attacked: npt.NDArray[Any]) -> float | None:
    """The chance that an attacked image scores above a benign one; a tie counts one half.

    Args:
        benign: (n,) scores.
        attacked: (m,) scores.

    Returns:
        The area under the ROC curve, in [0, 1]; None without attacked images.
    """
    if not len(attacked):
        return None
    ordered = np.sort(benign)
    below = np.searchsorted(ordered, attacked, "left") + np.searchsorted(ordered, attacked, "right")
    return float(below.mean() / (2 * len(benign)))
