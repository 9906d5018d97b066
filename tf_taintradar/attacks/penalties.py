"""What makes a patch printable: neighbouring pixels alike, and colors that a printer has.

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
"""RGB colors that an office printer has: dark, middle and bright of each channel. Ours."""


@dataclasses.dataclass(frozen=True)
class Penalties:
    """What a patch pays, besides missing its aim.

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
        """What each of the patches (k, h, w, c) pays: (k,) float32, >= 0."""
        total = tf.zeros(tf.shape(patches)[:1])
        if self.smoothness:
            total += self.smoothness * total_variation(patches, mask)
        if self.printability:
            total += self.printability * non_printability(patches, mask, self.colors)
        return total


def total_variation(patches: tf.Tensor, mask: Mask) -> tf.Tensor:
    """How much the painted pixels differ from their right and lower neighbours.

    Args:
        patches: (k, h, w, c) float32, 0..255.
        mask: (h, w) uint8, 1 where a patch is painted.

    Returns:
        (k,) float32, the mean length of the difference to both neighbours, over the painted pixels
        with painted neighbours; 1 is from black to white.

    Source: Sharif et al., CCS 2016, section 5.2.2.
    """
    inner = (mask[:-1, :-1] & mask[1:, :-1] & mask[:-1, 1:]).astype(np.float32)
    pixels = patches / 255.0
    down = pixels[:, 1:, :-1] - pixels[:, :-1, :-1]
    right = pixels[:, :-1, 1:] - pixels[:, :-1, :-1]
    lengths = tf.sqrt(tf.reduce_mean(down**2 + right**2, axis=-1) + 1e-8)
    return tf.reduce_sum(lengths * inner, axis=(1, 2)) / max(1.0, float(inner.sum()))


def non_printability(patches: tf.Tensor, mask: Mask, colors: Colors) -> tf.Tensor:
    """How far the painted pixels are from colors that can be printed.

    Args:
        patches: (k, h, w, 3) float32, 0..255.
        mask: (h, w) uint8, 1 where a patch is painted.
        colors: the printable RGB colors, 0..255.

    Returns:
        (k,) float32, the mean distance to the nearest color; 1 is the length of one channel.

    Source: Sharif et al., CCS 2016, section 5.2.3. Theirs multiplies the distances to all colors;
    the product of thirty numbers below 1 has no gradient to speak of.
    """
    palette = tf.constant(colors, tf.float32) / 255.0
    squares = tf.reduce_sum((patches[..., None, :] / 255.0 - palette) ** 2, axis=-1)
    nearest = tf.sqrt(tf.reduce_min(squares, axis=-1) + 1e-8)
    return tf.reduce_sum(nearest * mask.astype(np.float32), axis=(1, 2)) / float(mask.sum())
