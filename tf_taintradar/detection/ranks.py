"""Ranks of labels, and how they move."""

import tensorflow as tf


def rank_of(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """How many labels stand before each row's label.

    Args:
        logits: (b, n) float32, unnormalised.
        labels: (b,) int32, one label a row, 0 <= label < n.

    Returns:
        (b,) int32, 0 = first. Ties count in the label's favour.

    Source: Figure 2, step 8.
    """
    own = tf.gather(logits, labels, batch_dims=1)[:, None]
    return tf.reduce_sum(tf.cast(logits > own, tf.int32), axis=-1)


def largest_increases(before: tf.Tensor, after: tf.Tensor, k: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The labels whose logits gain most, largest gain first.

    Args:
        before: (b, n) float32 logits of the image.
        after: (b, n) float32 logits of the image with its critical region filled.
        k: how many labels, 1 <= k <= n. All labels take part, the predicted one too.

    Returns:
        Their labels (b, k) int32 and their increases (b, k) float32; equal increases in the order
        of the labels.

    Source: Figure 2, step 4.
    """
    gains, labels = tf.math.top_k(after - before, k)
    return labels, gains
