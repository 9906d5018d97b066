"""What the most critical cells of each depth say, and the score that it makes.

b images (H, W, c), n labels, d depths.
"""

from typing import NamedTuple

import tensorflow as tf

from tf_taintradar.detection.critical import Prediction
from tf_taintradar.detection.ranks import mean_of_largest
from tf_taintradar.detection.regions import is_inside

KINDS = ("fall", "lack", "stir", "peak")
"""What a depth says; see `Testimony`."""

_WEIGHT = 0.9  # of stirs and peaks, which attackers can keep quiet
_TWO = 2  # depths that make a kind: one of three may be blind


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


def silence(prediction: Prediction) -> Testimony:
    """The testimony of no depth at all (d = 0)."""
    logits, region = prediction.logits, is_inside(prediction.critical_region)
    none = logits[:, :0]
    return Testimony(
        regions=region[:, tf.newaxis][:, :0],
        removed_logits=logits[:, tf.newaxis][:, :0],
        falls=none,
        lacks=none,
        stirs=none,
        peaks=none,
        scaled=tf.tile(none[:, tf.newaxis], (1, len(KINDS), 1)),
    )


def all_numbers(found: Testimony) -> tf.Tensor:
    """All four of all depths (b, 4 d), kind by kind."""
    return tf.concat((found.falls, found.lacks, found.stirs, found.peaks), axis=1)


def combine(scaled: tf.Tensor) -> tf.Tensor:
    """The score: the strongest of three kinds of evidence, or half of all together.

    A kind is the mean of its two largest depths; the label's is the larger of fall and lack. What
    attackers can keep quiet, the stir and the peak, counts a little less.

    Args:
        scaled: (b, 4, d) float32, see `Testimony`.

    Returns:
        (b,) float32.
    """
    return tf.reduce_max(reasons(scaled), axis=-1)


def deciding(found: Testimony) -> tuple[tf.Tensor, tf.Tensor]:
    """The removal whose fall or lack is furthest out: its region (b, H, W) and logits (b, n)."""
    furthest = tf.reduce_max(found.scaled[:, :2], axis=1)
    depth = tf.argmax(furthest, axis=-1, output_type=tf.int32)
    region = tf.gather(found.regions, depth, batch_dims=1)
    return region, tf.gather(found.removed_logits, depth, batch_dims=1)


def reasons(scaled: tf.Tensor) -> tf.Tensor:
    """What the score is the largest of (b, 5): fall, lack, stir, peak, all; see `combine`."""
    fall, lack, stir, peak = tf.unstack(kind_of(scaled), axis=1)
    every = (tf.maximum(fall, lack) + stir + peak) / 2
    return tf.stack([fall, lack, _WEIGHT * stir, _WEIGHT * peak, _WEIGHT * every], axis=-1)


def kind_of(values: tf.Tensor) -> tf.Tensor:
    """What several depths (..., d) say together: the mean of the two largest (...)."""
    return mean_of_largest(values, _TWO)
