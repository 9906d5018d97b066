"""What no patch and no glasses can do to a detector that paints over windows of pixels.

n images (H, W, c), k labels, v windows.
"""

from typing import NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.attacks.goal import Target, TargetClass, check_target_class, wanted_labels
from tf_taintradar.classifier.graph import compiled
from tf_taintradar.detection.covering import CoveringRule, logits_under
from tf_taintradar.detection.pipeline import over_batches
from tf_taintradar.errors import NO_THRESHOLD, NotCalibratedError
from tf_taintradar.images.pixels import ImagesLike, as_pixels
from tf_taintradar.model import TaintRadarModel

RUNNER_UP = "runner-up"
"""As a target: the label that comes second on each clean image."""

_Goal: TypeAlias = "Target | str"
_ROUNDING = 1e-3  # nats by which the same image may score differently in another batch
_BATCH = 32


def certify(
    radar: TaintRadarModel,
    images: ImagesLike,
    painted: ImagesLike | None = None,
    target_class: TargetClass | str = None,
    batch_size: int = _BATCH,
) -> npt.NDArray[np.bool_]:
    """Tells on which images every patch fails or is flagged.

    A window that covers the patch leaves nothing of it: under that window, the classifier answers
    what it answers for the clean image. No pixels of the patch can change what the attacker's label
    lacks there, or how strong another label is. If either alone puts the score above the threshold,
    no patch passes. This holds against attackers who know everything.

    Args:
        radar: a detector of variant "cover", or of "bands" for faces, with a threshold.
        images: (n, H, W, c) raw RGB pixels, 0..255, clean.
        painted: (n, H, W), nonzero where the attacker may paint, as in `AttackResult.painted`.
            None: any one place of the attacker's choice; with "cover" a patch that is no larger,
            down and across, than the rule's `largest_patch`, with "bands" anything worn within one
            band. Since the window that covers it is not known, each of them must stop it.
        target_class: the label that the attacker wants, or one for each image; "runner-up": the
            second label of each clean image; None: any label but the clean image's.
        batch_size: the number of images computed at once.

    Returns:
        (n,) bool, false also where no window covers all painted pixels.

    Raises:
        NotCalibratedError: the detector has no threshold.
        ImageError: `images` are not raw pixels of the classifier's input shape.
        ValueError: the detector is of another variant, or another argument does not fit.

    Source: certified detection, as in Xiang et al., "PatchCleanser", USENIX Security 2022, with
    a calibrated score in place of a change of the label.
    """
    target = _check_target(target_class, radar)
    return _look(radar, images, painted, batch_size).against(target)


class Certainty(NamedTuple):
    """The share of images on which every patch fails or is flagged; see `certainty`.

    Attributes:
        n_images: number of images.
        target: share of them, for the `target_class`; None without one.
        runner_up: the same, for the second label of each clean image.
        any_label: the same for attackers who want any label but the clean image's.
    """

    n_images: int
    target: float | None
    runner_up: float
    any_label: float

    def __str__(self) -> str:
        """The shares in words."""
        target = "" if self.target is None else f"{self.target:.0%} for the target, "
        return (
            f"no patch passes on {target}{self.runner_up:.0%} for the runner-up and "
            f"{self.any_label:.0%} for any label, of {self.n_images} images"
        )


def certainty(
    radar: TaintRadarModel,
    images: ImagesLike,
    painted: ImagesLike | None = None,
    target_class: TargetClass | str = None,
    batch_size: int = _BATCH,
) -> Certainty:
    """Tells on how many images every patch fails or is flagged, for three goals at once.

    Arguments and errors are those of `certify`. Take benign images that the detector was not
    calibrated on and that the classifier gets right.
    """
    target = _check_target(target_class, radar)
    found = _look(radar, images, painted, batch_size)
    return Certainty(
        n_images=len(found.clean_logits),
        target=None if target is None else float(found.against(target).mean()),
        runner_up=float(found.against(RUNNER_UP).mean()),
        any_label=float(found.against(None).mean()),
    )


class _Certain(NamedTuple):
    """For which labels nothing passes.

    Attributes:
        clean_logits: (n, k) float32, of the clean images.
        is_certain: (n, k) bool, whether every attack for that label is stopped.
    """

    clean_logits: npt.NDArray[np.float32]
    is_certain: npt.NDArray[np.bool_]

    def against(self, target: _Goal) -> npt.NDArray[np.bool_]:
        """Whether nothing passes (n,) bool; see `target_class` of `certify`."""
        order = np.argsort(-self.clean_logits, axis=1, kind="stable")
        rows = np.arange(len(order))
        if target is None:
            is_clean = np.arange(order.shape[1]) == order[:, :1]
            return (self.is_certain | is_clean).all(axis=1)
        if isinstance(target, str):
            return self.is_certain[rows, order[:, 1]]
        return self.is_certain[rows, wanted_labels(target, order[:, 0].astype(np.int32))]


def _check_target(target_class: TargetClass | str, radar: TaintRadarModel) -> _Goal:
    if isinstance(target_class, str) and target_class == RUNNER_UP:
        return RUNNER_UP
    return check_target_class(cast(TargetClass, target_class), radar.opened.n_classes)


def _look(
    radar: TaintRadarModel, images: ImagesLike, painted: ImagesLike | None, batch_size: int
) -> _Certain:
    """What can be said of these images for certain; the arguments are those of `certify`."""
    classifier, shape = radar.opened, radar.opened.input_shape
    windows = radar.rule.covering_windows(shape[:2])
    if windows is None:
        raise ValueError(
            "`radar` must have a rule with covering windows: variant 'cover', or 'bands' for "
            f"faces. Received: variant {radar.variant!r}, which has none."
        )
    if radar.threshold is None:
        raise NotCalibratedError(NO_THRESHOLD)
    pixels = as_pixels(images, shape)
    covered = None if painted is None else _covered(painted, pixels.shape[:3], windows)
    rule = cast(CoveringRule, radar.rule)
    level = radar.threshold + _ROUNDING * rule.nat

    def step(images: tf.Tensor) -> dict[str, tf.Tensor]:
        under = logits_under(classifier, images, rule.sides(shape[:2]))
        is_certain = rule.least_scores(under) > level  # (b, v, k)
        return {"logits": classifier.logits(images), "is_certain": is_certain}

    bar = {"batch_size": batch_size, "verbose": 0}
    found = over_batches(compiled(step, shape), pixels, shape, **bar)
    is_certain = found["is_certain"]
    if covered is None:
        return _Certain(found["logits"], np.all(is_certain, axis=1))
    return _Certain(found["logits"], np.any(is_certain & covered[..., None], axis=1))


def _covered(
    painted: ImagesLike, shape: tuple[int, ...], windows: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Which windows (v, H, W) cover all that is painted (n, H, W): (n, v) bool."""
    places = np.asarray(painted) != 0
    if places.shape != shape:
        raise ValueError(
            f"`painted` must have shape {shape}, as the images. Received: {places.shape}."
        )
    return np.stack([~(place & ~windows).any(axis=(1, 2)) for place in places])
