"""Ranks and leads of labels, and how they move."""

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


def own_and_others(logits: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The logit of each row's label, and the logits of all other labels.

    Args:
        logits: (b, ..., n) float32, unnormalised.
        labels: (b,) int32, one label for all rows of an image, 0 <= label < n.

    Returns:
        (b, ...) float32, the label's own logit; and (b, ..., n) float32, the logits with the
        smallest number of their type in the label's place, where neither a maximum nor a
        log-sum-exp sees it.
    """
    logits = tf.convert_to_tensor(logits)
    n_labels = logits.shape[-1]
    is_label = tf.one_hot(labels, n_labels, on_value=True, off_value=False)
    is_label = tf.reshape(is_label, (-1, *[1] * (logits.shape.rank - 2), n_labels))
    own = tf.reduce_sum(tf.where(is_label, logits, 0), axis=-1)
    return own, tf.where(is_label, logits.dtype.min, logits)


def lead(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """How far each row's label is ahead of the best other one, in nats.

    Args:
        logits: (b, ..., n) float32, unnormalised.
        labels: (b,) int32, one label for all rows of an image, 0 <= label < n.

    Returns:
        (b, ...) float32, negative where another label is first. Adding a constant to all logits
        changes nothing.
    """
    own, others = own_and_others(logits, labels)
    return own - tf.reduce_max(others, axis=-1)


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
    own, others = own_and_others(logits, label)
    return 2 * own - tf.reduce_logsumexp(logits, axis=-1) - tf.reduce_max(others, axis=-1)


def strengths(logits: tf.Tensor) -> tf.Tensor:
    """The `strength` (..., n) of every label, in nats, of logits (..., n) float32; n >= 2."""
    lse = tf.reduce_logsumexp(logits, axis=-1, keepdims=True)
    return 2 * logits - lse - largest_of_others(logits)


def largest_of_others(values: tf.Tensor) -> tf.Tensor:
    """For each place the largest of the other values (..., n) float32: (..., n); n >= 2."""
    first, second = tf.split(tf.math.top_k(values, 2).values, 2, axis=-1)
    return tf.where(values == first, second, first)


def mean_of_largest(values: tf.Tensor, n: int) -> tf.Tensor:
    """The mean of the n largest values (..., m) float32, of all if there are fewer: (...)."""
    n_largest = min(n, values.shape[-1])
    return tf.reduce_mean(tf.math.top_k(values, n_largest, sorted=False).values, axis=-1)


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
