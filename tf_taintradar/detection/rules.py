"""The algorithm: Figure 2 of the paper, top to bottom.

b images (H, W, c), n labels, K labels that take part, feature map (h, w, channels).
"""

from typing import Any, NamedTuple

import tensorflow as tf

from tf_taintradar.classifier.opened import OpenedClassifier
from tf_taintradar.detection.cover import Covers, cover, covered_score, decisive
from tf_taintradar.detection.critical import Sight, look
from tf_taintradar.detection.occlusion import (
    Occlusions,
    average_outside,
    deepest,
    lost_share,
    occlude,
    worst_falls,
)
from tf_taintradar.detection.paper import Evidence, gather_evidence, rerun
from tf_taintradar.detection.ranks import rank_of
from tf_taintradar.detection.regions import Slope, fill_region, intersect, is_inside
from tf_taintradar.fills import Fill

OCCLUSION, BANDS, COVER, PAPER = VARIANTS = ("occlusion", "bands", "cover", "paper")
"""The ways of removing and deciding; see `detect`."""


class Detection(NamedTuple):
    """What the detector finds on each image; the threshold is not part of it.

    Attributes:
        sight: steps 1 and 2, the prediction and what it rests on.
        evidence: what leads to the tainted region: steps 3 to 5 of the paper, or the windows.
        tainted_region: (b, H, W) bool, the region that is removed.
        cleaned_images: (b, H, W, c) float32, the images with the tainted region filled.
        cleaned_logits: (b, n) float32, the logits without the tainted region.
        recovered_label: (b,) int32, the label predicted without it.
        rank_shift: (b,) int32, >= 0: how many labels overtake the predicted one then.
        score: (b,) float32, what a threshold is compared with, larger is more suspicious.
    """

    sight: Sight
    evidence: Evidence | Occlusions | Covers
    tainted_region: tf.Tensor
    cleaned_images: tf.Tensor
    cleaned_logits: tf.Tensor
    recovered_label: tf.Tensor
    rank_shift: tf.Tensor
    score: tf.Tensor


def detect(
    classifier: OpenedClassifier,
    images: tf.Tensor,
    *,
    variant: str,
    fill: Fill,
    top_k: int = 9,
    temperature: float = 2.0,
    map_threshold: float = 0.15,
    slope: Slope = None,
) -> Detection:
    """Finds the region that the prediction hangs on, and how far the label falls without it.

    No row depends on another row of the batch.

    - "paper" fills, in the pixels, the intersection of what holds down each of K other labels; the
      score is the rank change.
    - "occlusion" takes the most critical window of each size out of the feature map; the score is
      the mean of the label's two deepest falls (`occlusion.worst_falls`), the tainted region the
      window without which it falls furthest. It has no use for `fill` and `top_k`.
    - "bands" does the same with windows as wide as the map, for aligned faces and what is worn on
      them; the score is the share of what the label had that it loses (`occlusion.lost_share`).
    - "cover" does what "occlusion" does, and paints over windows of pixels one after another, one
      of which covers whatever patch; the score is the larger of that one's and what the label lacks
      under the worst of them (`cover.covered_score`). It runs the classifier once more for each of
      16 windows, and is for attackers who know the detector.

    Args:
        classifier: see `open_classifier`.
        images: (b, H, W, c) float32, raw pixels 0..255.
        variant: "occlusion", "bands" or "paper".
        fill: what is painted into a region.
        top_k: K, how many of the labels that gain most take part, 1..n.
        temperature: T > 0 of Eq. 3; above 1 it keeps the gradient from vanishing on sure labels.
        map_threshold: where a region ends, as a fraction of its map's maximum, in (0, 1].
        slope: for attackers who know the detector: every answer stays the same, and gradients of
            the logits and of a score in nats or shares pass through the regions; see `regions`.

    Returns:
        The detection of each image.

    Source: Figure 2, steps 1 to 8; step 9, the decision, is the caller's: score > threshold.
    """
    # 1, 2  forward, critical region
    cut: dict[str, Any] = {"map_threshold": map_threshold, "slope": slope}
    sight, weights = look(classifier, images, temperature=temperature, **cut)
    evidence: Evidence | Occlusions | Covers
    if variant == PAPER:
        # 3, 4, 5  fill it, which logits increase, what speaks against those labels
        evidence = gather_evidence(classifier, sight, weights, fill=fill, top_k=top_k, **cut)
        # 6  the region that holds all of them down
        tainted = intersect(evidence.negative_regions)
        # 7  fill it in the original image
        cleaned = fill_region(images, tainted, fill.pattern(images))
        # 8  how far the label falls
        is_filled = tf.reduce_any(is_inside(tainted), axis=(1, 2))
        if slope is None:
            logits = rerun(classifier.logits, cleaned, rows=is_filled, otherwise=sight.logits)
        else:  # gradients need every row; the others are the original images
            logits = classifier.logits(cleaned)
        score = tf.cast(rank_of(logits, sight.label), tf.float32)
    else:
        # 3 to 7  take the most critical window of each size out of the feature map
        evidence = occlude(classifier, sight, bands=variant == BANDS, slope=slope)
        # 8  how far the label falls
        size = classifier.input_shape[:2]
        if variant == COVER:
            evidence = cover(classifier, images, sight.label, evidence, slope)
            tainted, logits = decisive(evidence, size)
            score = covered_score(evidence)
        else:
            tainted, logits = deepest(evidence, size)
            score = worst_falls(evidence.falls)
            if variant == BANDS:
                score = lost_share(evidence.falls, evidence.strength)
        cleaned = fill_region(images, tainted, average_outside(images, tainted))
    return Detection(
        sight=sight,
        evidence=evidence,
        tainted_region=is_inside(tainted),
        cleaned_images=cleaned,
        cleaned_logits=logits,
        recovered_label=tf.argmax(logits, axis=-1, output_type=tf.int32),
        rank_shift=rank_of(logits, sight.label),
        score=score,
    )
