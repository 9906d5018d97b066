"""What a monitor says at one moment."""

import copy
import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


class Histogram:
    """Counts of values between bounds, as Prometheus counts them.

    Args:
        bounds: rising; a value belongs to the first bound that is not below it.

    Attributes:
        bounds: the bounds.
        counts: (len(bounds) + 1,) int64, the values of each bound; the last are above them all.
        total: the sum of the values.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = np.zeros(len(bounds) + 1, np.int64)
        self.total = 0.0

    def add(self, values: npt.ArrayLike) -> None:
        """Counts further values (n,)."""
        found = np.asarray(values, np.float64)
        self.counts += np.bincount(np.searchsorted(self.bounds, found), minlength=len(self.counts))
        self.total += float(found.sum())

    def copy(self) -> "Histogram":
        """A copy that further values do not change."""
        return copy.deepcopy(self)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Report:
    """The state of a `Monitor`.

    Attributes:
        n_images: number of images with a verdict.
        n_flagged: number of those that were flagged.
        n_invalid: number of images without a verdict, which are counted nowhere else.
        target: the false positive rate that the detector was calibrated to; None: unknown.
        rate: the highest probability of a flag that is not yet a reason for an alarm.
        interval: the confidence sequence of the share, 95 %; see `share_interval`.
        evidence: evidence for a share above `rate`. At `false_alarm_every` it raises an alarm and
            starts anew.
        false_alarm_every: the least mean number of images between two false alarms.
        alarms: number of alarms.
        last_alarm: the number of the image with a verdict that raised the last alarm; None: there
            was none.
        distance: how far the last 1,000 scores are from the calibration's, in [0, 1], see
            `distribution_distance`; None without scores on both sides. Rules that scale calibrate
            with the largest scores that their images may get, so it is a little above 0 at first.
        scores: histogram of the scores, between benign quantiles and the threshold.
        seconds: histogram of the times of calls, in seconds.
    """

    n_images: int
    n_flagged: int
    n_invalid: int
    target: float | None
    rate: float
    interval: tuple[float, float]
    evidence: float
    false_alarm_every: float
    alarms: int
    last_alarm: int | None
    distance: float | None
    scores: Histogram
    seconds: Histogram

    @property
    def share(self) -> float | None:
        """The share of flags among the images with a verdict; None: there are none yet."""
        return self.n_flagged / self.n_images if self.n_images else None

    @property
    def alarm(self) -> bool:
        """Whether there has been an alarm."""
        return self.alarms > 0

    def __str__(self) -> str:
        """The state in words."""
        return "\n".join([self._counts(), self._evidence(), *self._scores()])

    def _counts(self) -> str:
        if self.share is None:
            return f"no image with a verdict yet, {self.n_invalid} invalid"
        low, high = self.interval
        target = "" if self.target is None else f", calibrated to {self.target:.1%}"
        return (
            f"{self.n_flagged} of {self.n_images} images flagged: {self.share:.1%} (95 % at any "
            f"time: {low:.1%} to {high:.1%}){target}; {self.n_invalid} invalid"
        )

    def _evidence(self) -> str:
        state = f"evidence {self.evidence:.3g} of {self.false_alarm_every:.3g}"
        limit = f"a rate above {self.rate:.1%}"
        if self.alarm:
            return f"ALARM: {limit}, {self.alarms} times, last at image {self.last_alarm}; {state}"
        return f"no alarm for {limit}: {state}"

    def _scores(self) -> list[str]:
        if self.distance is None:
            return []
        return [f"the last scores are {self.distance:.2f} away from the calibration's (0 to 1)"]
