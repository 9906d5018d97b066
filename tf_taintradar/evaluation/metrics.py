"""Rates with their intervals, and the area under the ROC curve."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tf_taintradar.calibration.record import wilson_interval

FEW = 20
"""The number of images below which a rate is marked: one image is more than 5 % of them."""


class Rate(NamedTuple):
    """A count out of a total.

    Attributes:
        hits: the count.
        n: the total.
    """

    hits: int
    n: int

    @classmethod
    def of(cls, are: npt.NDArray[np.bool_]) -> "Rate":
        """The rate of true values in an array (n,) bool."""
        return cls(int(are.sum()), len(are))

    @property
    def value(self) -> float | None:
        """The rate in [0, 1]; None if the total is 0."""
        return self.hits / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval (Wilson)."""
        return wilson_interval(self.hits, self.n)

    def __str__(self) -> str:
        """The rate in per cent with its interval; `*` marks a rate over few images."""
        if not self.n:
            return "-"
        low, high = self.interval
        few = "*" if self.n < FEW else ""
        return f"{self.hits / self.n:.0%}{few} ({100 * low:.0f} to {100 * high:.0f})"


def auroc(benign: npt.NDArray[Any], attacked: npt.NDArray[Any]) -> float | None:
    """The area under the ROC curve.

    It is the probability that an attacked image scores above a benign one; a tie counts one half.

    Args:
        benign: (n,) scores of benign images.
        attacked: (m,) scores of attacked images.

    Returns:
        A number in [0, 1]; None without attacked images.
    """
    if not len(attacked):
        return None
    ordered = np.sort(benign)
    below = np.searchsorted(ordered, attacked, "left") + np.searchsorted(ordered, attacked, "right")
    return float(below.mean() / (2 * len(benign)))
