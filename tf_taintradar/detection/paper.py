"""The paper's rule: fills what suppresses K other labels and classifies again.

b images (H, W, c), n labels, K labels that take part, feature map (h, w, channels).
"""

import dataclasses
import numbers
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.calibration.by_rank import RankCalibration, choose_thresholds
from tf_taintradar.calibration.groups import Groups
from tf_taintradar.calibration.record import Calibration
from tf_taintradar.classifier.opened import OpenedClassifier
from tf_taintradar.detection.critical import ActivationMaps, Prediction
from tf_taintradar.detection.detection import Detection
from tf_taintradar.detection.explanation import Explanation, Panel
from tf_taintradar.detection.ranks import largest_increases, rank_of
from tf_taintradar.detection.regions import Slope, fill_region, intersect, is_inside
from tf_taintradar.detection.rule import Answers, Rule, is_zero
from tf_taintradar.fills import Fill, make_fill
from tf_taintradar.support.checks import check_integer, require

_TOP_K = 9  # the paper's K for scenes
_K_MAX = 20  # the largest K that calibration tries by default
_NEGATIVES_SHOWN = 3


class Evidence(NamedTuple):
    """What steps 3 to 5 find: which labels the critical region holds down, and from where.

    Attributes:
        filled_images: (b, H, W, c) float32, the images with their critical region filled.
        filled_logits: (b, n) float32.
        top_labels: (b, K) int32, the labels that gain most by it, largest gain first.
        logit_increases: (b, K) float32, their gains.
        negative_maps: (b, K, h, w) float32, >= 0: what speaks against each of them.
        negative_regions: (b, K, H, W), see `regions`; the whole image where the map is zero
            everywhere.
    """

    filled_images: tf.Tensor
    filled_logits: tf.Tensor
    top_labels: tf.Tensor
    logit_increases: tf.Tensor
    negative_maps: tf.Tensor
    negative_regions: tf.Tensor


@dataclasses.dataclass(frozen=True)
class Paper(Rule):
    """Fills the intersection of the regions that suppress each of K other labels.

    The score is the rank shift. The cost is at most three forward passes.

    Args:
        fill: what is painted into a region: "noise" (the paper's choice for scenes), "blur", a
            color, an image (the paper's average face), or a fill of `tf_taintradar.fills`.
        top_k: K, the number of labels with the largest gains that take part; by default the paper's
            9, or all labels if there are fewer. `calibrate` sets it.

    Raises:
        ValueError: an argument is out of range.

    Source: Figure 2 and section V-B of the paper.
    """

    name = "paper"
    purpose = "the paper's own; --top-k and --rank-threshold also select it"
    threshold_name = "rank_threshold"
    arguments = ("fill", "top_k")
    nat = None

    fill: Any = "noise"
    top_k: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "fill", make_fill(self.fill))
        if self.top_k is not None:
            object.__setattr__(self, "top_k", check_integer("top_k", self.top_k, 1))

    def detect(
        self,
        classifier: OpenedClassifier,
        prediction: Prediction,
        maps: ActivationMaps,
        *,
        slope: Slope = None,
    ) -> Detection:
        """Steps 3 to 8; see `Rule.detect`."""
        images = prediction.images
        # 3, 4, 5  fill it, which logits increase, what speaks against those labels
        evidence = self.evidence(classifier, prediction, maps)
        # 6  the region that holds all of them down
        tainted = intersect(evidence.negative_regions)
        # 7  fill it in the original image
        cleaned = fill_region(images, tainted, self.fill.pattern(images))
        # 8  how far the label falls
        is_filled = tf.reduce_any(is_inside(tainted), axis=(1, 2))
        if slope is None:
            logits = rerun(classifier.logits, cleaned, rows=is_filled, otherwise=prediction.logits)
        else:  # gradients need every row; the others are the original images
            logits = classifier.logits(cleaned)
        return Detection.of(
            prediction,
            evidence=evidence,
            tainted_region=tainted,
            cleaned_images=cleaned,
            cleaned_logits=logits,
        )

    def adapted_to(self, classifier: OpenedClassifier) -> Rule:
        """The rule with K labels of the classifier; ValueError if it has fewer."""
        n = classifier.n_classes
        if self.top_k is None:
            return self.replaced(top_k=min(_TOP_K, n))
        require(self.top_k <= n, "top_k", self.top_k, f"a whole number from 1 to {n}, the labels")
        return self

    def is_blind(
        self, classifier: OpenedClassifier, prediction: Prediction, maps: ActivationMaps
    ) -> tf.Tensor:
        """(b, K) bool: whether the negative maps are zero everywhere."""
        return is_zero(self.evidence(classifier, prediction, maps).negative_maps)

    def widened(self, k_max: int | None) -> Rule:
        """The rule with the largest K that `calibrate` tries."""
        return self.replaced(top_k=check_integer("k_max", _K_MAX if k_max is None else k_max, 1))

    def benign_answers(
        self, classifier: OpenedClassifier, prediction: Prediction, maps: ActivationMaps
    ) -> dict[str, tf.Tensor]:
        """`rank_shifts`, `areas` and `is_blind` (b, K) for every K up to `top_k`."""
        evidence = self.evidence(classifier, prediction, maps)
        shifts, areas = rank_shifts(classifier, prediction, evidence, fill=self.fill)
        blind = is_zero(evidence.negative_maps)
        return {"rank_shifts": shifts, "areas": areas, "is_blind": blind}

    def calibrate(
        self, answers: Answers, target_fpr: float, n_classes: int, groups: Groups | None = None
    ) -> Calibration:
        """Chooses K and the rank threshold, see `choose_thresholds`."""
        return choose_thresholds(
            answers["rank_shifts"],
            answers["areas"],
            target_fpr=target_fpr,
            n_classes=n_classes,
            groups=groups,
        )

    def calibrated(self, calibration: Calibration) -> Rule:
        """The rule with the K that a calibration found."""
        return self.replaced(top_k=cast(RankCalibration, calibration).top_k)

    def check_threshold(self, value: float, n_classes: int) -> float:
        """The threshold as a float; ValueError unless it is a number of ranks."""
        largest = n_classes - 2
        in_range = isinstance(value, numbers.Real) and float(value) in range(largest + 1)
        expected = f"a whole number from 0 to {largest}: beyond it nothing is ever flagged"
        require(in_range, self.threshold_name, value, expected)
        return float(value)

    def explain(self, detection: Detection, **about: Any) -> Explanation:
        """See `Rule.explain`; with the labels that are held down."""
        return PaperExplanation.of(detection, **about)

    def __str__(self) -> str:
        """The settings that `calibrate` leaves alone."""
        return f"Paper(fill={type(self.fill).__name__})"

    def evidence(
        self, classifier: OpenedClassifier, prediction: Prediction, maps: ActivationMaps
    ) -> Evidence:
        """Steps 3 to 5, see `gather_evidence`; of all labels if there are fewer than `top_k`."""
        top_k = min(self.top_k or _TOP_K, classifier.n_classes)
        return gather_evidence(classifier, prediction, maps, fill=self.fill, top_k=top_k)


def gather_evidence(
    classifier: OpenedClassifier,
    prediction: Prediction,
    maps: ActivationMaps,
    *,
    fill: Fill,
    top_k: int,
) -> Evidence:
    """Steps 3 to 5: which labels the critical region holds down, and from where.

    Args:
        classifier: see `open_classifier`.
        prediction: steps 1 and 2.
        maps: makes the negative maps.
        fill: what is painted into the critical region.
        top_k: K, 1..n.
    """
    images = prediction.images
    # 3  fill the critical region
    filled = fill_region(images, prediction.critical_region, fill.pattern(images))
    # 4  which logits increase
    filled_logits = classifier.logits(filled)
    top_labels, increases = largest_increases(prediction.logits, filled_logits, top_k)
    # 5  what speaks against those labels in the original image
    negative = tf.nn.relu(-maps.of(tf.one_hot(tf.transpose(top_labels), classifier.n_classes)))
    regions = maps.regions(negative)
    return Evidence(filled, filled_logits, top_labels, increases, negative, regions)


def rank_shifts(
    classifier: OpenedClassifier, prediction: Prediction, evidence: Evidence, *, fill: Fill
) -> tuple[tf.Tensor, tf.Tensor]:
    """Steps 6 to 8 for every K up to that of the evidence, by a running intersection.

    A row is run through the classifier again only for those K at which its region changes.

    Args:
        classifier: see `open_classifier`.
        prediction: steps 1 and 2.
        evidence: of K labels.
        fill: what is painted into a region.

    Returns:
        Rank shifts (b, K) int32 and the share of the image that each tainted region covers (b, K)
        float32 in [0, 1]: column k - 1 is what `detect` finds with top_k = k.

    Source: section VI-B, the search over K.
    """
    images, label = prediction.images, prediction.label
    pattern = fill.pattern(images)

    def next_label(
        state: tuple[tf.Tensor, tf.Tensor], negative: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        region, logits = state
        smaller = region & negative
        is_empty = ~tf.reduce_any(smaller, axis=(1, 2))
        changed = tf.reduce_any(smaller != region, axis=(1, 2)) & ~is_empty
        known = tf.where(is_empty[:, None], prediction.logits, logits)
        cleaned = fill_region(images, smaller, pattern)
        return smaller, rerun(classifier.logits, cleaned, rows=changed, otherwise=known)

    everything = tf.ones_like(prediction.critical_region)
    blank = classifier.logits(fill_region(images, everything, pattern))
    regions, logits = tf.scan(
        next_label, tf.transpose(evidence.negative_regions, (1, 0, 2, 3)), (everything, blank)
    )
    ranks = tf.map_fn(lambda z: rank_of(z, label), logits, fn_output_signature=tf.int32)
    areas = tf.reduce_mean(tf.cast(regions, tf.float32), axis=(2, 3))
    return tf.transpose(ranks), tf.transpose(areas)


def rerun(
    logits_of: Callable[[tf.Tensor], tf.Tensor],
    images: tf.Tensor,
    *,
    rows: tf.Tensor,
    otherwise: tf.Tensor,
) -> tf.Tensor:
    """The logits of those images for which `rows` (b,) holds; `otherwise` (b, n) for the rest."""
    index = tf.where(rows)
    return tf.cond(
        tf.size(index) > 0,
        lambda: tf.tensor_scatter_nd_update(
            otherwise, index, logits_of(tf.gather_nd(images, index))
        ),
        lambda: otherwise,
    )


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class PaperExplanation(Explanation):
    """Every intermediate result of Figure 2, of variant "paper", for one image.

    Attributes:
        filled_image: (H, W, c) float32, the image with its critical region filled.
        filled_logits: (n,) float32.
        top_labels: (K,) int32, the labels that gain most by it, largest gain first.
        logit_increases: (K,) float32.
        negative_maps: (K, h, w) float32, >= 0.
        negative_regions: (K, H, W) bool.
    """

    filled_image: npt.NDArray[np.float32]
    filled_logits: npt.NDArray[np.float32]
    top_labels: npt.NDArray[np.int32]
    logit_increases: npt.NDArray[np.float32]
    negative_maps: npt.NDArray[np.float32]
    negative_regions: npt.NDArray[np.bool_]

    def _way(self) -> list[Panel]:
        shown = range(min(_NEGATIVES_SHOWN, len(self.top_labels)))
        return [
            (self.filled_image, f"filled\n{self._answer(self.filled_logits)}", None),
            *((self.image, self._negative_title(i), self.negative_regions[i]) for i in shown),
        ]

    def _negative_title(self, i: int) -> str:
        name = self.name_of(int(self.top_labels[i]))
        return f"holds down\n{name} ({self.logit_increases[i]:+.1f})"

    def _region_title(self) -> str:
        return f"intersection of {len(self.top_labels)}\n{self.tainted_region.mean():.1%} of image"

    def _fall(self) -> str:
        return self._ranks()
