"""What a rule is: how a region is found and removed, and how the label's drop is measured."""

import abc
import dataclasses
import math
import numbers
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from typing_extensions import Self

from tf_taintradar.calibration.by_score import choose_threshold
from tf_taintradar.calibration.groups import Groups
from tf_taintradar.calibration.record import Calibration
from tf_taintradar.classifier.opened import OpenedClassifier, Stage
from tf_taintradar.detection.critical import ActivationMaps, Prediction
from tf_taintradar.detection.detection import Detection
from tf_taintradar.detection.explanation import Explanation
from tf_taintradar.detection.regions import Slope
from tf_taintradar.support.checks import require

Answers = dict[str, npt.NDArray[Any]]


@dataclasses.dataclass(frozen=True)
class Rule(abc.ABC):
    """How a region is removed and the score found: steps 3 to 8 of Figure 2.

    A subclass is a frozen dataclass whose fields are its settings; it gives itself a `name` and a
    `purpose`, and says in `detect` what it does. Everything else has a default. Once registered
    with `rules.register_rule`, it is a `variant` of `TaintRadarModel` and appears everywhere that
    `rules.RULES` is used.

    Example:
        @rules.register_rule
        @dataclasses.dataclass(frozen=True)
        class Blank(rules.Rule):
            name = "blank"
            purpose = "fills the critical region with one colour"
            color: float = 127.5

            def detect(self, classifier, prediction, maps, *, slope=None):
                region = prediction.critical_region
                cleaned = fill_region(prediction.images, region, tf.constant(self.color))
                return Detection.of(
                    prediction,
                    tainted_region=region,
                    cleaned_images=cleaned,
                    cleaned_logits=classifier.logits(cleaned),
                )

    Attributes:
        name: what `variant=` and the command line call it.
        purpose: one line, for the command line's help and the documentation.
        threshold_name: the attribute of `TaintRadarModel` that holds its threshold.
        arguments: the settings for which `TaintRadarModel` has arguments of its own.
        needs_maps: whether the rule looks at feature maps. If not, it also works on classifiers
            that cannot be opened, see `classifier.closed`.
    """

    name: ClassVar[str]
    purpose: ClassVar[str]
    threshold_name: ClassVar[str] = "score_threshold"
    arguments: ClassVar[tuple[str, ...]] = ()
    needs_maps: ClassVar[bool] = True

    @abc.abstractmethod
    def detect(
        self,
        classifier: OpenedClassifier,
        prediction: Prediction,
        maps: ActivationMaps,
        *,
        slope: Slope = None,
    ) -> Detection:
        """Finds the region that the prediction hangs on, and how far the label drops without it.

        No row may depend on another row of the batch.

        Args:
            classifier: the classifier as `open_classifier` gives it.
            prediction: steps 1 and 2 for b images.
            maps: makes further activation maps of the same forward pass.
            slope: for attackers who know the detector: every answer stays the same, and gradients
                of the logits and of the score pass through the regions; see `regions`.

        Returns:
            The detection of each image; see `Detection.of`.
        """

    def adapted_to(self, classifier: OpenedClassifier) -> "Rule":
        """The rule with the settings that depend on the classifier; ValueError if it cannot be."""
        return self

    def replaced(self, **settings: Any) -> Self:
        """The rule with other settings."""
        return dataclasses.replace(self, **settings)

    def stages(self, classifier: OpenedClassifier) -> Sequence[Stage]:
        """The maps that the rule looks at, the feature map last."""
        return classifier.stages[-1:]

    def is_blind(
        self, classifier: OpenedClassifier, prediction: Prediction, maps: ActivationMaps
    ) -> tf.Tensor:
        """(b, ...) bool: whether the maps that this rule needs are zero everywhere."""
        if not self.needs_maps:
            return tf.zeros_like(prediction.label, tf.bool)
        return is_zero(prediction.critical_map)

    @property
    def nat(self) -> float | None:
        """One nat, roughly, in the unit of the score; None if no gradient passes it."""
        return 1.0

    # Calibration

    def widened(self, k_max: int | None) -> "Rule":
        """The rule whose `benign_answers` `calibrate` collects, given its argument `k_max`."""
        require(k_max is None, "k_max", k_max, f"left out: variant {self.name!r} has no K to find")
        return self

    def benign_answers(
        self, classifier: OpenedClassifier, prediction: Prediction, maps: ActivationMaps
    ) -> dict[str, tf.Tensor]:
        """What `calibrate` needs of b images, by name: `is_blind` and, here, `score` (b,)."""
        return {
            "score": self.detect(classifier, prediction, maps).score,
            "is_blind": self.is_blind(classifier, prediction, maps),
        }

    def calibrate(
        self, answers: Answers, target_fpr: float, n_classes: int, groups: Groups | None = None
    ) -> Calibration:
        """Chooses the threshold from the `benign_answers` to n images, joined.

        Args:
            answers: the joined `benign_answers`, by name.
            target_fpr: the largest rate that may be flagged, in (0, 1).
            n_classes: number of labels.
            groups: the name of each image's group (n,); no group may be flagged above the target.

        Raises:
            CalibrationError: too few images for the target, or no setting meets it.
        """
        about: dict[str, Any] = {"variant": self.name, "settings": self.get_config()}
        return choose_threshold(answers["score"], target_fpr, groups=groups, **about)

    def calibrated(self, calibration: Calibration) -> "Rule":
        """The rule with the settings that a calibration of it found."""
        calibration.check_settings(self.get_config())
        return self

    def check_threshold(self, value: float, n_classes: int) -> float:
        """The threshold as a float; ValueError unless it is in range."""
        in_range = isinstance(value, numbers.Real) and math.isfinite(value)
        require(in_range, self.threshold_name, value, "a finite number")
        return float(value)

    # Words and pictures

    def explain(self, detection: Detection, **about: Any) -> Explanation:
        """Explains a detection on a batch of one image, for people.

        Args:
            detection: what `detect` found.
            about: `is_adversarial`, `class_names` and others, see `Explanation`.
        """
        return Explanation.of(detection, **about)

    def get_config(self) -> dict[str, Any]:
        """The settings, ready for JSON: the fields of the dataclass that are no `arguments`."""
        names = (field.name for field in dataclasses.fields(self))
        return {name: getattr(self, name) for name in names if name not in self.arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Rule":
        """The rule that `get_config` described; JSON's lists become tuples."""
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in config.items()})

    # Certainty

    def covering_windows(self, size: tuple[int, int]) -> npt.NDArray[np.bool_] | None:
        """The windows (v, H, W) one of which covers any patch; None: nothing is certain."""
        return None


def is_zero(maps: tf.Tensor) -> tf.Tensor:
    """Whether each map (..., h, w) is zero everywhere."""
    return tf.reduce_all(maps == 0, axis=(-2, -1))
