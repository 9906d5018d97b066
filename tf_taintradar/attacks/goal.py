"""What an attack sees at one step, and how far the classifier is from what the attacker wants."""

from typing import NamedTuple

import tensorflow as tf

from tf_taintradar.attacks.pasting import Pose
from tf_taintradar.detection.ranks import own_and_others


class Shot(NamedTuple):
    """What an attack sees of b images at one step.

    Attributes:
        images: (b, H, W, c) float32 raw pixels, 0..255, patches pasted.
        labels: (b,) int32: the target; without one, what the clean images are classified as.
        step: () int32, from 0.
        pose: where and how the patches lie, see `Pasting.draw`.
    """

    images: tf.Tensor
    labels: tf.Tensor
    step: tf.Tensor
    pose: Pose


def miss(logits: tf.Tensor, labels: tf.Tensor, *, is_targeted: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """How far the classifier's answers are from what the attacker wants.

    Args:
        logits: (b, classes) float32.
        labels: (b,) int32, see `Shot`.
        is_targeted: the labels are wanted; else any but them.

    Returns:
        (b,) float32, the cross-entropy of the target; without one, the log-odds of the clean
        image's label, whose gradient does not vanish where the classifier is sure. And (b,)
        float32, the probability of the target, or that of all labels but the clean image's.
    """
    of_label = tf.gather(tf.nn.softmax(logits), labels, batch_dims=1)
    if is_targeted:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits), of_label
    own, others = own_and_others(logits, labels)
    return own - tf.reduce_logsumexp(others, axis=-1), 1 - of_label
