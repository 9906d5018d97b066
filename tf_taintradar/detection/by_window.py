"""Takes one window out of the feature map: the default until 0.1, kept for older detectors.

The critical map of step 2 says where to look, the most critical window of each size is taken out
of the feature map, and only the head runs again. It sees one patch at a time, at one layer;
`occlusion` looks at several depths and at cells in any number of pieces.

b images, n labels, feature map (h, w, channels), s windows.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.classifier.opened import OpenedClassifier
from tf_taintradar.detection.critical import ActivationMaps, Prediction
from tf_taintradar.detection.detection import Detection
from tf_taintradar.detection.explanation import Explanation, Panel
from tf_taintradar.detection.ranks import mean_of_largest, strength
from tf_taintradar.detection.regions import Slope
from tf_taintradar.detection.rule import Rule
from tf_taintradar.detection.windows import (
    cells,
    most_critical,
    take_out,
    to_pixels,
)
from tf_taintradar.support.checks import require

SIDES = (0.15, 0.3, 0.45, 0.6)
"""The sides of the windows, as fractions of the feature map's sides."""

_DEEPEST = 2  # falls that make the score


class WindowFalls(NamedTuple):
    """What happens to the label without the most critical window of each size.

    Attributes:
        windows: (b, s, h, w), see `regions`, a rectangle of cells each, smallest first.
        window_logits: (b, s, n) float32, the logits without each window.
        falls: (b, s) float32, how far the label falls: what it loses of its `strength`, in nats.
        strength: (b,) float32, what the label has on the whole image; see `ranks.strength`.
    """

    windows: tf.Tensor
    window_logits: tf.Tensor
    falls: tf.Tensor
    strength: tf.Tensor


@dataclasses.dataclass(frozen=True)
class Windows(Rule):
    """Takes the most critical window of each size out of the feature map.

    The score is the mean of the label's two deepest falls, in nats; the tainted region is the
    window without which it falls furthest. The cost is one forward pass, and the head again for
    each window.

    Args:
        sides: the windows' sides as fractions of the feature map's, in (0, 1], ascending. The four
            defaults range from a small patch to a third of the image. Sizes that amount to the same
            number of cells on a small map count once.

    Raises:
        ValueError: `sides` are not such fractions.
    """

    name = "windows"
    purpose = "for a single patch; the default until 0.1"

    sides: tuple[float, ...] = SIDES

    def __post_init__(self) -> None:
        object.__setattr__(self, "sides", as_sides("sides", self.sides))

    def detect(
        self,
        classifier: OpenedClassifier,
        prediction: Prediction,
        maps: ActivationMaps,
        *,
        slope: Slope = None,
    ) -> Detection:
        """Steps 3 to 8; see `Rule.detect`."""
        # 3, 4, 5  what the label loses without the most critical window of each size
        found = occlude(classifier, prediction, self._sizes(classifier), slope)
        # 6, 7, 8  the window of the deepest fall, the image without it, how far the label falls
        decisive = deepest(found, classifier.input_shape[:2])
        return Detection.without(prediction, *decisive, found, worst_falls(found.falls))

    def explain(self, detection: Detection, **about: Any) -> Explanation:
        """See `Rule.explain`; with the windows."""
        return WindowsExplanation.of(detection, **about)

    def _sizes(self, classifier: OpenedClassifier) -> list[tuple[int, int]]:
        height, width = classifier.feature_shape[:2]
        return [(cells(height, side), cells(width, side)) for side in self.sides]


def as_sides(argument: str, sides: Any) -> tuple[float, ...]:
    """Fractions in (0, 1], ascending, as a tuple; ValueError for anything else."""
    values = tuple(float(side) for side in np.ravel(np.asarray(sides, np.float64)))
    fits = len(values) > 0 and all(0 < side <= 1 for side in values)
    fits &= list(values) == sorted(values)
    require(fits, argument, sides, "fractions in (0, 1], ascending")
    return values


def occlude(
    classifier: OpenedClassifier,
    prediction: Prediction,
    sizes: Sequence[tuple[int, int]],
    slope: Slope = None,
) -> WindowFalls:
    """What the label loses without the most critical window of each size.

    Args:
        classifier: see `open_classifier`.
        prediction: steps 1 and 2.
        sizes: rows and columns of the windows, in cells; equal ones count once.
        slope: of a softmax over the places of a window for gradients, see `regions`.
    """
    chosen = [most_critical(prediction.critical_map, one, slope) for one in dict.fromkeys(sizes)]
    windows = tf.stack(chosen, axis=1)
    stage, state = classifier.last, prediction.features
    rest = take_out(stage.as_map(state), windows)
    flat = stage.onwards(stage.with_map(state, tf.reshape(rest, (-1, *stage.shape))))
    logits = tf.reshape(flat, (-1, len(chosen), classifier.n_classes))
    before = strength(prediction.logits[:, None], prediction.label)
    falls = before - strength(logits, prediction.label)
    return WindowFalls(windows, logits, falls, before[:, 0])


def worst_falls(falls: tf.Tensor) -> tf.Tensor:
    """The score of `Windows`: the mean of the two deepest falls.

    A patch is as large as one or two of the windows. The smaller and larger ones say less, and an
    attacker who knows the detector hides behind them if they are averaged in.

    Args:
        falls: (b, s) float32, in nats; s windows, one or more.

    Returns:
        (b,) float32, in nats.
    """
    return mean_of_largest(falls, _DEEPEST)


def deepest(found: WindowFalls, size: tuple[int, int]) -> tuple[tf.Tensor, tf.Tensor]:
    """The window without which the label falls furthest.

    Args:
        found: of b images.
        size: (H, W) of the images.

    Returns:
        (b, H, W) bool, the part of the image that belongs to it, and the logits (b, n) without it.
    """
    worst = tf.argmax(found.falls, axis=-1, output_type=tf.int32)
    window = tf.gather(found.windows, worst, batch_dims=1)
    logits = tf.gather(found.window_logits, worst, batch_dims=1)
    return to_pixels(window, size), logits


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class WindowsExplanation(Explanation):
    """Every intermediate result of variant "windows" for one image.

    Attributes:
        windows: (s, h, w) bool, the most critical window of each size, in cells.
        window_logits: (s, n) float32, the logits without each window.
        falls: (s,) float32, how far the label falls without each, in nats; `score` is the mean
            of the two deepest, or of all as a share of what the label had.
        strength: what the label had, in nats; see `ranks.strength`.
    """

    windows: npt.NDArray[np.bool_]
    window_logits: npt.NDArray[np.float32]
    falls: npt.NDArray[np.float32]
    strength: float

    def _way(self) -> list[Panel]:
        size = self.image.shape[:2]
        regions = to_pixels(tf.constant(self.windows), size).numpy()
        return [
            (self.image, f"without it\nfalls by {fall:.1f} nats", region)
            for region, fall in zip(regions, self.falls, strict=True)
        ]
