"""The goal of an attack: its target labels, and its loss."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.attacks.pasting import Pose
from tf_taintradar.detection.ranks import own_and_others
from tf_taintradar.support.checks import check_integer

Target: TypeAlias = "int | npt.NDArray[np.int32] | None"
"""The label that an attacker wants, one for each image, or None: any but the clean image's."""


TargetClass: TypeAlias = int | Sequence[int] | npt.NDArray[np.integer[Any]] | None
"""A target as attacks take it: a label, one for each image, or None: any but the clean one's."""


def check_target_class(target_class: TargetClass, n_classes: int) -> Target:
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
    given = cast(Sequence[int], target_class)
    labels = [check_integer("target_class", label, 0, n_classes) for label in given]
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
    """The inputs of an attack's objective at one step, for b images.

    Attributes:
        images: (b, H, W, c) float32 raw pixels, 0..255, with their patches.
        labels: (b,) int32, the targets; without a target, the labels of the clean images.
        step: () int32, number of the step, from 0.
        pose: position and appearance of the patches, see `Pasting.draw`.
    """

    images: tf.Tensor
    labels: tf.Tensor
    step: tf.Tensor
    pose: Pose


def target_loss(
    logits: tf.Tensor, labels: tf.Tensor, *, is_targeted: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """The loss that an attacker minimizes, and the probability of the attacker's goal.

    Args:
        logits: (b, n) float32.
        labels: (b,) int32, the targets; without a target, the labels of the clean images.
        is_targeted: whether the attacker wants these labels; otherwise any label but these.

    Returns:
        (b,) float32, the cross-entropy of the target; without a target, the log-odds of the clean
        image's label, whose gradient does not vanish where the classifier is confident. And (b,)
        float32, the probability of the target, or of all labels but the clean image's.
    """
    of_label = tf.gather(tf.nn.softmax(logits), labels, batch_dims=1)
    if is_targeted:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits), of_label
    own, others = own_and_others(logits, labels)
    return own - tf.reduce_logsumexp(others, axis=-1), 1 - of_label
