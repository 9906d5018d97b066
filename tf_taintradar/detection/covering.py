"""Windows of pixels at fixed places, and what is seen under them: for `Cover` and `Bands`.

b images (H, W, c), n labels, v windows.
"""

import abc
import dataclasses
from collections.abc import Callable
from typing import NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.classifier.opened import OpenedClassifier
from tf_taintradar.classifier.patches import Patches
from tf_taintradar.detection.ranks import largest_of_others, strengths
from tf_taintradar.detection.regions import Slope, fill_region
from tf_taintradar.detection.scaled import ScaledRule
from tf_taintradar.detection.testimony import Testimony, deciding
from tf_taintradar.detection.windows import average_outside, grid, stretches

Sides: TypeAlias = tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]
"""The rows (v, H) and the columns (v, W) of v windows."""


@dataclasses.dataclass(frozen=True)
class CoveringRule(ScaledRule):
    """A rule that paints over windows of pixels at fixed places, so that something is certain.

    Under a window that covers all that an attacker painted, the classifier answers what it answers
    for the clean image under that window; see `attacks.certify`.
    """

    @abc.abstractmethod
    def sides(self, size: tuple[int, int]) -> Sides:
        """The rows and the columns of each window on images (H, W)."""

    @abc.abstractmethod
    def least_scores(self, logits: tf.Tensor) -> tf.Tensor:
        """The least score that an image may get, no matter which pixels it has under a window.

        Args:
            logits: (b, v, n) float32, what the classifier answers under each window.

        Returns:
            (b, v, n) float32, for each label that the image may be classified as.
        """

    @abc.abstractmethod
    def lack_bounds(self) -> npt.NDArray[np.float64]:
        """The columns (4, k) of `scales` that scale what the label lacks under windows."""

    @property
    def nat(self) -> float:
        """About what a nat of a lack is in the unit of the score."""
        if self.scales is None:
            return 1.0
        bounds = self.lack_bounds()
        return float(np.max(1 / (bounds[2] - bounds[1])))

    def covering_windows(self, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
        """The windows (v, H, W) bool on images (H, W)."""
        rows, columns = self.sides(size)
        return rows[:, :, None] & columns[:, None]


class Covers(NamedTuple):
    """What happens without the most critical cells of each depth, and under windows of pixels.

    Attributes:
        regions, removed_logits, falls, lacks, stirs, peaks, scaled: see `Testimony`.
        covered_logits: (b, v, n) float32, the logits with each window painted over.
        covered_lacks: (b, v) float32, what the label lacks then of being certain, in nats: the
            negative `strength`.
        covered_others: (b, v) float32, the `strength` of the best other label then, in nats.
        parts: (b, 3) float32, what the score is the largest of; see `Cover`. Without depths (b, 2):
            those of the windows.
    """

    regions: tf.Tensor
    removed_logits: tf.Tensor
    falls: tf.Tensor
    lacks: tf.Tensor
    stirs: tf.Tensor
    peaks: tf.Tensor
    scaled: tf.Tensor
    covered_logits: tf.Tensor
    covered_lacks: tf.Tensor
    covered_others: tf.Tensor
    parts: tf.Tensor

    @property
    def testimony(self) -> Testimony:
        """What happens without the most critical cells."""
        return Testimony(*self[: len(Testimony._fields)])


def covering_sides(size: tuple[int, int], largest_patch: float, per_side: int) -> Sides:
    """The windows, so placed that each patch of `largest_patch` lies within one of them.

    Args:
        size: (H, W) of the images.
        largest_patch: the side of the largest patch, as a fraction of the image's sides.
        per_side: how many windows lie side by side, down and across.

    Returns:
        Their sides, row by row; v is `per_side` squared, fewer on an image of a few pixels.

    Source: the covering masks of Xiang et al., "PatchCleanser", USENIX Security 2022.
    """
    return grid(*(_stretches(length, largest_patch, per_side) for length in size))


def window_of(rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """The windows (b, H, W) bool of rows (b, H) and columns (b, W); of a single pair b is 1."""
    region = rows[..., :, tf.newaxis] & columns[..., tf.newaxis, :]
    return tf.reshape(region, (-1, *region.shape[-2:]))


def logits_under(
    classifier: OpenedClassifier,
    images: tf.Tensor,
    sides: Sides,
    label: tf.Tensor | None = None,
    slope: Slope = None,
) -> tf.Tensor:
    """Paints over each of the windows in turn, and asks the classifier again.

    The mean colour outside a window takes its place: it holds nothing of what is under it. To a
    transformer that can do without, the patches of a window are not shown at all.

    Args:
        classifier: see `open_classifier`.
        images: (b, H, W, c) float32, raw pixels 0..255.
        sides: the windows.
        label: (b,) int32, the predicted labels, needed with a slope.
        slope: for attackers: with one, gradients pass the window under which the label lacks most
            and the one under which another label is strongest. The score needs no others, and they
            would cost as many backward passes.

    Returns:
        (b, v, n) float32, the logits under each window.
    """
    under = _without_patches if classifier.patches else _painted_over
    answer = under(classifier, images, sides)
    # one window at a time: all of them at once would take as many times the memory
    of_window = tf.TensorSpec((None, classifier.n_classes), tf.float32)
    every = tf.range(len(sides[0]))
    logits = tf.map_fn(answer, every, parallel_iterations=1, fn_output_signature=of_window)
    logits = tf.transpose(logits, (1, 0, 2))
    if slope is not None:
        logits = tf.stop_gradient(logits)
        for worst in (tf.argmax(seen, axis=-1) for seen in lacks_and_others(logits, label)):
            again = answer(worst)
            is_worst = tf.one_hot(worst, logits.shape[1], True, False, dtype=tf.bool)
            logits = tf.where(is_worst[..., tf.newaxis], again[:, tf.newaxis], logits)
    return logits


_Under: TypeAlias = Callable[[tf.Tensor], tf.Tensor]
"""The number of a window, () or (b,), one for each image -> the logits (b, n) under it."""


def _painted_over(classifier: OpenedClassifier, images: tf.Tensor, sides: Sides) -> _Under:
    windows = tuple(map(tf.constant, sides))

    def under(number: tf.Tensor) -> tf.Tensor:
        region = window_of(*(tf.gather(side, number) for side in windows))
        return classifier.logits(fill_region(images, region, average_outside(images, region)))

    return under


def _without_patches(classifier: OpenedClassifier, images: tf.Tensor, sides: Sides) -> _Under:
    patches = cast(Patches, classifier.patches)
    outside = tf.ragged.constant(patches.outside(*sides, images.shape[-1]), tf.int32)
    tokens = patches.tokens(images)

    def under(number: tf.Tensor) -> tf.Tensor:
        if number.shape.rank == 0:
            return patches.onwards(tf.gather(tokens, outside[number], axis=1))
        of_image = tf.TensorSpec((classifier.n_classes,), tf.float32)
        return tf.map_fn(of_one, (tokens, number), fn_output_signature=of_image)

    def of_one(given: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        return patches.onwards(tf.gather(given[0], outside[given[1]])[tf.newaxis])[0]

    return under


def under_window(logits: tf.Tensor, sides: Sides, which: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """One window for each image.

    Args:
        logits: (b, v, n) float32, see `logits_under`.
        sides: the windows.
        which: (b,) ints, the window of each image.

    Returns:
        (b, H, W) bool, the window, and the logits (b, n) under it.
    """
    region = window_of(*(tf.gather(side, which) for side in sides))
    return region, tf.gather(logits, which, batch_dims=1)


def lacks_and_others(logits: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """What each image's label lacks, and how strong the best other one is.

    Args:
        logits: (b, v, n) float32.
        label: (b,) int32.

    Returns:
        Two of (b, v) float32, in nats: the negative `strength` of the label, and the `strength` of
        the best label but it.
    """
    every = strengths(logits)
    own, others = (
        tf.gather(values, label, axis=-1, batch_dims=1)
        for values in (every, largest_of_others(every))
    )
    return -own, others


def decisive(found: Covers, sides: Sides) -> tuple[tf.Tensor, tf.Tensor]:
    """What makes the score, the worst window of pixels or cells.

    Args:
        found: of b images.
        sides: the windows of pixels.

    Returns:
        (b, H, W) bool, the part of the image that belongs to it, and the logits (b, n) without it.
    """
    part = tf.argmax(found.parts, axis=-1, output_type=tf.int32)
    without = _worst_windows(found, sides)
    if found.parts.shape[-1] > len(without):
        without = [deciding(found.testimony), *without]
    regions, logits = zip(*without, strict=True)
    return (
        tf.gather(tf.stack(regions, axis=1), part, batch_dims=1),
        tf.gather(tf.stack(logits, axis=1), part, batch_dims=1),
    )


def _worst_windows(found: Covers, sides: Sides) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """The window under which the label lacks most, and that of the strongest other label."""
    worst = [tf.argmax(seen, axis=-1) for seen in (found.covered_lacks, found.covered_others)]
    return [under_window(found.covered_logits, sides, at) for at in worst]


def _stretches(length: int, largest_patch: float, per_side: int) -> npt.NDArray[np.bool_]:
    """The rows or columns (k, length) of the windows, along one axis."""
    patch = max(1, round(largest_patch * length))
    side = patch + -(-(length - patch) // per_side)
    starts = np.linspace(0, length - side, per_side).round().astype(int)
    return stretches(length, side, np.unique(starts))
