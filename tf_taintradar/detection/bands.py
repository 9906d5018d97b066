"""The rule for aligned faces: bands as wide as the face, scored by the share of what is lost.

b images, feature map (h, w, channels), s bands.
"""

import dataclasses
from typing import Any

import tensorflow as tf

from tf_taintradar.classifier.opened import OpenedClassifier
from tf_taintradar.detection.by_window import (
    SIDES,
    WindowsExplanation,
    as_sides,
    deepest,
    occlude,
)
from tf_taintradar.detection.critical import ActivationMaps, Prediction
from tf_taintradar.detection.detection import Detection
from tf_taintradar.detection.explanation import Explanation
from tf_taintradar.detection.regions import Slope
from tf_taintradar.detection.rule import Rule
from tf_taintradar.detection.windows import cells

_CREDIT = 5.0  # nats added to what a label has, so that one without a lead does not lose it all


@dataclasses.dataclass(frozen=True)
class Bands(Rule):
    """Takes the most critical horizontal band of each height out of the feature map.

    The score is the share of what the label had that it loses, see `lost_share`; the tainted
    region is the band without which it falls furthest.

    Args:
        heights: the bands' heights as fractions of the feature map's, in (0, 1], ascending.

    Raises:
        ValueError: `heights` are no such fractions.
    """

    name = "bands"
    purpose = "for aligned faces, and what is worn on them"
    nat = 0.05

    heights: tuple[float, ...] = SIDES

    def __post_init__(self) -> None:
        object.__setattr__(self, "heights", as_sides("heights", self.heights))

    def detect(
        self,
        classifier: OpenedClassifier,
        prediction: Prediction,
        maps: ActivationMaps,
        *,
        slope: Slope = None,
    ) -> Detection:
        """Steps 3 to 8; see `Rule.detect`."""
        # 3, 4, 5  what the label loses without the most critical band of each height
        height, width = classifier.feature_shape[:2]
        sizes = [(cells(height, share), width) for share in self.heights]
        found = occlude(classifier, prediction, sizes, slope)
        # 6, 7, 8  the band of the deepest fall, the image without it, the share that is lost
        decisive = deepest(found, classifier.input_shape[:2])
        return Detection.without(
            prediction, *decisive, found, lost_share(found.falls, found.strength)
        )

    def explain(self, detection: Detection, **about: Any) -> Explanation:
        """See `Rule.explain`; with the bands."""
        return WindowsExplanation.of(detection, **about)


def lost_share(falls: tf.Tensor, before: tf.Tensor) -> tf.Tensor:
    """The score of `Bands`: the mean fall, as a share of what the label had.

    A classifier that is sure of its faces leads by many nats, and loses many with a part of the
    face; glasses lend a name that is just believed a few nats, and take them all with them.

    Args:
        falls: (b, s) float32, in nats.
        before: (b,) float32, the label's `strength`.

    Returns:
        (b,) float32: near 0 nothing is lost, from about 1 on everything.
    """
    return tf.reduce_mean(falls, axis=-1) / (tf.abs(before) + _CREDIT)
