"""From scores on benign images to the threshold that meets a target false positive rate."""

import dataclasses
import json
import math
import pathlib
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from tf_taintradar import plot
from tf_taintradar.calibration.groups import Groups, of_groups, rates_of
from tf_taintradar.calibration.record import (
    Calibration,
    check_finite,
    check_target,
    warn_if_uncertain,
    wilson_interval,
)
from tf_taintradar.errors import CalibrationError
from tf_taintradar.support.checks import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ScoreCalibration(Calibration):
    """The threshold that `choose_threshold` chose, and the scores it chose it by.

    Attributes:
        score_threshold: an image is flagged when its score is above this.
        scores: (n_images,) float64, the scores of the calibration images, largest first.
        variant: the name of the rule whose scores these are.
        scales: (4, m) float64, the bounds of `scaling.find_bounds` for rules that scale their
            numbers; None for others.
        centre: (k,) float64, for variant "cover" what each of k labels usually lacks in benign
            images, in nats; None for others.
        settings: the settings of that rule, ready for JSON; None in records from before 0.2.
    """

    kind: ClassVar[str] = "ScoreCalibration"

    score_threshold: float
    scores: npt.NDArray[np.float64]
    variant: str = "windows"  # of records that do not name it
    settings: dict[str, Any] | None = None
    scales: npt.NDArray[np.float64] | None = None
    centre: npt.NDArray[np.float64] | None = None

    @classmethod
    def of_values(cls, values: dict[str, Any]) -> "ScoreCalibration":
        """See `Calibration.of_values`. What has no scales was "windows" under its former name."""
        is_former = values.get("variant") == "occlusion" and values.get("scales") is None
        return cls(**{**values, **({"variant": "windows"} if is_former else {})})

    @property
    def threshold(self) -> float:
        """The score threshold."""
        return self.score_threshold

    def check_settings(self, settings: dict[str, Any]) -> None:
        """Raises ValueError unless the record was made with these settings of its rule."""
        expected = json.loads(json.dumps(settings))
        fits = self.settings is None or self.settings == expected
        require(fits, "calibration", self.settings, f"one of a rule with the settings {expected}")

    def plot(self, path: str | pathlib.Path | None = None) -> "Figure":
        """Draws the false positive rate over the threshold; writes the picture to `path` if given.

        Source: the paper's Figure 3, of one setting instead of two.
        """
        figure = plot.fpr_curve(self.scores, self.target_fpr, chosen=self.score_threshold)
        return plot.saved(figure, path)


def choose_threshold(
    scores: npt.NDArray[np.floating],
    target_fpr: float,
    *,
    variant: str,
    settings: dict[str, Any] | None = None,
    groups: Groups | None = None,
) -> ScoreCalibration:
    """Finds the smallest threshold that keeps the expected false positive rate within the target.

    With groups it keeps the rate of each of them within the target: it is the largest of the
    thresholds that the groups need on their own.

    Logs a warning if there are so few images that the rate remains uncertain.

    Args:
        scores: (n,) floats, one for each benign image.
        target_fpr: the largest rate of benign images that may be flagged, in (0, 1).
        variant: the name of the rule whose scores these are, kept in the record.
        settings: the settings of that rule, kept in the record.
        groups: the name of each image's group (n,), see `groups.as_groups`.

    Raises:
        ValueError: `target_fpr` is outside (0, 1).
        CalibrationError: there are too few images, or too few in a group, for the target; or a
            score is not finite.

    Source: see `smallest_threshold` and `groups`.
    """
    n = len(scores)
    threshold = max(of_groups(smallest_threshold, scores, groups, target_fpr))
    ordered = np.sort(np.asarray(scores, np.float64))[::-1]
    false_positives = int((ordered > threshold).sum())
    calibration = ScoreCalibration(
        target_fpr=float(target_fpr),
        fpr=false_positives / n,
        fpr_interval=wilson_interval(false_positives, n),
        n_images=n,
        groups=rates_of(np.asarray(scores) > threshold, groups),
        score_threshold=threshold,
        scores=ordered,
        variant=variant,
        settings=None if settings is None else json.loads(json.dumps(settings)),
    )
    warn_if_uncertain(calibration)
    return calibration


def smallest_threshold(scores: npt.NDArray[np.floating], target_fpr: float) -> float:
    """The threshold of `choose_threshold`, without the record.

    With n images it is the k-th largest score, k = floor((n + 1) * target_fpr). A further benign
    image of the same kind is then flagged with a probability of at most k / (n + 1), whatever the
    distribution of the scores; n images support no target below 1 / (n + 1).

    Args:
        scores: (n,) floats, one for each benign image.
        target_fpr: the largest rate of benign images that may be flagged, in (0, 1).

    Raises:
        ValueError: `target_fpr` is outside (0, 1).
        CalibrationError: there are too few images for the target, or a score is not finite.

    Source: split conformal prediction (Vovk, Gammerman, Shafer: Algorithmic Learning in a Random
    World, 2005); the paper's section VI-B searches a grid instead.
    """
    check_target(target_fpr)
    n = len(scores)
    check_finite(np.isfinite(scores), range(n))
    k = math.floor((n + 1) * target_fpr + 1e-9)
    if k < 1:
        raise CalibrationError(
            f"{n} benign images cannot show a false positive rate of {target_fpr:g}: they support "
            f"no less than {1 / (n + 1):.3g}. At least {math.ceil(1 / target_fpr - 1e-9) - 1} are "
            f"needed, {math.ceil(10 / target_fpr)} for a precise rate."
        )
    return float(np.sort(np.asarray(scores, np.float64))[-k])
