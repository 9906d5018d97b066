"""Penalties that make a patch printable: for rough edges, and for colors no printer has.

k patches (h, w, c), pixels 0..255.
"""

import dataclasses
import itertools

import numpy as np
import tensorflow as tf

from tf_taintradar.attacks.masks import Mask
from tf_taintradar.support.checks import check_not_negative, require

Colors = tuple[tuple[float, float, float], ...]
"""RGB, 0..255."""

_LEVELS = (20.0, 115.0, 215.0)
PRINTABLE: Colors = tuple(itertools.product(_LEVELS, _LEVELS, _LEVELS))
"""RGB colors of an office printer: dark, medium and bright in each channel. Our own choice."""


@dataclasses.dataclass(frozen=True)
class Penalties:
    """Penalties that are added to the loss of a patch.

    Attributes:
        smoothness: weight of `total_variation`.
        printability: weight of `non_printability`.
        colors: the printable RGB colors, 0..255.

    Raises:
        ValueError: a weight is negative, or `colors` are not RGB colors.
    """

    smoothness: float = 0.0
    printability: float = 0.0
    colors: Colors = PRINTABLE

    def __post_init__(self) -> None:
        for name in ("smoothness", "printability"):
            check_not_negative(name, getattr(self, name))
        colors = np.asarray(self.colors)
        is_rgb = colors.ndim == 2 and colors.shape[1] == 3 and len(colors) > 0
        is_raw = is_rgb and colors.min() >= 0 and colors.max() <= 255
        expected = "RGB colors, three values from 0 to 255 each"
        require(bool(is_raw), "colors", self.colors, expected)

    def of(self, patches: tf.Tensor, mask: Mask) -> tf.Tensor:
        """The weighted sum of penalties of each patch (k, h, w, c): (k,) float32, >= 0."""
        total = tf.zeros(tf.shape(patches)[:1])
        if self.smoothness:
            total += self.smoothness * total_variation(patches, mask)
        if self.printability:
            total += self.printability * non_printability(patches, mask, self.colors)
        return total


def total_variation(patches: tf.Tensor, mask: Mask) -> tf.Tensor:
    """The mean difference between painted pixels and their right and lower neighbors.

    Args:
        patches: (k, h, w, c) float32, 0..255.
        mask: (h, w) uint8, 1 where a patch is painted.

    Returns:
        (k,) float32, the mean length of the difference to both neighbors, over the painted pixels
        with painted neighbors; 1 is the difference between black and white.

    Source: Sharif et al., CCS 2016, section 5.2.2.
    """
    inner = (mask[:-1, :-1] & mask[1:, :-1] & mask[:-1, 1:]).astype(np.float32)
    pixels = patches / 255.0
    down = pixels[:, 1:, :-1] - pixels[:, :-1, :-1]
    right = pixels[:, :-1, 1:] - pixels[:, :-1, :-1]
    lengths = tf.sqrt(tf.reduce_mean(down**2 + right**2, axis=-1) + 1e-8)
    return tf.reduce_sum(lengths * inner, axis=(1, 2)) / max(1.0, float(inner.sum()))


def non_printability(patches: tf.Tensor, mask: Mask, colors: Colors) -> tf.Tensor:
    """The mean distance of the painted pixels to the nearest printable color.

    Args:
        patches: (k, h, w, 3) float32, 0..255.
        mask: (h, w) uint8, 1 where a patch is painted.
        colors: the printable RGB colors, 0..255.

    Returns:
        (k,) float32; 1 is the length of one channel.

    Source: Sharif et al., CCS 2016, section 5.2.3. They multiply the distances to all colors, but
    a product of thirty numbers below 1 has a vanishing gradient.
    """
    palette = tf.constant(colors, tf.float32) / 255.0
    squares = tf.reduce_sum((patches[..., None, :] / 255.0 - palette) ** 2, axis=-1)
    nearest = tf.sqrt(tf.reduce_min(squares, axis=-1) + 1e-8)
    return tf.reduce_sum(nearest * mask.astype(np.float32), axis=(1, 2)) / float(mask.sum())
