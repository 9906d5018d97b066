"""The counts of a scan, and what they can mean."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from tf_taintradar.calibration.record import wilson_interval
from tf_taintradar.scan.finding import NOT_FINITE, UNREADABLE, Finding

_MORE = (
    "More than on benign images: there are attacks among them, or these images differ from those "
    "of the calibration (other cameras, subjects, compression). Look at the highest scores; if "
    "they are benign, calibrate on images like these."
)
_FEWER = (
    "Fewer than on the images of the calibration: these are easier for the classifier. Calibrated "
    "on images like these, the threshold would be lower and miss less."
)
_SAME = (
    "As many as expected of benign images: most may be false alarms. A few attacks would "
    "not show in the share, so look at the highest scores first."
)


@dataclasses.dataclass(frozen=True)
class Summary:
    """Counts of a scan, with the calibration to compare them with.

    Attributes:
        n_images: Number of images.
        unreadable: Number of images that could not be read and have no verdict.
        not_finite: Number of images for which the classifier's answer is not a number; they are
            flagged.
        flagged: Number of flagged images, including `not_finite`.
        calibration: The detector's calibration as a dict, see `Calibration.to_json`; None if it has
            none.
    """

    n_images: int
    unreadable: int
    not_finite: int
    flagged: int
    calibration: Mapping[str, Any] | None

    @classmethod
    def of(
        cls, findings: Iterable[Finding], calibration: Mapping[str, Any] | None = None
    ) -> Summary:
        """Counts findings."""
        total = unreadable = not_finite = flagged = 0
        for finding in findings:
            total += 1
            unreadable += finding.status == UNREADABLE
            not_finite += finding.status == NOT_FINITE
            flagged += finding.is_adversarial is True
        return cls(total, unreadable, not_finite, flagged, calibration)

    @property
    def n_read(self) -> int:
        """The number of images with a verdict."""
        return self.n_images - self.unreadable

    @property
    def share(self) -> float | None:
        """The share of the images with a verdict that was flagged; None if there are none."""
        return self.flagged / self.n_read if self.n_read else None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the share (Wilson)."""
        return wilson_interval(self.flagged, self.n_read)

    @property
    def meaning(self) -> str:
        """What the share can mean, compared with the rate on the calibration images.

        The two differ if their 95 % intervals do not overlap.
        """
        if self.calibration is None:
            return "The threshold was set by hand: there is no calibrated rate to compare with."
        if not self.n_read:
            return "No image could be read."
        (low, high), (least, most) = self.interval, self.calibration["fpr_interval"]
        return _MORE if low > most else _FEWER if high < least else _SAME

    def __str__(self) -> str:
        """The counts, and what they can mean, in words."""
        low, high = self.interval
        share = "" if self.share is None else f", {self.share:.1%} (95 % {low:.1%} to {high:.1%})"
        lines = [f"flagged: {self.flagged} of {self.n_read}{share}"]
        if self.not_finite:
            lines[0] += f"; {self.not_finite} of them because the classifier's answer is not finite"
        if self.unreadable:
            lines.append(f"unreadable: {self.unreadable} of {self.n_images}, without a verdict")
        if self.calibration is not None:
            known, (least, most) = self.calibration, self.calibration["fpr_interval"]
            lines.append(
                f"calibrated: {known['fpr']:.1%} of {known['n_images']} benign images "
                f"(95 % {least:.1%} to {most:.1%}), target {known['target_fpr']:.1%}"
            )
        return "\n".join([*lines, self.meaning])
