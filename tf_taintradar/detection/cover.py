"""The rule for attackers who know the detector: paints over windows of pixels, one by one.

An attacker who knows the detector can draw the critical map elsewhere and move the evidence into
cells that stay. That does not work here: the windows are at fixed positions, independent of the
critical map; any patch lies under one of them; and what is painted over is gone from the pixels.
Under that window the classifier answers what it would answer without any patch. So what the
attacker's label lacks there, and how strong another label is, can be computed without an attack;
see `attacks.certify`.

A label that benign images never show lacks more than a common one, whatever the image. What each
label usually lacks in benign images is therefore subtracted, see `calibration.scaling.find_usual`.

b images (H, W, c), n labels, v windows, d depths.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from typing_extensions import Self

from tf_taintradar.calibration.scaling import find_bounds, find_usual, highest_scaled, scale
from tf_taintradar.classifier.opened import OpenedClassifier, Stage
from tf_taintradar.detection.cover_explanation import CoverExplanation
from tf_taintradar.detection.covering import (
    CoveringRule,
    Covers,
    Sides,
    covering_sides,
    decisive,
    lacks_and_others,
    logits_under,
)
from tf_taintradar.detection.critical import ActivationMaps, Prediction
from tf_taintradar.detection.detection import Detection
from tf_taintradar.detection.explanation import Explanation
from tf_taintradar.detection.occlusion import Occlusion
from tf_taintradar.detection.ranks import largest_of_others, strengths
from tf_taintradar.detection.regions import Slope
from tf_taintradar.detection.rule import Answers
from tf_taintradar.detection.scaled import Scores
from tf_taintradar.detection.testimony import all_numbers, silence
from tf_taintradar.support.checks import check_fraction, check_integer, require

_COVERED = 3  # numbers of the windows, after those of `Occlusion`
_REMOVED_AT, _POWER = 1.5, 4  # the score of `Occlusion` that counts as 1, and how steeply
_HIGHEST = 1e6  # of that score, whose power float32 holds
_OTHER = 0.6  # weight of the other label


@dataclasses.dataclass(frozen=True)
class Cover(CoveringRule):
    """Paints over windows of pixels at fixed positions, one of which covers any patch.

    The rule includes `Occlusion`. The score is the largest of three parts: how far out it is what
    the label lacks under the worst window, beyond what it usually lacks in benign images; 0.6 times
    how far out the strength of another label is, under the window where that is strongest; and (w /
    1.5) to the fourth, where w is the score of `Occlusion`. About 3 benign images in 100 reach 1 by
    the first part, 1 in 100 by the last. Before a calibration the score is, in nats, the larger of
    what the label lacks under the worst window and the score of `Occlusion`. The cost is one more
    forward pass for each window.

    Args:
        largest_patch: the side of the largest patch that is covered for certain, as a fraction of
            the image's sides, in (0, 1).
        per_side: the number of windows side by side, down and across, at least 1. More windows are
            smaller and cost more.
        depths: the number of feature maps that `Occlusion` looks at. With 0 the score comes from
            the windows alone, as it does for a classifier that cannot be opened.
        scales: (4, 4 d + 3) floats, set by `calibrate`.
        centre: n floats, what each label usually lacks in benign images, in nats; set by
            `calibrate`.

    Raises:
        ValueError: an argument is out of range.
    """

    name = "cover"
    purpose = "for attackers who know the detector; 16 more forward passes"
    needs_maps = False
    finds = ("scales", "centre")

    largest_patch: float = 0.3
    per_side: int = 4
    depths: int = 3
    centre: tuple[float, ...] | None = dataclasses.field(default=None, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("largest_patch", self.largest_patch, is_one_allowed=False)
        object.__setattr__(self, "per_side", check_integer("per_side", self.per_side, 1))
        object.__setattr__(self, "depths", check_integer("depths", self.depths, 0))
        if self.centre is not None:
            object.__setattr__(self, "centre", tuple(np.asarray(self.centre, float).tolist()))

    def adapted_to(self, classifier: OpenedClassifier) -> "Cover":
        """The rule itself, without `depths` for a classifier that is not opened.

        Raises:
            ValueError: its `centre` is of another number of labels.
        """
        n_known, n_labels = len(self.centre or ()), classifier.n_classes
        fits = self.centre is None or n_known == n_labels
        expected = f"of {n_labels} labels, as this classifier's: calibrate it anew"
        require(fits, "centre", f"{n_known} labels", expected)
        return self.replaced(depths=0) if classifier.is_closed else self

    def stages(self, classifier: OpenedClassifier) -> Sequence[Stage]:
        """Those of `Occlusion`; see `Rule.stages`."""
        return self._occlusion.stages(classifier) if self.depths else ()

    def is_blind(
        self, classifier: OpenedClassifier, prediction: Prediction, maps: ActivationMaps
    ) -> tf.Tensor:
        """Whether the critical map is zero everywhere, if it is needed; see `Rule.is_blind`."""
        if not self.depths:
            return super().is_blind(classifier, prediction, maps)
        return self._occlusion.is_blind(classifier, prediction, maps)

    def detect(
        self,
        classifier: OpenedClassifier,
        prediction: Prediction,
        maps: ActivationMaps,
        *,
        slope: Slope = None,
    ) -> Detection:
        """Steps 3 to 8; see `Rule.detect`."""
        # 3, 4, 5  what is left of the label without cells, and under windows of pixels
        found = self.evidence(classifier, prediction, maps, slope)
        # 6, 7, 8  what makes the score, the image without it, how far out it is
        without = decisive(found, self.sides(classifier.input_shape[:2]))
        return Detection.without(prediction, *without, found, tf.reduce_max(found.parts, axis=-1))

    def evidence(
        self,
        classifier: OpenedClassifier,
        prediction: Prediction,
        maps: ActivationMaps,
        slope: Slope = None,
    ) -> Covers:
        """What happens without cells and under windows; see `ScaledRule`."""
        images, label = prediction.images, prediction.label
        testimony = silence(prediction)
        if self.depths:
            testimony = self._occlusion.evidence(classifier, prediction, maps, slope)
        sides = self.sides(classifier.input_shape[:2])
        logits = logits_under(classifier, images, sides, label, slope)
        found = Covers(*testimony, logits, *lacks_and_others(logits, label), tf.zeros(()))
        return found._replace(parts=self._parts(self.scaled(self.numbers(found), label)))

    def numbers(self, evidence: Covers) -> tf.Tensor:
        """Those of `Occlusion`, the lack twice, the other: (b, 4 d + 3); see `ScaledRule`."""
        covered = _numbers(
            tf.reduce_max(evidence.covered_lacks, axis=-1),
            tf.reduce_max(evidence.covered_others, axis=-1),
        )
        return tf.concat([all_numbers(evidence.testimony), covered], axis=-1)

    def scaled(self, numbers: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """Without what the label lacks at large, and scaled; see `ScaledRule`."""
        return super().scaled(_centred(numbers, self._usual(label)), label)

    def judge(self, numbers: tf.Tensor) -> tf.Tensor:
        """The score, the largest of the three parts; see `ScaledRule`."""
        return tf.reduce_max(self._parts(numbers), axis=-1)

    def least_scores(self, logits: tf.Tensor) -> tf.Tensor:
        """The larger of the two parts of windows; see `CoveringRule`."""
        every = strengths(logits)
        numbers = _centred(_numbers(-every, largest_of_others(every)), self._usual())
        if self.scales is not None:
            numbers = scale(numbers, tf.constant(self.scales, tf.float32)[:, -_COVERED:])
        return tf.reduce_max(self._covered_parts(numbers), axis=-1)

    def benign_answers(
        self, classifier: OpenedClassifier, prediction: Prediction, maps: ActivationMaps
    ) -> dict[str, tf.Tensor]:
        """`numbers`, `label`, `is_blind`, and `lacks` (b, n): of every label, mean of windows."""
        found = self.evidence(classifier, prediction, maps)
        return {
            "numbers": self.numbers(found),
            "label": prediction.label,
            "lacks": -tf.reduce_mean(strengths(found.covered_logits), axis=1),
            "is_blind": self.is_blind(classifier, prediction, maps),
        }

    def fitted(self, answers: Answers) -> tuple[Self, Scores]:
        """See `ScaledRule.fitted`.

        A further image changes what labels lack at large, too, between two bounds. The calibration
        images are judged as if it were as little as it can be, the further one as if as much, each
        on the worst of the scales that follow. Those of the further image are two, of which the
        smaller counts: that of the highest median up to the quantile, of the lowest beyond.
        """
        numbers, label = answers["numbers"], answers["label"]
        little, much = find_usual(answers["lacks"], label)
        most, least = (_centred(numbers, usual[label]) for usual in (little, much))
        high, low = find_bounds(most), find_bounds(least)
        scales = high.copy()
        scales[:2, -2] = low[:2, -2]  # the second of the two lacks
        rule = self.replaced(scales=scales, centre=much)
        worst = np.stack([low[0], np.minimum(high[1], low[2]), low[2], high[3]])
        return rule, rule.judge(tf.constant(highest_scaled(most, worst), tf.float32)).numpy()

    def explain(self, detection: Detection, **about: Any) -> Explanation:
        """See `Rule.explain`; with what each depth and each window says."""
        windows = self.covering_windows(detection.prediction.images.shape[1:3])
        about = {"covering_windows": windows, "is_scaled": self.scales is not None, **about}
        return CoverExplanation.of(detection, **about)

    def sides(self, size: tuple[int, int]) -> Sides:
        """The rows and the columns of each window on images (H, W)."""
        return covering_sides(size, self.largest_patch, self.per_side)

    def lack_bounds(self) -> npt.NDArray[np.float64]:
        """See `CoveringRule.lack_bounds`."""
        return np.asarray(self.scales, np.float64)[:, [-_COVERED]]

    @property
    def _occlusion(self) -> Occlusion:
        scales = self.scales
        own = scales and tuple(row[:-_COVERED] for row in scales)
        return Occlusion(depths=self.depths, scales=own)

    def _usual(self, label: tf.Tensor | None = None) -> tf.Tensor:
        """What each label (n,), or that of each image (b,), lacks at large."""
        if self.centre is None:
            return tf.zeros(())
        usual = tf.constant(self.centre, tf.float32)
        return usual if label is None else tf.gather(usual, label)

    def _parts(self, numbers: tf.Tensor) -> tf.Tensor:
        """The parts (b, 3) of numbers (b, m) as `judge` takes them; see `Covers`."""
        covered = self._covered_parts(numbers[:, -_COVERED:])
        if not self.depths:
            return covered
        removed = self._occlusion.judge(numbers[:, :-_COVERED])
        if self.scales is not None:
            removed = (tf.clip_by_value(removed, 0, _HIGHEST) / _REMOVED_AT) ** _POWER
        return tf.concat([removed[:, tf.newaxis], covered], axis=-1)

    def _covered_parts(self, numbers: tf.Tensor) -> tf.Tensor:
        """The two parts (..., 2) of numbers of windows (..., 3)."""
        lack = tf.minimum(numbers[..., 0], numbers[..., 1])
        return tf.stack([lack, (1.0 if self.scales is None else _OTHER) * numbers[..., 2]], axis=-1)


def covering_windows(size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """The windows (v, H, W) of `Cover` with its default settings on images (H, W)."""
    return Cover().covering_windows(size)


def _numbers(lack: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """The numbers (..., 3) of windows; the lack is there twice, for its two scales."""
    return tf.stack([lack, lack, other], axis=-1)


def _centred(numbers: Any, usual: Any) -> Any:
    """Numbers (..., m) with what is usual (...) taken off the two lacks."""
    is_lack = np.zeros(numbers.shape[-1], np.float32)
    is_lack[-_COVERED:-1] = 1
    return numbers - usual[..., np.newaxis] * is_lack
