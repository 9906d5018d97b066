"""What an attacker wants, and how far the classifier's answers are from it."""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.attacks.pasting import Pose
from tf_taintradar.detection.ranks import own_and_others
from tf_taintradar.support.checks import check_integer

Target: TypeAlias = "int | npt.NDArray[np.int32] | None"
"""What an attacker wants: a label, one for each image, or any but the clean image's."""


def check_target_class(target_class: Any, n_classes: int) -> Target:
    """The target as attacks use it: an int, an array (n,) int32 of one for each image, or None.

    Args:
        target_class: a label, a sequence of labels, or None.
        n_classes: number of the classifier's labels.

    Raises:
        ValueError: `target_class` is none of these, or a label is out of range.
    """
    if target_class is None:
        return None
    if np.ndim(target_class) == 0:
        return check_integer("target_class", target_class, 0, n_classes)
    labels = [check_integer("target_class", label, 0, n_classes) for label in target_class]
    return np.array(labels, np.int32)


def wanted_labels(target: Target, clean: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """The target (n,) int32 of each image; without a target, the image's clean label.

    Args:
        target: see `check_target_class`.
        clean: (n,) int32, the labels that the classifier gives the clean images.

    Raises:
        ValueError: there are several targets, but not one for each image.
    """
    if target is None:
        return clean
    if isinstance(target, np.ndarray) and len(target) != len(clean):
        raise ValueError(
            "`target_class` must be one label, or one for each image. "
            f"Received: {len(target)} labels for {len(clean)} images."
        )
    return np.broadcast_to(np.asarray(target, np.int32), clean.shape)


def short_target(target: Target) -> str:
    """The target as a `repr` shows it."""
    return f"array of {len(target)}" if isinstance(target, np.ndarray) else str(target)


class StepInputs(NamedTuple):
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


def target_loss(
    logits: tf.Tensor, labels: tf.Tensor, *, is_targeted: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """How far the classifier's answers are from what the attacker wants.

    Args:
        logits: (b, classes) float32.
        labels: (b,) int32, see `StepInputs`.
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
