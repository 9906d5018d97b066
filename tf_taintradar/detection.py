"""The algorithm: Figure 2 of the paper, top to bottom.

b images (H, W, c), n labels, K labels that take part, feature map (h, w, channels).
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tf_taintradar.cam import binarize, class_activation_map, intersect, trace_head, upsample
from tf_taintradar.classifier import OpenedClassifier
from tf_taintradar.fills import Fill, fill_region
from tf_taintradar.ranks import largest_increases, rank_of


class Evidence(NamedTuple):
    """What steps 1 to 5 find: which labels the critical region holds down, and from where.

    Attributes:
        images: (b, H, W, c) float32, raw pixels 0..255.
        logits: (b, n) float32.
        label: (b,) int32, the predicted label.
        critical_map: (b, h, w) float32, >= 0: what supports the label or suppresses the others.
        critical_region: (b, H, W) bool.
        filled_images: (b, H, W, c) float32, the images with their critical region filled.
        filled_logits: (b, n) float32.
        top_labels: (b, K) int32, the labels that gain most by it, largest gain first.
        logit_increases: (b, K) float32, their gains.
        negative_maps: (b, K, h, w) float32, >= 0: what speaks against each of them.
        negative_regions: (b, K, H, W) bool; the whole image where the map is zero everywhere.
    """

    images: tf.Tensor
    logits: tf.Tensor
    label: tf.Tensor
    critical_map: tf.Tensor
    critical_region: tf.Tensor
    filled_images: tf.Tensor
    filled_logits: tf.Tensor
    top_labels: tf.Tensor
    logit_increases: tf.Tensor
    negative_maps: tf.Tensor
    negative_regions: tf.Tensor


class Detection(NamedTuple):
    """What the detector finds on each image; the threshold is not part of it.

    Attributes:
        evidence: the intermediate results of steps 1 to 5.
        tainted_region: (b, H, W) bool, the region that holds all K labels down.
        cleaned_images: (b, H, W, c) float32, the images with the tainted region filled.
        cleaned_logits: (b, n) float32.
        recovered_label: (b,) int32, the label predicted for the cleaned images.
        rank_shift: (b,) int32, >= 0: how many labels overtake the predicted one.
        score: (b,) float32, what a threshold is compared with, larger is more suspicious: here the
            rank shift.
    """

    evidence: Evidence
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
    fill: Fill,
    top_k: int = 9,
    temperature: float = 2.0,
    map_threshold: float = 0.15,
) -> Detection:
    """Finds the region that suppresses the other labels, and how far the label falls without it.

    No row depends on another row of the batch.

    Args:
        classifier: see `open_classifier`.
        images: (b, H, W, c) float32, raw pixels 0..255.
        fill: what is painted into a region.
        top_k: K, how many of the labels that gain most take part, 1..n.
        temperature: T > 0 of Eq. 3; above 1 it keeps the gradient from vanishing on sure labels.
        map_threshold: where a region ends, as a fraction of its map's maximum, in (0, 1].

    Returns:
        The detection of each image.

    Source: Figure 2, steps 1 to 8; step 9, the decision, is the caller's: score > threshold.
    """
    evidence = gather_evidence(
        classifier,
        images,
        fill=fill,
        top_k=top_k,
        temperature=temperature,
        map_threshold=map_threshold,
    )
    # 6  the region that holds all of them down
    tainted = intersect(evidence.negative_regions)
    # 7  fill it in the original image
    cleaned = fill_region(images, tainted, fill.pattern(images))
    # 8  how far the label falls
    is_filled = tf.reduce_any(tainted, axis=(1, 2))
    logits = _rerun(classifier.logits, cleaned, rows=is_filled, otherwise=evidence.logits)
    rank_shift = rank_of(logits, evidence.label)
    return Detection(
        evidence=evidence,
        tainted_region=tainted,
        cleaned_images=cleaned,
        cleaned_logits=logits,
        recovered_label=tf.argmax(logits, axis=-1, output_type=tf.int32),
        rank_shift=rank_shift,
        score=tf.cast(rank_shift, tf.float32),
    )


def gather_evidence(
    classifier: OpenedClassifier,
    images: tf.Tensor,
    *,
    fill: Fill,
    top_k: int,
    temperature: float,
    map_threshold: float,
) -> Evidence:
    """Steps 1 to 5 of `detect`, which has the same arguments."""
    size = classifier.input_shape[:2]
    n_classes = classifier.n_classes
    # 1  forward
    features = classifier.features(images)
    logits, channel_weights = trace_head(classifier.head, features)
    label = tf.argmax(logits, axis=-1, output_type=tf.int32)
    # 2  critical region: the gradient of log softmax(Z / T) at the label, Eq. 3
    pull = (tf.one_hot(label, n_classes) - tf.nn.softmax(logits / temperature)) / temperature
    critical = tf.nn.relu(class_activation_map(features, channel_weights(pull[None])))
    critical_region = binarize(upsample(critical, size), map_threshold)[:, 0]
    # 3  fill it
    filled = fill_region(images, critical_region, fill.pattern(images))
    # 4  which logits increase
    filled_logits = classifier.logits(filled)
    top_labels, increases = largest_increases(logits, filled_logits, top_k)
    # 5  what speaks against those labels in the original image
    one_hots = tf.one_hot(tf.transpose(top_labels), n_classes)
    negative = tf.nn.relu(-class_activation_map(features, channel_weights(one_hots)))
    negative_regions = binarize(upsample(negative, size), map_threshold)
    return Evidence(
        images=images,
        logits=logits,
        label=label,
        critical_map=critical[:, 0],
        critical_region=critical_region,
        filled_images=filled,
        filled_logits=filled_logits,
        top_labels=top_labels,
        logit_increases=increases,
        negative_maps=negative,
        negative_regions=negative_regions,
    )


def rank_shifts(
    classifier: OpenedClassifier, evidence: Evidence, *, fill: Fill
) -> tuple[tf.Tensor, tf.Tensor]:
    """Steps 6 to 8 for every K up to that of the evidence, by a running intersection.

    A row is run through the classifier again only for those K at which its region changes.

    Args:
        classifier: see `open_classifier`.
        evidence: of K labels.
        fill: what is painted into a region.

    Returns:
        Rank shifts (b, K) int32 and the share of the image that each tainted region covers (b, K)
        float32 in [0, 1]: column k - 1 is what `detect` finds with top_k = k.

    Source: section VI-B, the search over K.
    """
    images, label = evidence.images, evidence.label
    pattern = fill.pattern(images)

    def next_label(
        state: tuple[tf.Tensor, tf.Tensor], negative: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        region, logits = state
        smaller = region & negative
        is_empty = ~tf.reduce_any(smaller, axis=(1, 2))
        changed = tf.reduce_any(smaller != region, axis=(1, 2)) & ~is_empty
        known = tf.where(is_empty[:, None], evidence.logits, logits)
        cleaned = fill_region(images, smaller, pattern)
        return smaller, _rerun(classifier.logits, cleaned, rows=changed, otherwise=known)

    everything = tf.ones_like(evidence.critical_region)
    blank = classifier.logits(fill_region(images, everything, pattern))
    regions, logits = tf.scan(
        next_label, tf.transpose(evidence.negative_regions, (1, 0, 2, 3)), (everything, blank)
    )
    ranks = tf.map_fn(lambda z: rank_of(z, label), logits, fn_output_signature=tf.int32)
    areas = tf.reduce_mean(tf.cast(regions, tf.float32), axis=(2, 3))
    return tf.transpose(ranks), tf.transpose(areas)


def _rerun(
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
