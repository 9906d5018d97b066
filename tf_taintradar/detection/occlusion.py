"""The default rule: takes cells out at several depths of the network.

The paper fills pixels, runs the network again, and intersects what holds down K other labels. On
networks without large fully connected layers that intersection is mostly empty. Here the cells that
carry the label are taken out of the feature map and of two earlier ones, and the network goes on
from there. The rule measures what the label then loses or lacks, how much the whole answer moves,
and how strong the strongest cells are. Each is measured against benign images (see
`calibration.scaling`): 1 is as far out as three in a hundred. An image is suspicious if one of the
three kinds is far out, or if all of them are somewhat far out. `benchmarks/README.md` has the
figures, also for alternatives that were tried.

b images, n labels, d depths.
"""

import dataclasses
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_taintradar.calibration.groups import Groups
from tf_taintradar.calibration.record import Calibration
from tf_taintradar.classifier.opened import OpenedClassifier, Stage
from tf_taintradar.detection.critical import ActivationMaps, Prediction
from tf_taintradar.detection.detection import Detection
from tf_taintradar.detection.explanation import Explanation
from tf_taintradar.detection.occlusion_explanation import OcclusionExplanation
from tf_taintradar.detection.ranks import mean_of_largest, strength
from tf_taintradar.detection.regions import Slope
from tf_taintradar.detection.rule import Answers
from tf_taintradar.detection.scaled import ScaledRule
from tf_taintradar.detection.testimony import (
    KINDS,
    Testimony,
    all_numbers,
    combine,
    deciding,
    kind_of,
)
from tf_taintradar.detection.windows import cells, most_critical_cells, take_out, to_pixels
from tf_taintradar.support.checks import check_fraction, check_integer

_LOG = logging.getLogger(__name__)

_LOUDEST = 0.05  # share of the cells whose norm makes the peak


@dataclasses.dataclass(frozen=True)
class Occlusion(ScaledRule):
    """Takes the most critical cells out at several depths of the network.

    A score of 1 is exceeded by about 3 benign images in 100, see `combine`. Before a calibration
    has found the scales, the score is the mean of the label's two deepest falls, in nats. The
    tainted region is the one whose fall or lack is furthest out; it may have any number of pieces.
    The cost is one forward pass, and the last layers again for each depth.

    Args:
        depths: the number of feature maps to look at, from the last one backwards, at least 1. A
            classifier with fewer maps uses all it has. See `classifier.feature_layer.earlier`.
        share: the share of the cells to take out, in (0, 1).
        scales: (4, 4 d) floats, set by `calibrate`.

    Raises:
        ValueError: an argument is out of range.
    """

    name = "occlusion"
    purpose = "for one patch or several; the default"

    depths: int = 3
    share: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "depths", check_integer("depths", self.depths, 1))
        check_fraction("share", self.share, is_one_allowed=False)

    @property
    def nat(self) -> float:
        """About what a nat of a fall is in the unit of the score."""
        if self.scales is None:
            return 1.0
        _, median, high, _ = np.asarray(self.scales)
        n_depths = len(median) // len(KINDS)
        return float(1 / np.mean((high - median)[:n_depths]))

    def stages(self, classifier: OpenedClassifier) -> Sequence[Stage]:
        """The last `depths` maps; see `Rule.stages`."""
        return classifier.stages[-self.depths :]

    def detect(
        self,
        classifier: OpenedClassifier,
        prediction: Prediction,
        maps: ActivationMaps,
        *,
        slope: Slope = None,
    ) -> Detection:
        """Steps 3 to 8; see `Rule.detect`."""
        # 3, 4, 5  what the classifier answers without the most critical cells of each depth
        found = self.evidence(classifier, prediction, maps, slope)
        # 6, 7, 8  the cells that decide, the image without them, how far out it is
        return Detection.without(prediction, *deciding(found), found, self._score(found.scaled))

    def evidence(
        self,
        classifier: OpenedClassifier,
        prediction: Prediction,
        maps: ActivationMaps,
        slope: Slope = None,
    ) -> Testimony:
        """What happens without the most critical cells of each depth; see `ScaledRule`."""
        removed = self._cells(classifier, prediction, maps, slope)
        states = maps.stages[-len(removed) :]
        stages = classifier.stages[-len(removed) :]
        features = [stage.as_map(state) for stage, state in zip(stages, states, strict=True)]
        logits = go_on(classifier, states, removed)
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
        shape = (-1, len(KINDS), len(removed))
        scaled = self.scaled(self.numbers(found), prediction.label)
        return found._replace(scaled=tf.reshape(scaled, shape))

    def numbers(self, evidence: Testimony) -> tf.Tensor:
        """All four of all depths (b, 4 d), kind by kind; see `ScaledRule`."""
        return all_numbers(evidence)

    def judge(self, numbers: tf.Tensor) -> tf.Tensor:
        """The score; see `combine` and `ScaledRule`."""
        n_depths = numbers.shape[-1] // len(KINDS)
        return self._score(tf.reshape(numbers, (-1, len(KINDS), n_depths)))

    def calibrate(
        self, answers: Answers, target_fpr: float, n_classes: int, groups: Groups | None = None
    ) -> Calibration:
        """See `ScaledRule.calibrate`; logs a warning if there is one map where it wants several."""
        if self.depths > 1 and answers["numbers"].shape[1] == len(KINDS):
            _LOG.warning(
                "Variant %r looks at the last feature map alone, and finds less there than at "
                "several: the classifier has no earlier one of a like size. Name the layers to "
                "look at as `feature_layer`, first to last, or choose rules.Occlusion(depths=1).",
                self.name,
            )
        return super().calibrate(answers, target_fpr, n_classes, groups)

    def explain(self, detection: Detection, **about: Any) -> Explanation:
        """See `Rule.explain`; with what each depth says."""
        return OcclusionExplanation.of(detection, is_scaled=self.scales is not None, **about)

    def _score(self, scaled: tf.Tensor) -> tf.Tensor:
        """The score (b,) of what each depth says (b, 4, d), see `Testimony`."""
        if self.scales is None:
            return kind_of(scaled[:, 0])
        return combine(scaled)

    def _cells(
        self,
        classifier: OpenedClassifier,
        prediction: Prediction,
        maps: ActivationMaps,
        slope: Slope,
    ) -> list[tf.Tensor]:
        """The most critical cells (b, h, w) of each depth, see `regions`, deepest last.

        The last feature map has the critical map of step 2. The maps before it, and all of tokens,
        are first-order estimates of what replacing a cell by the mean costs: the gradient of step
        2, times the deviation from the mean, summed over the channels. Step 2 averages gradients
        over places, which says little of tokens: each is listened to in its own way.
        """
        first = max(len(maps.stages) - self.depths, 0)
        end = len(maps.stages) - (classifier.stages[-1].n_special is None)
        stages = zip(classifier.stages[first:end], maps.stages[first:end], strict=True)
        features = [stage.as_map(state) for stage, state in stages]
        gradients = maps.gradients(maps.pull)[first:end] if features else []
        costs = [
            tf.nn.relu(tf.reduce_sum((f - tf.reduce_mean(f, (1, 2), keepdims=True)) * g, axis=-1))
            for f, g in zip(features, gradients, strict=True)
        ]
        every = costs if end == len(maps.stages) else [*costs, prediction.critical_map]
        return [most_critical_cells(one, self.share, slope) for one in every]


def go_on(
    classifier: OpenedClassifier, states: Sequence[tf.Tensor], removed: Sequence[tf.Tensor]
) -> tf.Tensor:
    """The logits (b, d, n) without cells of each of the last d stages.

    What is left of a stage joins what is left of the earlier ones, so that each layer runs once.

    Args:
        classifier: see `open_classifier`.
        states: of the last d stages.
        removed: the cells (b, h, w) of each, see `regions`.
    """
    rest: tf.Tensor | None = None  # of all depths so far, one below the other
    for stage, state, region in zip(
        classifier.stages[-len(removed) :], states, removed, strict=True
    ):
        own = stage.with_map(state, take_out(stage.as_map(state), region[:, None])[:, 0])
        rest = stage.onwards(own if rest is None else tf.concat([rest, own], axis=0))
    by_depth = tf.reshape(rest, (len(removed), -1, classifier.n_classes))
    return tf.transpose(by_depth, (1, 0, 2))


def _peak(features: tf.Tensor) -> tf.Tensor:
    """The mean norm (b,) of the loudest cells of maps (b, h, w, channels)."""
    n_cells = features.shape[1] * features.shape[2]
    norms = tf.reshape(tf.norm(features, axis=-1), (-1, n_cells))
    return mean_of_largest(norms, cells(n_cells, _LOUDEST))
