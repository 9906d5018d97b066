"""The rule for aligned faces: paints over bands of pixels across the face.

On an aligned face, things are worn at known places. When such a place is painted over, an honest
wearer is still recognized and an impostor is not: whatever produced the name is gone from the
pixels. That can be computed without an attack; see `attacks.certify`.

b images (H, W, c), n labels, v bands.
"""

import dataclasses
import numbers
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.calibration.scaling import scale
from tf_taintradar.classifier.opened import OpenedClassifier
from tf_taintradar.detection.bands_explanation import BandsExplanation
from tf_taintradar.detection.covering import (
    CoveringRule,
    Sides,
    lacks_and_others,
    logits_under,
    under_window,
)
from tf_taintradar.detection.critical import ActivationMaps, Prediction
from tf_taintradar.detection.detection import Detection
from tf_taintradar.detection.explanation import Explanation
from tf_taintradar.detection.ranks import strengths
from tf_taintradar.detection.regions import Slope
from tf_taintradar.detection.windows import cells, stretches
from tf_taintradar.support.checks import require

Band = tuple[float, float]
"""Where a band begins and how high it is, as fractions of the image's height, from the top."""

EYES: Band = (0.3, 0.25)
"""Where glasses sit on an aligned face that fills the image."""
FOREHEAD: Band = (0.05, 0.25)
"""Where a headband or a sticker on a hat sits."""
MOUTH: Band = (0.6, 0.3)
"""Where a mask over the mouth sits."""


class BandsSeen(NamedTuple):
    """What the classifier sees with each band painted over.

    Attributes:
        covered_logits: (b, v, n) float32, the logits without each band.
        covered_lacks: (b, v) float32, what the label lacks then of being certain, in nats: the
            negative `strength`.
        scaled: (b, v) float32, the lacks as multiples of what benign images show; in nats before
            a calibration.
    """

    covered_logits: tf.Tensor
    covered_lacks: tf.Tensor
    scaled: tf.Tensor


@dataclasses.dataclass(frozen=True)
class Bands(CoveringRule):
    """Paints over horizontal bands of the image one by one, where things are worn on a face.

    A band is filled with the mean colour of the rest. The score is what the label then lacks, under
    the band where that is furthest out; about 3 benign images in 100 reach 1. Before a calibration
    the score is in nats. The cost is one more forward pass for each band.

    Args:
        bands: pairs of top and height, as fractions of the image's height from the top. The
            defaults of `EYES`, `FOREHEAD` and `MOUTH` suit an upright face that fills the image.
            Each further band covers one more place and makes the rule a little less sensitive at
            all of them.
        scales: (4, v) floats, set by `calibrate`.

    Raises:
        ValueError: `bands` does not hold such pairs, or a band covers the whole image.
    """

    name = "bands"
    purpose = "for aligned faces, and what is worn on them; one more forward pass a band"
    needs_maps = False

    bands: tuple[Band, ...] = (EYES,)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "bands", _as_bands(self.bands))

    def detect(
        self,
        classifier: OpenedClassifier,
        prediction: Prediction,
        maps: ActivationMaps,
        *,
        slope: Slope = None,
    ) -> Detection:
        """Steps 3 to 8; see `Rule.detect`."""
        # 3, 4, 5  what is left of the label without each band
        found = self.evidence(classifier, prediction, maps, slope)
        # 6, 7, 8  the band that makes the score, the image without it, how far out it is
        worst = tf.argmax(found.scaled, axis=-1)
        without = under_window(found.covered_logits, self.sides(classifier.input_shape[:2]), worst)
        return Detection.without(prediction, *without, found, self.judge(found.scaled))

    def evidence(
        self,
        classifier: OpenedClassifier,
        prediction: Prediction,
        maps: ActivationMaps,
        slope: Slope = None,
    ) -> BandsSeen:
        """What happens under each band; see `ScaledRule`. Gradients pass all of them anyway."""
        sides = self.sides(classifier.input_shape[:2])
        logits = logits_under(classifier, prediction.images, sides)
        lacks, _ = lacks_and_others(logits, prediction.label)
        return BandsSeen(logits, lacks, self.scaled(lacks, prediction.label))

    def numbers(self, evidence: BandsSeen) -> tf.Tensor:
        """The lacks (b, v), in nats; see `ScaledRule`."""
        return evidence.covered_lacks

    def judge(self, numbers: tf.Tensor) -> tf.Tensor:
        """The score, the largest; see `ScaledRule`."""
        return tf.reduce_max(numbers, axis=-1)

    def explain(self, detection: Detection, **about: Any) -> Explanation:
        """See `Rule.explain`; with what is seen under each band."""
        about = {"is_scaled": self.scales is not None, **about}
        return BandsExplanation.of(detection, **about)

    # Certainty

    def sides(self, size: tuple[int, int]) -> Sides:
        """The rows and the columns of each band on images (H, W)."""
        rows = [_rows(band, size[0]) for band in self.bands]
        return np.stack(rows), np.ones((len(rows), size[1]), np.bool_)

    def lack_bounds(self) -> npt.NDArray[np.float64]:
        """See `CoveringRule.lack_bounds`."""
        return np.asarray(self.scales, np.float64)

    def least_scores(self, logits: tf.Tensor) -> tf.Tensor:
        """The least score of each label under each band; see `CoveringRule`."""
        lacks = -strengths(logits)
        if self.scales is None:
            return lacks
        return scale(lacks, tf.constant(self.scales, tf.float32)[..., tf.newaxis])


def _as_bands(bands: Any) -> tuple[Band, ...]:
    """The bands as pairs of floats; ValueError if they are none."""
    expected = "pairs of top and height, fractions of the image's height such as [(0.3, 0.25)]"
    try:
        pairs = tuple((top, height) for top, height in bands)
    except (TypeError, ValueError):
        pairs = ()
    require(len(pairs) > 0 and all(map(_is_band, pairs)), "bands", bands, expected)
    return tuple((float(top), float(height)) for top, height in pairs)


def _is_band(pair: tuple[Any, Any]) -> bool:
    top, height = pair
    if not all(isinstance(value, numbers.Real) for value in pair):
        return False
    return bool(0 <= top < 1 and 0 < height < 1 and top + height <= 1 + 1e-9)


def _rows(band: Band, length: int) -> npt.NDArray[np.bool_]:
    """The rows (H,) of a band, at least one."""
    side = cells(length, band[1])
    start = min(round(band[0] * length), length - side)
    return stretches(length, side, [start])[0]
