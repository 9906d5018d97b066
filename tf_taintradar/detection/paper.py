"""The paper's way of removing and deciding: fill what holds K other labels down, and look again.

b images (H, W, c), n labels, K labels that take part, feature map (h, w, channels).
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tf_taintradar.classifier.opened import OpenedClassifier
from tf_taintradar.detection.cam import ChannelWeights, binarize, class_activation_map, upsample
from tf_taintradar.detection.critical import Sight
from tf_taintradar.detection.ranks import largest_increases, rank_of
from tf_taintradar.detection.regions import Slope, fill_region
from tf_taintradar.fills import Fill


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


def gather_evidence(
    classifier: OpenedClassifier,
    sight: Sight,
    channel_weights: ChannelWeights,
    *,
    fill: Fill,
    top_k: int,
    map_threshold: float,
    slope: Slope = None,
) -> Evidence:
    """Steps 3 to 5 of `detect`, which has the same arguments; the first ones are from `look`."""
    # 3  fill the critical region
    filled = fill_region(sight.images, sight.critical_region, fill.pattern(sight.images))
    # 4  which logits increase
    filled_logits = classifier.logits(filled)
    top_labels, increases = largest_increases(sight.logits, filled_logits, top_k)
    # 5  what speaks against those labels in the original image
    one_hots = tf.one_hot(tf.transpose(top_labels), classifier.n_classes)
    negative = tf.nn.relu(-class_activation_map(sight.features, channel_weights(one_hots)))
    regions = binarize(upsample(negative, classifier.input_shape[:2]), map_threshold, slope)
    return Evidence(filled, filled_logits, top_labels, increases, negative, regions)


def rank_shifts(
    classifier: OpenedClassifier, sight: Sight, evidence: Evidence, *, fill: Fill
) -> tuple[tf.Tensor, tf.Tensor]:
    """Steps 6 to 8 for every K up to that of the evidence, by a running intersection.

    A row is run through the classifier again only for those K at which its region changes.

    Args:
        classifier: see `open_classifier`.
        sight: steps 1 and 2.
        evidence: of K labels.
        fill: what is painted into a region.

    Returns:
        Rank shifts (b, K) int32 and the share of the image that each tainted region covers (b, K)
        float32 in [0, 1]: column k - 1 is what `detect` finds with top_k = k.

    Source: section VI-B, the search over K.
    """
    images, label = sight.images, sight.label
    pattern = fill.pattern(images)

    def next_label(
        state: tuple[tf.Tensor, tf.Tensor], negative: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        region, logits = state
        smaller = region & negative
        is_empty = ~tf.reduce_any(smaller, axis=(1, 2))
        changed = tf.reduce_any(smaller != region, axis=(1, 2)) & ~is_empty
        known = tf.where(is_empty[:, None], sight.logits, logits)
        cleaned = fill_region(images, smaller, pattern)
        return smaller, rerun(classifier.logits, cleaned, rows=changed, otherwise=known)

    everything = tf.ones_like(sight.critical_region)
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
