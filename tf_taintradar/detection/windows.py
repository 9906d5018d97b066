"""Windows of a feature map: where they lie, what takes their place, which pixels they are.

b images (H, W, c), feature map (h, w, channels), s windows.
"""

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.detection.regions import Slope, choose, straight_through, weight


def most_critical(critical_map: tf.Tensor, size: tuple[int, int], slope: Slope = None) -> tf.Tensor:
    """The window of a size that covers most of a map.

    Args:
        critical_map: (b, h, w) float32.
        size: rows and columns of the window, in cells.
        slope: of a softmax over the places of a window for gradients, see `regions`.

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


def most_critical_cells(maps: tf.Tensor, share: float, slope: Slope = None) -> tf.Tensor:
    """The share of all cells where a map, averaged over 3 x 3 cells, is largest.

    Args:
        maps: (b, h, w) float32, >= 0.
        share: of the cells, in (0, 1].
        slope: of a sigmoid over the map as a fraction of its level at the last cell, for gradients.

    Returns:
        (b, h, w), see `regions`, a region of any number of pieces; of equal cells those nearest to
        the top, then to the left.
    """
    height, width = maps.shape[1:]
    smooth = tf.nn.avg_pool2d(maps[..., None], 3, strides=1, padding="SAME")[..., 0]
    values, index = tf.math.top_k(
        tf.reshape(smooth, (-1, height * width)), cells(height * width, share)
    )
    chosen = tf.one_hot(index, height * width, on_value=True, off_value=False, dtype=tf.bool)
    region = tf.reshape(tf.reduce_any(chosen, axis=1), (-1, height, width))
    if slope is None:
        return region
    level = values[:, -1, None, None]
    soft = tf.sigmoid(slope * tf.math.divide_no_nan(smooth - level, level))
    return straight_through(weight(region), soft)


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


def cells(length: int, share: float) -> int:
    """The number of cells, at least one, that is nearest to a share of a length in cells."""
    return max(1, round(share * length))


def stretches(length: int, side: int, starts: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """The places (k, length) bool of k stretches of `side` places along an axis."""
    places, first = np.arange(length), np.asarray(starts)[:, None]
    return (places >= first) & (places < first + side)


def grid(
    down: npt.NDArray[np.bool_], across: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """The rows (v, H) and columns (v, W) of the windows of all pairs of stretches, row by row."""
    return np.repeat(down, len(across), axis=0), np.tile(across, (len(down), 1))


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
