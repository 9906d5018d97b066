"""The rule for attackers who know the detector: windows of pixels painted over one by one.

An attacker who knows the detector draws the critical map elsewhere, and moves the evidence into
cells that stay. Nobody can do so here: the windows' places are fixed, one of them covers any
patch, and what is painted over is gone from the pixels. Under that window the classifier answers
what it would answer without any patch, so what the attacker's label has there can be computed
without attacking; see `attacks.certify`.

b images (H, W, c), n labels, v windows.
"""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.classifier.opened import OpenedClassifier
from tf_taintradar.detection.by_window import (
    WindowFalls,
    Windows,
    WindowsExplanation,
    deepest,
    worst_falls,
)
from tf_taintradar.detection.critical import ActivationMaps, Prediction
from tf_taintradar.detection.detection import Detection
from tf_taintradar.detection.explanation import Explanation, Panel
from tf_taintradar.detection.ranks import strength
from tf_taintradar.detection.regions import Slope, fill_region
from tf_taintradar.detection.rule import Rule
from tf_taintradar.detection.windows import average_outside, grid, stretches
from tf_taintradar.support.checks import check_integer, require

Sides = tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]
"""The rows (v, H) and the columns (v, W) of v windows."""


class Covers(NamedTuple):
    """What happens to the label without windows of cells, and under windows of pixels.

    Attributes:
        windows, window_logits, falls, strength: see `WindowFalls`.
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

    @property
    def occlusions(self) -> WindowFalls:
        """What happens without the windows of cells."""
        return WindowFalls(self.windows, self.window_logits, self.falls, self.strength)


@dataclasses.dataclass(frozen=True)
class Cover(Rule):
    """Paints over windows of pixels at fixed positions, one of which covers any patch.

    It does what `Windows` does as well. The score is the larger of that rule's and what the label
    lacks under the worst window, see `covered_score`. One more forward pass for each window.

    Args:
        largest_patch: the side of the largest patch that is covered for certain, as a fraction of
            the image's sides, in (0, 1).
        per_side: how many windows lie side by side, down and across, at least 1. More of them are
            smaller, and cost more.

    Raises:
        ValueError: an argument is out of range.
    """

    name = "cover"
    purpose = "for attackers who know the detector; 16 more forward passes"

    largest_patch: float = 0.3
    per_side: int = 4

    def __post_init__(self) -> None:
        fits = isinstance(self.largest_patch, int | float) and 0 < self.largest_patch < 1
        require(fits, "largest_patch", self.largest_patch, "a fraction in (0, 1)")
        object.__setattr__(self, "per_side", check_integer("per_side", self.per_side, 1))

    def detect(
        self,
        classifier: OpenedClassifier,
        prediction: Prediction,
        maps: ActivationMaps,
        *,
        slope: Slope = None,
    ) -> Detection:
        """Steps 3 to 8; see `Rule.detect`."""
        # 3, 4, 5  what the label loses without windows of cells, and lacks under windows of pixels
        occlusions = Windows().detect(classifier, prediction, maps, slope=slope).evidence
        size = classifier.input_shape[:2]
        sides = self.sides(size)
        images, label = prediction.images, prediction.label
        found = cover(classifier, images, label, occlusions, sides, slope)
        # 6, 7, 8  the window that makes the score, the image without it, how far the label falls
        return Detection.without(
            prediction, *decisive(found, sides, size), found, covered_score(found)
        )

    def explain(self, detection: Detection, **about: Any) -> Explanation:
        """See `Rule.explain`; with the windows of both kinds."""
        windows = self.covering_windows(detection.prediction.images.shape[1:3])
        return CoverExplanation.of(detection, covering_windows=windows, **about)

    def covering_windows(self, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
        """The windows, so placed that each patch of `largest_patch` lies within one of them.

        Args:
            size: (H, W) of the images.

        Returns:
            (v, H, W) bool, rectangles of pixels, row by row; v is `per_side` squared, fewer on an
            image of a few pixels.

        Source: the covering masks of Xiang et al., "PatchCleanser", USENIX Security 2022.
        """
        rows, columns = self.sides(size)
        return rows[:, :, None] & columns[:, None]

    def sides(self, size: tuple[int, int]) -> Sides:
        """The rows and the columns of each window on images (H, W), see `covering_windows`."""
        return grid(*(self._stretches(length) for length in size))

    def _stretches(self, length: int) -> npt.NDArray[np.bool_]:
        """The rows or columns (k, length) of the windows, along one axis."""
        patch = max(1, round(self.largest_patch * length))
        side = patch + -(-(length - patch) // self.per_side)
        starts = np.linspace(0, length - side, self.per_side).round().astype(int)
        return stretches(length, side, np.unique(starts))


def covering_windows(size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """The windows (v, H, W) of `Cover` with its default settings on images (H, W)."""
    return Cover().covering_windows(size)


def cover(
    classifier: OpenedClassifier,
    images: tf.Tensor,
    label: tf.Tensor,
    found: WindowFalls,
    sides: Sides,
    slope: Slope = None,
) -> Covers:
    """Paints over each of the windows in turn, and asks the classifier again.

    Args:
        classifier: see `open_classifier`.
        images: (b, H, W, c) float32, raw pixels 0..255.
        label: (b,) int32, the predicted labels.
        found: what the windows of the feature map say.
        sides: the windows.
        slope: for attackers: with one, gradients pass the window under which the label lacks most.
            The score needs no others, and they would cost as many backward passes.

    Returns:
        That, and what the label lacks under each window. The mean colour outside a window takes
        its place: it holds nothing of what is under it.
    """
    windows = tuple(map(tf.constant, sides))

    def under(window: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        region = _region(*window)  # of all images, or of each its own
        return classifier.logits(fill_region(images, region, average_outside(images, region)))

    # one window at a time: all of them at once would take as many times the memory
    of_window = tf.TensorSpec((None, classifier.n_classes), tf.float32)
    logits = tf.map_fn(under, windows, parallel_iterations=1, fn_output_signature=of_window)
    logits = tf.transpose(logits, (1, 0, 2))
    if slope is not None:
        logits = tf.stop_gradient(logits)
        worst = tf.argmax(-strength(logits, label), axis=-1)
        again = under(tuple(tf.gather(side, worst) for side in sides))
        is_worst = tf.one_hot(worst, logits.shape[1], True, False, dtype=tf.bool)
        logits = tf.where(is_worst[..., tf.newaxis], again[:, tf.newaxis], logits)
    return Covers(*found, covered_logits=logits, lacks=-strength(logits, label))


def covered_score(found: Covers) -> tf.Tensor:
    """The score of `Cover`, in nats: the larger of two.

    What the label lacks under the window where it lacks most, which no attacker can lower; and the
    score of variant "windows", which finds patches that no window covers, too. Unlike a fall,
    what a label lacks does not grow with what it had: benign images that the classifier is sure of
    may lose much of it and still lead.

    Args:
        found: of b images.

    Returns:
        (b,) float32.
    """
    return tf.maximum(worst_falls(found.falls), tf.reduce_max(found.lacks, axis=-1))


def decisive(found: Covers, sides: Sides, size: tuple[int, int]) -> tuple[tf.Tensor, tf.Tensor]:
    """The window that makes the score, of pixels or of cells.

    Args:
        found: of b images.
        sides: the windows of pixels.
        size: (H, W) of the images.

    Returns:
        (b, H, W) bool, the part of the image that belongs to it, and the logits (b, n) without it.
    """
    worst = tf.argmax(found.lacks, axis=-1, output_type=tf.int32)
    is_covered = tf.reduce_max(found.lacks, axis=-1) >= covered_score(found)
    region, logits = deepest(found.occlusions, size)
    covered = _region(*(tf.gather(side, worst) for side in sides))
    covered_logits = tf.gather(found.covered_logits, worst, batch_dims=1)
    return (
        tf.where(is_covered[:, None, None], covered, region),
        tf.where(is_covered[:, None], covered_logits, logits),
    )


def _region(rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """The windows (b, H, W) bool of rows (b, H) and columns (b, W); of a single pair b is 1."""
    region = rows[..., :, tf.newaxis] & columns[..., tf.newaxis, :]
    return tf.reshape(region, (-1, *region.shape[-2:]))


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class CoverExplanation(WindowsExplanation):
    """Every intermediate result of variant "cover" for one image: those of "windows", and more.

    Attributes:
        covering_windows: (v, H, W) bool, see `Cover.covering_windows`.
        covered_logits: (v, n) float32, the logits with each of them painted over.
        lacks: (v,) float32, what the label lacks then of being certain, in nats.
    """

    covering_windows: npt.NDArray[np.bool_]
    covered_logits: npt.NDArray[np.float32]
    lacks: npt.NDArray[np.float32]

    def _way(self) -> list[Panel]:
        worst = int(self.lacks.argmax())
        covered = f"covered\nlacks {self.lacks[worst]:.1f} nats"
        return [*super()._way(), (self.image, covered, self.covering_windows[worst])]
