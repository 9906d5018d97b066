"""The rule for one patch or several: cells taken out at three depths, measured in benign images.

The cells that carry the label are taken out of the feature map and of two earlier ones, and the
network goes on from there. It is asked what the label loses or lacks then, how much the whole
answer moves, and how loud the loudest cells are. Each is measured in benign images (see
`calibration.scaling`): 1 is as far out as three in a hundred. An image is suspicious if one of the
three kinds is far out, or all of them are somewhat.

b images, n labels, d depths.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.calibration.by_score import ScoreCalibration, choose_threshold
from tf_taintradar.calibration.record import Calibration
from tf_taintradar.calibration.scaling import find_bounds, highest_scaled, scale
from tf_taintradar.classifier.opened import OpenedClassifier
from tf_taintradar.detection.critical import ActivationMaps, Prediction
from tf_taintradar.detection.detection import Detection
from tf_taintradar.detection.explanation import Explanation, Panel
from tf_taintradar.detection.occlusion import strength, without
from tf_taintradar.detection.ranks import mean_of_largest
from tf_taintradar.detection.regions import Slope
from tf_taintradar.detection.rule import Answers, Rule
from tf_taintradar.detection.windows import cells, most_critical_cells, take_out, to_pixels
from tf_taintradar.support.checks import check_fraction, check_integer, require

KINDS = ("fall", "lack", "stir", "peak")
"""What a depth says; see `Testimony`."""

_LOUDEST = 0.05  # share of the cells whose norm makes the peak
_WEIGHT = 0.9  # of stirs and peaks, which attackers can keep quiet
_TWO = 2  # depths that make a kind: one of three may be blind

Scales = tuple[tuple[float, ...], ...]


class Testimony(NamedTuple):
    """What happens without the most critical cells of each depth, deepest last.

    Attributes:
        regions: (b, d, H, W) bool, the parts of the image that the removed cells belong to.
        removed_logits: (b, d, n) float32, the logits without them.
        falls: (b, d) float32, what the label loses of its `strength`, in nats.
        lacks: (b, d) float32, what it is short of then: minus its strength, in nats.
        stirs: (b, d) float32, how much the whole answer moves: the standard deviation over all
            labels of what their logits gain.
        peaks: (b, d) float32, the mean norm over the channels of the loudest cells.
        scaled: (b, 4, d) float32, these four as multiples of what benign images show; their own
            units before a calibration.
    """

    regions: tf.Tensor
    removed_logits: tf.Tensor
    falls: tf.Tensor
    lacks: tf.Tensor
    stirs: tf.Tensor
    peaks: tf.Tensor
    scaled: tf.Tensor


@dataclasses.dataclass(frozen=True)
class Witnesses(Rule):
    """Takes the most critical cells out at several depths of the network.

    The score is 1 for an image as far out as about 3 benign ones in 100, see `combine`; the tainted
    region is the one whose fall or lack is furthest out. One forward pass, and the last layers
    again for each depth.

    Args:
        depths: how many feature maps are looked at, from the last one backwards, at least 1; all
            there are, if the classifier has fewer.
        share: share of the cells that are taken out, in (0, 1).
        scales: what `calibrate` finds, see `calibration.scaling.find_bounds`: (4, 4 d) floats.
            Without them the score mixes units and means little.

    Raises:
        ValueError: an argument is out of range.
    """

    name = "witnesses"
    purpose = "for one patch or several, at several depths"

    depths: int = 3
    share: float = 0.3
    scales: Scales | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "depths", check_integer("depths", self.depths, 1))
        check_fraction("share", self.share, is_one_allowed=False)
        if self.scales is not None:
            rows = np.atleast_2d(np.asarray(self.scales, np.float64))
            fits = rows.shape[0] == len(KINDS) and rows.shape[1] % len(KINDS) == 0
            require(fits, "scales", rows.shape, "four rows of four numbers a depth")
            object.__setattr__(self, "scales", tuple(tuple(row) for row in rows.tolist()))

    def detect(
        self,
        classifier: OpenedClassifier,
        prediction: Prediction,
        maps: ActivationMaps,
        *,
        slope: Slope = None,
    ) -> Detection:
        """Steps 3 to 8; see `Rule.detect`."""
        # 3, 4  the most critical cells of each depth
        removed = self._cells(prediction, maps, slope)
        # 5  what the classifier answers without them, in multiples of what benign images show
        found = self._testimony(classifier, prediction, maps, removed)
        # 6, 7, 8  the cells that decide, the image without them, how far out it is
        worst = tf.argmax(tf.reduce_max(found.scaled[:, :2], axis=1), axis=-1, output_type=tf.int32)
        region = tf.gather(found.regions, worst, batch_dims=1)
        logits = tf.gather(found.removed_logits, worst, batch_dims=1)
        return without(prediction, region, logits, found, combine(found.scaled))

    def benign_answers(
        self, classifier: OpenedClassifier, prediction: Prediction, maps: ActivationMaps
    ) -> dict[str, tf.Tensor]:
        """`numbers` (b, 4 d) of each image, in their own units, and `is_blind`."""
        found = self._testimony(classifier, prediction, maps, self._cells(prediction, maps, None))
        return {
            "numbers": _numbers(found),
            "is_blind": self.is_blind(classifier, prediction, maps),
        }

    def calibrate(self, answers: Answers, target_fpr: float, n_classes: int) -> Calibration:
        """Chooses scales and threshold on the same images; see `calibration.scaling`."""
        numbers = answers["numbers"]
        bounds = find_bounds(numbers)
        scaled = highest_scaled(numbers, bounds).reshape(len(numbers), len(KINDS), -1)
        scores = combine(tf.constant(scaled, tf.float32)).numpy()
        found = choose_threshold(
            scores, target_fpr, variant=self.name, settings=self._unscaled().get_config()
        )
        return dataclasses.replace(found, scales=bounds)

    def calibrated(self, calibration: Calibration) -> Rule:
        """The rule with the scales that a calibration found."""
        calibration.check_settings(self._unscaled().get_config())
        scales = cast(ScoreCalibration, calibration).scales
        require(scales is not None, "calibration", None, "one with scales: calibrate anew")
        return self.replaced(scales=scales)

    def explain(self, detection: Detection, **about: Any) -> Explanation:
        """See `Rule.explain`; with what each depth says."""
        return WitnessExplanation.of(detection, **about)

    def _unscaled(self) -> Rule:
        return self.replaced(scales=None)

    def _cells(self, prediction: Prediction, maps: ActivationMaps, slope: Slope) -> list[tf.Tensor]:
        """The most critical cells (b, h, w) of each depth, see `regions`, deepest last.

        The last depth has the critical map of step 2. The maps before it are first-order estimates
        of what replacing a cell by the mean costs: the gradient of step 2, times the deviation from
        the mean, summed over the channels.
        """
        earlier = list(maps.stages[-self.depths : -1]) if self.depths > 1 else []
        gradients = maps.gradients(maps.pull)[-self.depths : -1] if earlier else []
        costs = [
            tf.nn.relu(tf.reduce_sum((f - tf.reduce_mean(f, (1, 2), keepdims=True)) * g, axis=-1))
            for f, g in zip(earlier, gradients, strict=True)
        ]
        every = [*costs, prediction.critical_map]
        return [most_critical_cells(one, self.share, slope) for one in every]

    def _testimony(
        self,
        classifier: OpenedClassifier,
        prediction: Prediction,
        maps: ActivationMaps,
        removed: Sequence[tf.Tensor],
    ) -> Testimony:
        stages = classifier.stages[-len(removed) :]
        features = maps.stages[-len(removed) :]
        rest: tf.Tensor | None = None  # of all depths so far, one below the other
        for stage, feature, region in zip(stages, features, removed, strict=True):
            own = take_out(feature, region[:, None])[:, 0]
            rest = stage.onwards(own if rest is None else tf.concat([rest, own], axis=0))
        by_depth = tf.reshape(rest, (len(removed), -1, classifier.n_classes))
        logits = tf.transpose(by_depth, (1, 0, 2))
        before = strength(prediction.logits[:, None], prediction.label)
        after = strength(logits, prediction.label)
        size = classifier.input_shape[:2]
        found = Testimony(
            regions=tf.stack([to_pixels(one, size) for one in removed], axis=1),
            removed_logits=logits,
            falls=before - after,
            lacks=-after,
            stirs=tf.math.reduce_std(logits - prediction.logits[:, None], axis=-1),
            peaks=tf.stack([_peak(feature) for feature in features], axis=1),
            scaled=tf.zeros(()),
        )
        numbers = _numbers(found)
        if self.scales is not None:
            numbers = scale(numbers, tf.constant(self.scales, tf.float32))
        return found._replace(scaled=tf.reshape(numbers, (-1, len(KINDS), len(removed))))


def combine(scaled: tf.Tensor) -> tf.Tensor:
    """The score: the strongest of three kinds of evidence, or half of all together.

    A kind is the mean of its two largest depths; the label's is the larger of fall and lack. What
    attackers can keep quiet, the stir and the peak, counts a little less.

    Args:
        scaled: (b, 4, d) float32, see `Testimony`.

    Returns:
        (b,) float32.
    """
    fall, lack, stir, peak = tf.unstack(mean_of_largest(scaled, _TWO), axis=1)
    label = tf.maximum(fall, lack)
    others = tf.maximum(tf.maximum(stir, peak), (label + stir + peak) / 2)
    return tf.maximum(label, _WEIGHT * others)


def _numbers(found: Testimony) -> tf.Tensor:
    """All of them (b, 4 d), kind by kind."""
    return tf.concat([found.falls, found.lacks, found.stirs, found.peaks], axis=1)


def _peak(features: tf.Tensor) -> tf.Tensor:
    """The mean norm (b,) of the loudest cells of maps (b, h, w, channels)."""
    n_cells = features.shape[1] * features.shape[2]
    norms = tf.reshape(tf.norm(features, axis=-1), (-1, n_cells))
    return mean_of_largest(norms, cells(n_cells, _LOUDEST))


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class WitnessExplanation(Explanation):
    """Every intermediate result of variant "witnesses" for one image; see `Testimony`.

    Attributes:
        regions: (d, H, W) bool, the parts of the image that are taken out, deepest last.
        removed_logits: (d, n) float32, the logits without each.
        falls, lacks: (d,) float32, in nats.
        stirs, peaks: (d,) float32.
        scaled: (4, d) float32, falls, lacks, stirs and peaks; 1 is as far out as 3 benign images
            in 100.
    """

    regions: npt.NDArray[np.bool_]
    removed_logits: npt.NDArray[np.float32]
    falls: npt.NDArray[np.float32]
    lacks: npt.NDArray[np.float32]
    stirs: npt.NDArray[np.float32]
    peaks: npt.NDArray[np.float32]
    scaled: npt.NDArray[np.float32]

    def _way(self) -> list[Panel]:
        return [
            (self.image, self._title(depth), region) for depth, region in enumerate(self.regions)
        ]

    def _title(self, depth: int) -> str:
        fall, lack, stir, peak = self.scaled[:, depth]
        return f"fall {fall:.1f}, lack {lack:.1f}\nstir {stir:.1f}, peak {peak:.1f}"

    def _fall(self) -> str:
        return f"score {self.score:.2f}, 1 = as far out as 3 benign images in 100; {self._ranks()}"
