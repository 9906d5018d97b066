"""The default way of removing and deciding: windows taken out of the feature map.

The paper fills pixels, runs the network again, and intersects what holds down K other labels. On
networks without large fully connected layers that intersection is mostly empty. Here the critical
map of step 2 says where to look, the most critical window of each size is taken out of the feature
map, and only the head runs again. `benchmarks/README.md` has the figures of both, and of what else
was tried.

b images, n labels, feature map (h, w, channels), s windows.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from tf_taintradar.classifier.opened import OpenedClassifier
from tf_taintradar.detection.critical import Sight
from tf_taintradar.detection.regions import Slope, choose, straight_through, weight

SIDES = (0.15, 0.3, 0.45, 0.6)
"""The sides of the windows, as fractions of the feature map's sides."""


_DEEPEST = 2  # falls that make the score
_CREDIT = 5.0  # nats added to what a label has, so that one without a lead does not lose it all


class Occlusions(NamedTuple):
    """What happens to the label without the most critical window of each size.

    Attributes:
        windows: (b, s, h, w), see `regions`, a rectangle of cells each, smallest first.
        window_logits: (b, s, n) float32, the logits without each window.
        falls: (b, s) float32, how far the label falls: what it loses of its `strength`, in nats.
        strength: (b,) float32, what the label has on the whole image, in nats; see `strength`.
    """

    windows: tf.Tensor
    window_logits: tf.Tensor
    falls: tf.Tensor
    strength: tf.Tensor


def occlude(
    classifier: OpenedClassifier,
    sight: Sight,
    sides: Sequence[float] = SIDES,
    bands: bool = False,
    slope: Slope = None,
) -> Occlusions:
    """Takes the most critical window of each size out of the feature map.

    Args:
        classifier: see `open_classifier`.
        sight: steps 1 and 2.
        sides: the windows' sides as fractions of the feature map's, in (0, 1], ascending. The four
            of the detector reach from a small patch to a third of the image. Sizes that are the
            same number of cells on a small map count once.
        bands: windows as wide as the map, of these heights.
        slope: of a softmax over the places of a window for gradients, see `regions`.

    Returns:
        The windows, and the label's fall without each.
    """
    height, width = sight.critical_map.shape[1:]
    widths = [width if bands else _cells(width, side) for side in sides]
    sizes = list(dict.fromkeys((_cells(height, s), w) for s, w in zip(sides, widths, strict=True)))
    chosen = [most_critical(sight.critical_map, size, slope) for size in sizes]
    windows = tf.stack(chosen, axis=1)
    rest = take_out(sight.features, windows)
    flat = classifier.head(tf.reshape(rest, (-1, *rest.shape[2:])))
    without = tf.reshape(flat, (-1, len(sizes), classifier.n_classes))
    before = strength(sight.logits[:, None], sight.label)
    falls = before - strength(without, sight.label)
    return Occlusions(windows, without, falls, before[:, 0])


def most_critical(critical_map: tf.Tensor, size: tuple[int, int], slope: Slope = None) -> tf.Tensor:
    """The window of a size that covers most of a map.

    Args:
        critical_map: (b, h, w) float32.
        size: rows and columns of the window, in cells.
        slope: as in `occlude`.

    Returns:
        (b, h, w), see `regions`; of equal windows the one nearest to the top, then to the left.
    """
    height, width = critical_map.shape[1:]
    covered = tf.nn.avg_pool2d(critical_map[..., None], size, strides=1, padding="VALID")
    columns = covered.shape[2]
    best = tf.argmax(tf.reshape(covered, (-1, covered.shape[1] * columns)), -1, tf.int32)
    top, left = best[:, None] // columns, best[:, None] % columns
    in_rows = (tf.range(height) >= top) & (tf.range(height) < top + size[0])
    in_columns = (tf.range(width) >= left) & (tf.range(width) < left + size[1])
    window = in_rows[:, :, None] & in_columns[:, None]
    if slope is None:
        return window
    return straight_through(weight(window), _soft(covered, size, slope))


def take_out(features: tf.Tensor, windows: tf.Tensor) -> tf.Tensor:
    """The feature map with the mean of the other cells in place of each window.

    Args:
        features: (b, h, w, channels) float32.
        windows: (b, s, h, w), see `regions`.

    Returns:
        (b, s, h, w, channels) float32. The mean is the image's own: it says nothing new, and a
        head that averages over the map sees what it would see of the other cells alone.
    """
    outside = 1 - weight(windows)
    total = tf.einsum("bhwc,bshw->bsc", features, outside)
    n_cells = tf.reduce_sum(outside, axis=(2, 3))[..., None]
    mean = tf.math.divide_no_nan(total, n_cells)
    return choose(windows[..., None], mean[:, :, None, None], features[:, None])


def strength(logits: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """What a label has: its log-probability, and its lead.

    The lead is the distance to the best other logit, negative once the label is no longer first. A
    sure label can lose much of its lead before its probability moves, an unsure one has no lead to
    lose; the sum of both sees either.

    Args:
        logits: (b, s, n) float32.
        label: (b,) int32.

    Returns:
        (b, s) float32, in nats. Adding a constant to all logits changes nothing.
    """
    is_label = tf.one_hot(label, logits.shape[-1], True, False, dtype=tf.bool)[:, None]
    own = tf.reduce_sum(tf.where(is_label, logits, 0), axis=-1)
    best_other = tf.reduce_max(tf.where(is_label, logits.dtype.min, logits), axis=-1)
    return 2 * own - tf.reduce_logsumexp(logits, axis=-1) - best_other


def worst_falls(falls: tf.Tensor) -> tf.Tensor:
    """The score of variant "occlusion": the mean of the two deepest falls.

    A patch is as large as one or two of the windows. The smaller and larger ones say less, and an
    attacker who knows the detector hides behind them if they are averaged in.

    Args:
        falls: (b, s) float32, in nats; s windows, one or more.

    Returns:
        (b,) float32, in nats.
    """
    n_deepest = min(_DEEPEST, falls.shape[1])
    return tf.reduce_mean(tf.math.top_k(falls, n_deepest, sorted=False).values, axis=-1)


def lost_share(falls: tf.Tensor, before: tf.Tensor) -> tf.Tensor:
    """The score of variant "bands": the mean fall, as a share of what the label had.

    A classifier that is sure of its faces leads by many nats, and loses many with a part of the
    face; glasses lend a name that is just believed a few nats, and take them all with them.

    Args:
        falls: (b, s) float32, in nats.
        before: (b,) float32, the label's `strength`.

    Returns:
        (b,) float32: near 0 nothing is lost, from about 1 on everything.
    """
    return tf.reduce_mean(falls, axis=-1) / (tf.abs(before) + _CREDIT)


def deepest(found: Occlusions, size: tuple[int, int]) -> tuple[tf.Tensor, tf.Tensor]:
    """The window without which the label falls furthest.

    Args:
        found: of b images.
        size: (H, W) of the images.

    Returns:
        (b, H, W) bool, the part of the image that belongs to it, and the logits (b, n) without it.
    """
    worst = tf.argmax(found.falls, axis=-1, output_type=tf.int32)
    region = to_pixels(tf.gather(found.windows, worst, batch_dims=1), size)
    return region, tf.gather(found.window_logits, worst, batch_dims=1)


def to_pixels(windows: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """The part of the image that belongs to windows of cells.

    Args:
        windows: (b, h, w), see `regions`.
        size: (H, W) of the image.

    Returns:
        (b, H, W) bool: the cells spread evenly over the image.
    """
    cells = weight(windows[..., None])
    return tf.image.resize(cells, size, method="nearest")[..., 0] > 0


def average_outside(images: tf.Tensor, regions: tf.Tensor) -> tf.Tensor:
    """The mean colour of each image (b, H, W, c) outside its region (b, H, W): (b, 1, 1, c)."""
    outside = tf.cast(~regions[..., None], images.dtype)
    total = tf.reduce_sum(images * outside, axis=(1, 2), keepdims=True)
    return tf.math.divide_no_nan(total, tf.reduce_sum(outside, axis=(1, 2), keepdims=True))


def _soft(covered: tf.Tensor, size: tuple[int, int], slope: Slope) -> tf.Tensor:
    """The mean of all windows (b, h, w), weighted by the softmax of what they cover.

    Args:
        covered: (b, places down, places across, 1) float32 >= 0.
        size: rows and columns of the window.
        slope: of the softmax, over fractions of the largest.
    """
    largest = tf.reduce_max(covered, axis=(1, 2, 3), keepdims=True)
    shares = tf.exp(slope * (tf.math.divide_no_nan(covered, largest) - 1))
    shares /= tf.reduce_sum(shares, axis=(1, 2, 3), keepdims=True)
    down, across = size[0] - 1, size[1] - 1
    padded = tf.pad(shares, [[0, 0], [down, down], [across, across], [0, 0]])
    return size[0] * size[1] * tf.nn.avg_pool2d(padded, size, strides=1, padding="VALID")[..., 0]


def _cells(length: int, share: float) -> int:
    return max(1, round(share * length))
