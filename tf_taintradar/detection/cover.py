"""Variant "cover": windows painted over one after another, whatever the critical map says.

An attacker who knows the detector draws the critical map elsewhere, and moves the evidence into
cells that stay. Nobody can do so here: the windows' places are fixed, one of them covers whatever
patch, and what is painted over is gone from the pixels. Under that window the classifier answers
what it would answer without any patch, so what the attacker's label has there can be computed
without attacking; see `attacks.certify`.

b images (H, W, c), n labels, v windows.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.classifier.opened import OpenedClassifier
from tf_taintradar.detection.occlusion import (
    Occlusions,
    average_outside,
    deepest,
    strength,
    worst_falls,
)
from tf_taintradar.detection.regions import Slope, fill_region

LARGEST_PATCH = 0.3
"""The side of the largest patch that is covered for certain, as a fraction of the image's sides."""

_PER_SIDE = 4  # windows down, and across


class Covers(NamedTuple):
    """What happens to the label without windows of cells, and under windows of pixels.

    Attributes:
        windows, window_logits, falls, strength: see `Occlusions`.
        covered_logits: (b, v, n) float32, the logits with each window painted over.
        lacks: (b, v) float32, what the label lacks then of being certain, in nats: the negative
            `strength`.
    """

    windows: tf.Tensor
    window_logits: tf.Tensor
    falls: tf.Tensor
    strength: tf.Tensor
    covered_logits: tf.Tensor
    lacks: tf.Tensor


def cover(
    classifier: OpenedClassifier,
    images: tf.Tensor,
    label: tf.Tensor,
    found: Occlusions,
    slope: Slope = None,
) -> Covers:
    """Paints over each of the covering windows in turn, and asks the classifier again.

    Args:
        classifier: see `open_classifier`.
        images: (b, H, W, c) float32, raw pixels 0..255.
        label: (b,) int32, the predicted labels.
        found: what the windows of the feature map say.
        slope: for attackers: with one, gradients pass the window under which the label lacks most.
            The score needs no others, and they would cost as many backward passes.

    Returns:
        That, and what the label lacks under each window. The mean colour outside a window takes
        its place: it holds nothing of what is under it.
    """
    sides = tuple(map(tf.constant, _sides(classifier.input_shape[:2])))

    def under(window: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        region = _region(*window)  # of all images, or of each its own
        return classifier.logits(fill_region(images, region, average_outside(images, region)))

    # one window at a time: all of them at once would take as many times the memory
    of_window = tf.TensorSpec((None, classifier.n_classes), tf.float32)
    logits = tf.map_fn(under, sides, parallel_iterations=1, fn_output_signature=of_window)
    logits = tf.transpose(logits, (1, 0, 2))
    if slope is not None:
        logits = tf.stop_gradient(logits)
        worst = tf.argmax(-strength(logits, label), axis=-1)
        again = under(tuple(tf.gather(side, worst) for side in sides))
        is_worst = tf.one_hot(worst, logits.shape[1], True, False, dtype=tf.bool)
        logits = tf.where(is_worst[..., tf.newaxis], again[:, tf.newaxis], logits)
    return Covers(*found, logits, -strength(logits, label))


def covering_windows(size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """The windows, so placed that each patch of `LARGEST_PATCH` lies within one of them.

    Args:
        size: (H, W) of the images.

    Returns:
        (v, H, W) bool, rectangles of pixels, row by row; 16, fewer on an image of a few pixels.

    Source: the covering masks of Xiang et al., "PatchCleanser", USENIX Security 2022.
    """
    rows, columns = _sides(size)
    return rows[:, :, None] & columns[:, None]


def covered_score(found: Covers) -> tf.Tensor:
    """The score of variant "cover", in nats: the larger of two.

    What the label lacks under the window where it lacks most, which no attacker can lower; and the
    score of variant "occlusion", which finds patches that no window covers, too. Unlike a fall,
    what a label lacks does not grow with what it had: benign images that the classifier is sure of
    may lose much of it and still lead.

    Args:
        found: of b images.

    Returns:
        (b,) float32.
    """
    return tf.maximum(worst_falls(found.falls), tf.reduce_max(found.lacks, axis=-1))


def decisive(found: Covers, size: tuple[int, int]) -> tuple[tf.Tensor, tf.Tensor]:
    """The window that makes the score, of pixels or of cells.

    Args:
        found: of b images.
        size: (H, W) of the images.

    Returns:
        (b, H, W) bool, the part of the image that belongs to it, and the logits (b, n) without it.
    """
    worst = tf.argmax(found.lacks, axis=-1, output_type=tf.int32)
    is_covered = tf.reduce_max(found.lacks, axis=-1) >= covered_score(found)
    region, logits = deepest(Occlusions(*found[: len(Occlusions._fields)]), size)
    covered = _region(*(tf.gather(sides, worst) for sides in _sides(size)))
    covered_logits = tf.gather(found.covered_logits, worst, batch_dims=1)
    return (
        tf.where(is_covered[:, None, None], covered, region),
        tf.where(is_covered[:, None], covered_logits, logits),
    )


def _region(rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """The windows (b, H, W) bool of rows (b, H) and columns (b, W); of a single pair b is 1."""
    region = rows[..., :, tf.newaxis] & columns[..., tf.newaxis, :]
    return tf.reshape(region, (-1, *region.shape[-2:]))


def _sides(size: tuple[int, int]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """The rows (v, H) and the columns (v, W) of each window."""
    down, across = (_stretches(length) for length in size)
    return np.repeat(down, len(across), axis=0), np.tile(across, (len(down), 1))


def _stretches(length: int) -> npt.NDArray[np.bool_]:
    """The rows or columns (4 or fewer, length) of the windows, along one axis."""
    patch = max(1, round(LARGEST_PATCH * length))
    side = patch + -(-(length - patch) // _PER_SIDE)
    starts = np.linspace(0, length - side, _PER_SIDE).round().astype(int)
    pixels, first = np.arange(length), np.unique(starts)[:, None]
    return (pixels >= first) & (pixels < first + side)
