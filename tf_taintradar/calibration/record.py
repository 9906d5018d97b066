"""The record of a calibration: the settings found on benign images, and the rates there."""

import dataclasses
import json
import logging
import math
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from tf_taintradar.errors import CalibrationError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NAMED = 5  # images that an error names
_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class GroupRate:
    """The false positive rate of one group of benign images.

    Attributes:
        name: the group's.
        n_images: number of its calibration images.
        fpr: share of them that is flagged; never above the target.
        fpr_interval: its 95 % confidence interval (Wilson).
    """

    name: str
    n_images: int
    fpr: float
    fpr_interval: tuple[float, float]

    @classmethod
    def of_values(cls, values: dict[str, Any]) -> "GroupRate":
        """The rate with these attributes, as JSON has them."""
        return cls(**{**values, "fpr_interval": tuple(values["fpr_interval"])})

    def __str__(self) -> str:
        """The rate in words."""
        low, high = self.fpr_interval
        return (
            f"group {self.name!r}: {self.fpr:.1%} on {self.n_images} images (95 % interval "
            f"{low:.1%} to {high:.1%})"
        )


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Calibration:
    """The settings that meet a target false positive rate, and the rate measured on benign images.

    Variant "paper" has a `RankCalibration`, all others have a `ScoreCalibration`.

    Attributes:
        kind: what `to_json` calls this kind of record.
        target_fpr: the false positive rate asked for, in (0, 1).
        fpr: share of the calibration images that these settings flag; never above `target_fpr`.
        fpr_interval: its 95 % confidence interval (Wilson).
        n_images: number of calibration images.
        groups: the rate of each group of them; empty if they were not divided into groups.
        weights: checksum of the classifier's weights at that time, see `classifier.checksum`; None
            in records from before 0.2.
    """

    kind: ClassVar[str]

    target_fpr: float
    fpr: float
    fpr_interval: tuple[float, float]
    n_images: int
    groups: tuple[GroupRate, ...] = ()
    weights: str | None = None

    @property
    def variant(self) -> str:
        """The name of the rule that the record is for."""
        raise NotImplementedError

    @property
    def threshold(self) -> float:
        """An image is flagged when its score is above this."""
        raise NotImplementedError

    def check_settings(self, settings: dict[str, Any]) -> None:
        """Raises ValueError unless the record was made with these settings of its rule."""

    def plot(self, path: str | pathlib.Path | None = None) -> "Figure":
        """Draws the false positive rate over the settings; writes the picture to `path` if given.

        Source: the paper's Figure 3.
        """
        raise NotImplementedError

    def __str__(self) -> str:
        """The settings, and what to expect from them, in words."""
        low, high = self.fpr_interval
        whole = (
            f"{self._settings()}\n"
            f"false positive rate {self.fpr:.1%} on {self.n_images} images "
            f"(95 % interval {low:.1%} to {high:.1%}), target {self.target_fpr:.1%}"
        )
        return "\n".join([whole, *map(str, self.groups)])

    def _settings(self) -> str:
        return f"threshold {self.threshold:.4g}"

    def to_json(self) -> str:
        """The record as JSON text; `from_json` reads it back."""
        values = dataclasses.asdict(self).items()
        plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values}
        return json.dumps({"kind": self.kind, **plain})

    @classmethod
    def of_values(cls, values: dict[str, Any]) -> "Calibration":
        """The record with these attributes, as this version or an earlier one wrote them."""
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> "Calibration":
        """The record that `to_json` wrote, of either kind.

        Raises:
            CalibrationError: the text is not such a record.
        """
        kinds = {kind.kind: kind for kind in Calibration.__subclasses__()}
        try:
            values: dict[str, Any] = json.loads(text)
            kind = kinds[values.pop("kind")]
            values["fpr_interval"] = tuple(values["fpr_interval"])
            values["groups"] = tuple(map(GroupRate.of_values, values.get("groups", ())))
            arrays = {k: np.array(v, np.float64) for k, v in values.items() if isinstance(v, list)}
            return kind.of_values({**values, **arrays})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise CalibrationError(
                f"`text` must be what Calibration.to_json() wrote; reading it failed: {error!r}."
            ) from error


def check_target(target_fpr: float) -> None:
    """Raises ValueError unless the target false positive rate is in (0, 1)."""
    if not 0 < target_fpr < 1:
        raise ValueError(
            f"`target_fpr` must be a fraction in (0, 1), such as 0.06. Received: {target_fpr!r}."
        )


def check_finite(is_finite: npt.NDArray[np.bool_], names: Sequence[Any]) -> None:
    """Raises CalibrationError, which names the images, unless all answers (n,) are finite.

    Args:
        is_finite: (n,) bool.
        names: the file or the index of each image.
    """
    bad = [str(names[int(i)]) for i in np.flatnonzero(~is_finite)]
    if bad:
        more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        raise CalibrationError(
            f"The scores of benign images must be finite. Received: NaN or infinite answers of the "
            f"classifier for {len(bad)} of {len(is_finite)} images: {', '.join(bad[:_NAMED])}"
            f"{more}. Such images are always flagged: look at them, and at the classifier's answer "
            "to them (a weight that is NaN, a division by zero on an image of one color, an "
            "overflow of half precision?); leave them out if such images do not occur in use."
        )


def warn_if_uncertain(calibration: Calibration) -> None:
    """Logs a warning if the rate, or that of a group, may be more than twice the target."""
    target = calibration.target_fpr
    parts: list[tuple[str, Calibration | GroupRate]] = [("", calibration)]
    if calibration.groups:
        parts = [(f" of group {group.name!r}", group) for group in calibration.groups]
    for name, part in parts:
        low, high = part.fpr_interval
        if high > 2 * target:
            _LOG.warning(
                "%d images%s leave the false positive rate uncertain: 95 %% interval %.3f to %.3f "
                "for a target of %g. Calibrate on %d or more.",
                *(part.n_images, name, low, high, target, math.ceil(12 / target)),
            )


def wilson_interval(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of a rate; z = 1.96 gives 95 % confidence. (0, 1) for no trials."""
    if trials == 0:
        return 0.0, 1.0
    rate, spread = successes / trials, z * z / trials
    centre = (rate + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (rate * (1 - rate) + spread / 4)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)
