"""Rules that say several numbers of an image, each measured in benign images.

1 is as far out as three benign images in a hundred; see `calibration.scaling`.

b images, m numbers of each.
"""

import abc
import dataclasses
from typing import Any, TypeVar, cast

import numpy as np
import tensorflow as tf

from tf_taintradar.calibration.by_score import ScoreCalibration, choose_threshold
from tf_taintradar.calibration.record import Calibration
from tf_taintradar.calibration.scaling import find_bounds, highest_scaled, scale
from tf_taintradar.classifier.opened import OpenedClassifier
from tf_taintradar.detection.critical import ActivationMaps, Prediction
from tf_taintradar.detection.regions import Slope
from tf_taintradar.detection.rule import Answers, Rule
from tf_taintradar.support.checks import require

Scales = tuple[tuple[float, ...], ...]
"""Four rows of m numbers, see `calibration.scaling.find_bounds`."""

S = TypeVar("S", bound="ScaledRule")


@dataclasses.dataclass(frozen=True)
class ScaledRule(Rule):
    """A rule whose score is made of numbers that `calibrate` finds the scales of.

    A subclass says the numbers in `numbers` and the score in `judge`. As long as there are no
    scales, numbers of different units cannot be compared, and `judge` says what it can.

    Args:
        scales: what `calibrate` finds; None before.

    Raises:
        ValueError: `scales` have not four rows.
    """

    scales: Scales | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.scales is not None:
            rows = np.asarray(self.scales, np.float64)
            fits = rows.ndim == 2 and len(rows) == 4
            require(fits, "scales", rows.shape, "four rows, as `calibrate` finds them")
            object.__setattr__(self, "scales", tuple(tuple(row) for row in rows.tolist()))

    @abc.abstractmethod
    def evidence(
        self,
        classifier: OpenedClassifier,
        prediction: Prediction,
        maps: ActivationMaps,
        slope: Slope = None,
    ) -> Any:
        """Steps 3 to 5, as a named tuple; the arguments are those of `Rule.detect`."""

    @abc.abstractmethod
    def numbers(self, evidence: Any) -> tf.Tensor:
        """What the evidence says of each image: (b, m) float32, larger is more suspicious."""

    @abc.abstractmethod
    def judge(self, numbers: tf.Tensor) -> tf.Tensor:
        """The score (b,) float32 of numbers (b, m), which rises with each of them.

        They are scaled if the rule has `scales`, in their own units if not.
        """

    def scaled(self, evidence: Any) -> tf.Tensor:
        """`numbers` as multiples of what benign images show; as they are without `scales`."""
        numbers = self.numbers(evidence)
        if self.scales is None:
            return numbers
        n_known, n_found = len(self.scales[0]), numbers.shape[-1]
        expected = f"of {n_found} numbers, as this classifier's: calibrate it anew"
        require(n_known == n_found, "scales", f"{n_known} numbers", expected)
        return scale(numbers, tf.constant(self.scales, tf.float32))

    def benign_answers(
        self, classifier: OpenedClassifier, prediction: Prediction, maps: ActivationMaps
    ) -> dict[str, tf.Tensor]:
        """`numbers` (b, m) of each image, in their own units, and `is_blind`."""
        return {
            "numbers": self.numbers(self.evidence(classifier, prediction, maps)),
            "is_blind": self.is_blind(classifier, prediction, maps),
        }

    def calibrate(self, answers: Answers, target_fpr: float, n_classes: int) -> Calibration:
        """Chooses scales and threshold on the same images, and keeps the promise.

        Raises:
            CalibrationError: too few images for the target.
        """
        bounds = find_bounds(answers["numbers"])
        settings = self._unscaled().get_config()
        scores = self.with_scales(bounds).benign_scores(answers)
        found = choose_threshold(scores, target_fpr, variant=self.name, settings=settings)
        return dataclasses.replace(found, scales=bounds)

    def benign_scores(self, answers: Answers) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The scores (n,) of calibration images at the worst of all scales they may get."""
        highest = highest_scaled(answers["numbers"], np.asarray(self.scales))
        return self.judge(tf.constant(highest, tf.float32)).numpy()

    def calibrated(self, calibration: Calibration) -> Rule:
        """The rule with the scales that a calibration found."""
        scales = cast(ScoreCalibration, calibration).scales
        expected = f"one with scales: calibrate variant {self.name!r} anew"
        require(scales is not None, "calibration", f"a record of {calibration.variant}", expected)
        calibration.check_settings(self._unscaled().get_config())
        return self.with_scales(scales)

    def with_scales(self: S, scales: Any) -> S:
        """The rule with other scales."""
        return dataclasses.replace(self, scales=scales)

    def _unscaled(self) -> Rule:
        return self.replaced(scales=None)
