"""What no patch can do to a detector of variant "cover", whatever its pixels."""

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.attacks.goal import check_target_class, wanted_labels
from tf_taintradar.detection.cover import CoverExplanation
from tf_taintradar.detection.ranks import strength
from tf_taintradar.errors import NO_THRESHOLD, NotCalibratedError
from tf_taintradar.images.pixels import as_pixels
from tf_taintradar.model import TaintRadarModel

_ROUNDING = 1e-3  # nats by which the same image may score differently in another batch


def certify(
    radar: TaintRadarModel, images: npt.ArrayLike, painted: npt.ArrayLike, target_class: Any = None
) -> npt.NDArray[np.bool_]:
    """On which images every patch at a given place fails or is flagged.

    A window that covers the patch leaves nothing of it: the classifier then answers what it answers
    for the clean image under that window, where the attacker's label may lack so much that no
    pixels of the patch can bring the score below the threshold. This holds against attackers who
    know everything; it says nothing of other places and other targets.

    Args:
        radar: a detector of variant "cover", with a threshold.
        images: (n, H, W, c) raw RGB pixels, 0..255, clean.
        painted: (n, H, W) where the attacker may paint, not 0, as `AttackResult.painted` has it.
        target_class: the label that the attacker wants, or one for each image; None: any but the
            clean image's.

    Returns:
        (n,) bool. False where no window covers all that is painted.

    Raises:
        NotCalibratedError: the detector has no threshold.
        ImageError: `images` are not raw pixels of the classifier's input shape.
        ValueError: the detector is of another variant, or another argument does not fit.

    Source: certified detection, as in Xiang et al., "PatchCleanser", USENIX Security 2022, with
    a calibrated score in place of a change of the label.
    """
    windows = radar.rule.covering_windows(radar.opened.input_shape[:2])
    if windows is None:
        raise ValueError(
            "`radar` must have a rule with covering windows, such as variant 'cover'. Received: "
            f"variant {radar.variant!r}, of which nothing can be said for certain."
        )
    if radar.threshold is None:
        raise NotCalibratedError(NO_THRESHOLD)
    pixels = as_pixels(images, radar.opened.input_shape)
    places = np.asarray(painted) != 0
    if places.shape != pixels.shape[:3]:
        raise ValueError(
            f"`painted` must have shape {pixels.shape[:3]}, as the images. Received: "
            f"{places.shape}."
        )
    found = [cast(CoverExplanation, radar.explain(image)) for image in pixels]
    clean = np.array([one.label for one in found], np.int32)
    target = check_target_class(target_class, radar.opened.n_classes)
    wanted = wanted_labels(target, clean)
    is_covered = ~(places[:, None] & ~windows).any(axis=(2, 3))
    lacks = np.stack([_lacks(one.covered_logits) for one in found])  # (n, windows, labels)
    surest = np.where(is_covered[..., None], lacks, -np.inf).max(axis=1)
    is_certain = surest > radar.threshold + _ROUNDING
    rows = np.arange(len(found))
    if target is not None:
        return is_certain[rows, wanted]
    is_certain[rows, clean] = True
    return is_certain.all(axis=1)


def _lacks(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What each label lacks (windows, labels) under each window, of logits of that shape."""
    labels = tf.range(logits.shape[-1])
    every = tf.repeat(tf.constant(logits)[tf.newaxis], len(labels), axis=0)
    return -strength(every, labels).numpy().T
