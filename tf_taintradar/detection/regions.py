"""Regions: bool, or float32 for attackers whose gradients have to pass.

The detector's regions are bool, and no gradient passes them. With a `slope` they hold the same
zeros and ones as float32, and gradients pass as if a sigmoid or softmax of that slope stood in
their place. Source: the backward pass differentiable approximation of Athalye et al., "Obfuscated
Gradients Give a False Sense of Security", ICML 2018; section VII of the paper.
"""

from typing import Any, TypeAlias

import tensorflow as tf

Slope: TypeAlias = "float | tf.Tensor | None"
"""Of the stand-in for a decision, > 0; None: no gradient passes."""


def where_reached(values: tf.Tensor, level: tf.Tensor, slope: Slope) -> tf.Tensor:
    """The region where values reach a level, both >= 0.

    Args:
        values: float32 of any shape.
        level: float32, broadcastable to it.
        slope: of a sigmoid over the values as fractions of their level.

    Returns:
        Of the values' shape: bool, or float32 with a slope.
    """
    hard = values >= level
    if slope is None:
        return hard
    soft = tf.sigmoid(slope * tf.math.divide_no_nan(values - level, level))
    return straight_through(tf.cast(hard, tf.float32), soft)


def intersect(regions: tf.Tensor) -> tf.Tensor:
    """The intersection of k regions (b, k, H, W): (b, H, W). Source: Eq. 7."""
    if regions.dtype == tf.bool:
        return tf.reduce_all(regions, axis=1)
    return tf.reduce_prod(regions, axis=1)


def weight(region: tf.Tensor) -> tf.Tensor:
    """A region as float32, 1 inside and 0 outside."""
    return tf.cast(region, tf.float32)


def is_inside(region: tf.Tensor) -> tf.Tensor:
    """A region as bool."""
    return region if region.dtype == tf.bool else region > 0


def choose(region: tf.Tensor, inside: tf.Tensor, outside: tf.Tensor) -> tf.Tensor:
    """`inside` where the region is, `outside` elsewhere; all broadcastable to each other."""
    if region.dtype == tf.bool:
        return tf.where(region, inside, outside)
    return region * inside + (1 - region) * outside


def fill_region(images: tf.Tensor, region: tf.Tensor, pattern: tf.Tensor) -> tf.Tensor:
    """The images with the pattern painted into the region, every other pixel as it was.

    Args:
        images: (b, H, W, c) float32, raw pixels in [0, 255].
        region: (b, H, W), see `regions`.
        pattern: Float32 raw pixels in [0, 255], broadcastable to the shape of `images`.

    Returns:
        (b, H, W, c) float32, raw pixels in [0, 255].

    Source: section V-B of the paper, steps 3 and 7 of Figure 2.
    """
    return choose(region[..., None], pattern, images)


@tf.custom_gradient
def straight_through(hard: tf.Tensor, soft: tf.Tensor) -> Any:
    """`hard` (float32) forward; backward as if it were `soft`, which has the same shape."""
    return tf.identity(hard), lambda gradient: (None, gradient)
