"""Rules that say several numbers of an image, each measured in benign images.

1 is as far out as three benign images in a hundred; see `calibration.scaling`.

b images, m numbers of each.
"""

import abc
import dataclasses
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from typing_extensions import Self

from tf_taintradar.calibration.by_score import choose_threshold
from tf_taintradar.calibration.groups import Groups
from tf_taintradar.calibration.record import Calibration
from tf_taintradar.calibration.scaling import find_bounds, highest_scaled, scale
from tf_taintradar.classifier.opened import OpenedClassifier
from tf_taintradar.detection.critical import ActivationMaps, Prediction
from tf_taintradar.detection.regions import Slope
from tf_taintradar.detection.rule import Answers, Rule
from tf_taintradar.support.checks import require

Scales = tuple[tuple[float, ...], ...]
"""Four rows of m numbers, see `calibration.scaling.find_bounds`."""

Scores = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class ScaledRule(Rule):
    """A rule whose score is made of numbers that `calibrate` finds the scales of.

    A subclass says the numbers in `numbers` and the score in `judge`. As long as there are no
    scales, numbers of different units cannot be compared, and `judge` says what it can.

    Attributes:
        finds: the names of the fields that `calibrate` finds, which a `ScoreCalibration` has, too.

    Args:
        scales: what `calibrate` finds; None before.

    Raises:
        ValueError: `scales` have not four rows.
    """

    finds: ClassVar[tuple[str, ...]] = ("scales",)

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

    def scaled(self, numbers: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """Numbers as multiples of what benign images show; as they are without `scales`.

        Args:
            numbers: (b, m) float32, see `numbers`.
            label: (b,) int32, the predicted labels.
        """
        if self.scales is None:
            return numbers
        n_known, n_found = len(self.scales[0]), numbers.shape[-1]
        expected = f"of {n_found} numbers, as this classifier's: calibrate it anew"
        require(n_known == n_found, "scales", f"{n_known} numbers", expected)
        return scale(numbers, tf.constant(self.scales, tf.float32))

    def benign_answers(
        self, classifier: OpenedClassifier, prediction: Prediction, maps: ActivationMaps
    ) -> dict[str, tf.Tensor]:
        """`numbers` (b, m) of each image, in their own units, its `label`, and `is_blind`."""
        return {
            "numbers": self.numbers(self.evidence(classifier, prediction, maps)),
            "label": prediction.label,
            "is_blind": self.is_blind(classifier, prediction, maps),
        }

    def calibrate(
        self, answers: Answers, target_fpr: float, n_classes: int, groups: Groups | None = None
    ) -> Calibration:
        """Chooses scales and threshold on the same images, and keeps the promise.

        The scales are found on all images, the threshold holds for each of the groups.

        Raises:
            CalibrationError: too few images for the target.
        """
        rule, scores = self.fitted(answers)
        about: dict[str, Any] = {"variant": self.name, "settings": self._unfitted().get_config()}
        calibration = choose_threshold(scores, target_fpr, groups=groups, **about)
        found: dict[str, Any] = {name: np.array(getattr(rule, name)) for name in self.finds}
        return dataclasses.replace(calibration, **found)

    def fitted(self, answers: Answers) -> tuple[Self, Scores]:
        """The rule with what it finds in benign images, and their scores (n,).

        The scores are the largest that these images may get; see `calibration.scaling`.

        Args:
            answers: the `benign_answers` to n images, joined.
        """
        numbers = answers["numbers"]
        bounds = find_bounds(numbers)
        rule = self.replaced(scales=bounds)
        return rule, rule.judge(tf.constant(highest_scaled(numbers, bounds), tf.float32)).numpy()

    def calibrated(self, calibration: Calibration) -> Self:
        """The rule with what a calibration found."""
        found = {name: getattr(calibration, name, None) for name in self.finds}
        for name, value in found.items():
            expected = f"one with {name}: calibrate variant {self.name!r} anew"
            record = f"a record of {calibration.variant}"
            require(value is not None, "calibration", record, expected)
        calibration.check_settings(self._unfitted().get_config())
        return self.replaced(**found)

    def _unfitted(self) -> Self:
        return self.replaced(**dict.fromkeys(self.finds))
