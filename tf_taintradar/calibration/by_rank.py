"""The paper's calibration: from rank shifts for every K to a pair of K and rank threshold.

Pure: the expensive part, the rank shifts, is computed once by the caller.
"""

import dataclasses
import logging
import math
import pathlib
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from tf_taintradar import plot
from tf_taintradar.calibration.groups import Groups, divide, of_groups, rates_of
from tf_taintradar.calibration.record import (
    Calibration,
    check_target,
    warn_if_uncertain,
    wilson_interval,
)
from tf_taintradar.errors import CalibrationError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LOG = logging.getLogger(__name__)
_MOSTLY_EMPTY = 0.5  # from this share of empty tainted regions on, a warning


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class RankCalibration(Calibration):
    """The settings that `choose_thresholds` chose, and the rates it chose them by.

    Attributes:
        top_k: K, the number of labels that take part.
        rank_threshold: an image is flagged when its label falls by more than this.
        empty_share: share of the calibration images on which the tainted region of K labels is
            empty, in [0, 1]: such images are never flagged, whatever the threshold.
        fpr_grid: (k_max, thresholds) float64, the false positive rate at K = row + 1 and rank
            threshold = column; zero for larger thresholds. With groups, the rate of the worst
            group.
    """

    kind: ClassVar[str] = "RankCalibration"

    top_k: int
    rank_threshold: int
    empty_share: float
    fpr_grid: npt.NDArray[np.float64]

    @property
    def variant(self) -> str:
        """The paper's."""
        return "paper"

    @property
    def threshold(self) -> float:
        """The rank threshold."""
        return float(self.rank_threshold)

    def plot(self, path: str | pathlib.Path | None = None) -> "Figure":
        """Draws the false positive rate over K and rank threshold; writes it to `path` if given.

        Source: the paper's Figure 3.
        """
        title = f"False positive rate on benign images (white: the target, {self.target_fpr:g})"
        figure = plot.rate_surface(
            self.fpr_grid,
            self.target_fpr,
            chosen=(self.top_k, self.rank_threshold),
            title=title,
        )
        return plot.saved(figure, path)

    def _settings(self) -> str:
        return (
            f"K = {self.top_k}, rank threshold {self.rank_threshold}; tainted region empty on "
            f"{self.empty_share:.1%} of the images"
        )


def choose_thresholds(
    rank_shifts: npt.NDArray[np.integer],
    areas: npt.NDArray[np.floating],
    *,
    target_fpr: float,
    n_classes: int,
    groups: Groups | None = None,
) -> RankCalibration:
    """The smallest rank threshold that some K brings below the target, with the smallest such K.

    With groups it brings the rate of each of them below the target.

    Args:
        rank_shifts: (n, k_max) integers >= 0, the rank shift of each benign image for each K.
        areas: (n, k_max) floats in [0, 1], the share of the image that the tainted region covers.
        target_fpr: the largest share of benign images that may be flagged, in (0, 1).
        n_classes: number of labels: no label can fall by more than n_classes - 1.
        groups: the name of each image's group (n,), see `groups.as_groups`.

    Raises:
        ValueError: `target_fpr` is outside (0, 1).
        CalibrationError: there are too few images, or too few in a group, for the target; or only a
            detector that never flags would meet it.

    Source: section VI-B.
    """
    check_target(target_fpr)
    n_images, k_max = rank_shifts.shape
    of_groups(_check_enough_images, rank_shifts, groups, target_fpr)
    thresholds = np.arange(min(n_classes - 1, int(rank_shifts.max()) + 1))
    flags = rank_shifts[:, :, None] > thresholds
    parts = [slice(None)] if groups is None else [own for _, own in divide(groups)]
    grid = np.max([flags[own].mean(axis=0) for own in parts], axis=0)
    meets = np.argwhere(grid.T <= target_fpr)  # ordered by threshold, then by K
    if len(meets) == 0:
        raise CalibrationError(
            f"No K up to {k_max} and no rank threshold below {n_classes - 1} (a label of "
            f"{n_classes} cannot fall further) keeps the false positive rate at or below "
            f"{target_fpr:g}; the lowest is {grid.min():.3f}. Raise `k_max` or `target_fpr`."
        )
    rank_threshold, row = (int(i) for i in meets[0])
    flagged = rank_shifts[:, row] > rank_threshold
    false_positives = int(flagged.sum())
    calibration = RankCalibration(
        target_fpr=float(target_fpr),
        top_k=row + 1,
        rank_threshold=rank_threshold,
        fpr=false_positives / n_images,
        fpr_interval=wilson_interval(false_positives, n_images),
        n_images=n_images,
        groups=rates_of(flagged, groups),
        empty_share=float((areas[:, row] == 0).mean()),
        fpr_grid=grid,
    )
    _warn(calibration)
    return calibration


def _check_enough_images(rank_shifts: npt.NDArray[np.integer], target_fpr: float) -> None:
    n_images, needed = len(rank_shifts), math.ceil(1 / target_fpr)
    if n_images < needed:
        raise CalibrationError(
            f"{n_images} benign images cannot show a false positive rate of {target_fpr:g}: a "
            f"single false positive would exceed it. At least {needed} are needed, "
            f"{3 * needed} for some confidence."
        )


def _warn(calibration: RankCalibration) -> None:
    warn_if_uncertain(calibration)
    if calibration.empty_share > _MOSTLY_EMPTY:
        _LOG.warning(
            "With K = %d the tainted region is empty on %.0f %% of the images, and an image whose "
            "region is empty is never flagged: expect few detections. See `diagnose`.",
            *(calibration.top_k, 100 * calibration.empty_share),
        )
