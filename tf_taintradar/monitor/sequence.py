"""Statistics of a stream of flags that stay valid however often you look at them.

An interval or a test for a fixed number of images is sooner or later wrong if you look every hour.
Both statistics here are made of likelihood ratios, and these exceed 1 / alpha at any time with a
probability of at most alpha.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from tf_taintradar.support.checks import check_fraction, require

ODDS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
"""How many times the odds of a flag have grown, in the alternatives that `RateAlarm` weighs."""

_HALVINGS = 60  # of an interval of length 1: below what float64 can tell


def share_interval(flagged: int, n_images: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """A confidence sequence for the probability of a flag: where it lies, at every time at once.

    With the given confidence it contains the true probability after every single image, so you may
    look at any time, stop, or go on. That holds for a probability that does not change; for one
    that does, the interval is an estimate for the share of all images so far. It is wider than an
    interval for one look: for 6 % of 1,000 images 3.6 to 9.1 % instead of Wilson's 4.7 to 7.6 %.

    Args:
        flagged: number of flags, from 0 to `n_images`.
        n_images: number of images.
        confidence: in (0, 1).

    Returns:
        The lowest and the highest probability; (0, 1) for no images.

    Raises:
        ValueError: an argument is out of range.

    Source: Robbins, "Statistical Methods Related to the Law of the Iterated Logarithm", 1970, with
    the mixture Beta(1/2, 1/2); Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform, nonparametric,
    nonasymptotic confidence sequences", Annals of Statistics 49, 2021.
    """
    check_fraction("confidence", confidence, is_one_allowed=False)
    require(0 <= flagged <= n_images, "flagged", flagged, f"a count from 0 to {n_images}")
    if n_images == 0:
        return 0.0, 1.0
    passed = n_images - flagged
    mixture = math.lgamma(flagged + 0.5) + math.lgamma(passed + 0.5) - math.lgamma(n_images + 1)
    highest = mixture - math.log(math.pi) + math.log1p(-confidence)  # B(1/2, 1/2) is pi

    def is_inside(rate: float) -> bool:
        return flagged * math.log(rate) + passed * math.log1p(-rate) > highest

    share = flagged / n_images
    low = 0.0 if flagged == 0 else _edge(is_inside, share, 0.0)
    high = 1.0 if passed == 0 else _edge(is_inside, share, 1.0)
    return low, high


def _edge(is_inside: Any, inside: float, outside: float) -> float:
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        if 0 < middle < 1 and is_inside(middle):
            inside = middle
        else:
            outside = middle
    return outside


class RateAlarm:
    """Notices that flags have become more frequent than they may be, whenever that happens.

    The evidence is the sum, over all images at which the change may have come, of the likelihood
    ratio of the images since: R <- (R + 1) * L after each image, L its likelihood ratio. It is the
    mean over alternatives, in which the odds of a flag have grown 1.25- to 10-fold. As long as each
    image is flagged with a probability of at most `rate`, whatever came before it, the evidence
    after n images is n at most in the mean; so it reaches `false_alarm_every` after that many
    images or more, in the mean. The evidence then starts anew.

    Args:
        rate: the highest acceptable probability of a flag, in (0, 1).
        false_alarm_every: the evidence that raises an alarm, and the least mean number of images
            between two false alarms, > 1.

    Attributes:
        n_images: number of images so far.
        alarms: number of alarms so far.
        last_alarm: the number of the image that raised the last of them, from 1 on; None: none did.

    Raises:
        ValueError: an argument is out of range.

    Source: Shin, Ramdas, Rinaldo, "E-detectors: a nonparametric framework for sequential change
    detection", 2023; the recursion is that of Shiryaev, 1963, and Roberts, 1966.
    """

    def __init__(self, rate: float, false_alarm_every: float = 1_000_000) -> None:
        check_fraction("rate", rate, is_one_allowed=False)
        is_number = 1 < false_alarm_every < math.inf
        require(is_number, "false_alarm_every", false_alarm_every, "a number of images above 1")
        self.rate = rate
        self.false_alarm_every = false_alarm_every
        self.n_images = 0
        self.alarms = 0
        self.last_alarm: int | None = None
        odds = [times * rate / (1 - rate) for times in ODDS]
        risen = [one / (1 + one) for one in odds]
        self._flagged = [q / rate for q in risen]
        self._passed = [(1 - q) / (1 - rate) for q in risen]
        self._calm = [(1 - q) / (q - rate) for q in risen]  # R = (R + 1) * L without any flag
        self._begin()

    def _begin(self) -> None:
        """Without evidence, as after an alarm."""
        self._known = [0.0] * len(ODDS)  # after the last flag
        self._n_passed = 0  # images since then

    @property
    def evidence(self) -> float:
        """The evidence for a change, >= 0; at `false_alarm_every` it raises an alarm."""
        return sum(self._present()) / len(ODDS)

    def _present(self) -> list[float]:
        """R of each alternative: without flags it approaches its calm level geometrically."""
        known = zip(self._known, self._calm, self._passed, strict=True)
        return [calm + (r - calm) * passed**self._n_passed for r, calm, passed in known]

    def update(self, flags: Iterable[bool | np.bool_]) -> None:
        """Adds the flags of further images, in their order.

        Args:
            flags: (n,) bool. Several calls are the same as one with all of their flags.
        """
        found = np.asarray(flags, bool)
        last = -1
        for i in np.flatnonzero(found).tolist():  # only a flag can raise an alarm
            self._n_passed += i - last - 1
            present = zip(self._present(), self._flagged, strict=True)
            self._known, self._n_passed = [(r + 1) * ratio for r, ratio in present], 0
            if self.evidence >= self.false_alarm_every:
                self.alarms += 1
                self.last_alarm = self.n_images + i + 1
                self._begin()
            last = i
        self._n_passed += len(found) - last - 1
        self.n_images += len(found)


def distribution_distance(
    some: npt.NDArray[np.floating], others: npt.NDArray[np.floating]
) -> float:
    """How far two samples differ: the largest gap between their distribution functions, in [0, 1].

    Two samples of n and m draws from one distribution are more than 1.36 * sqrt(1 / n + 1 / m)
    apart once in 20 times.

    Args:
        some: (n,) floats, n > 0.
        others: (m,) floats, m > 0.

    Source: the two-sample statistic of Kolmogorov and Smirnov.
    """
    values = np.concatenate([some, others])
    shares = [
        np.searchsorted(np.sort(sample), values, side="right") / len(sample)
        for sample in (some, others)
    ]
    return float(np.abs(shares[0] - shares[1]).max())
