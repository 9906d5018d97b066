"""Class activation maps: signed first; which part counts, the resizing and the cut are later steps.

Shapes: b images, k labels, feature map (h, w, c), images (H, W).
"""

from collections.abc import Callable

import tensorflow as tf

from tf_taintradar.classifier.stage import Stage
from tf_taintradar.detection.regions import Slope, where_reached

_LABELS_AT_ONCE = 20  # backward passes vectorised together: bounds the memory for many labels

ChannelWeights = Callable[[tf.Tensor], tf.Tensor]


def trace_head(stage: Stage, state: tf.Tensor) -> tuple[tf.Tensor, ChannelWeights]:
    """Runs the head once, so that any number of gradients can be taken of its logits.

    Args:
        stage: the classifier's last one, whose map is the feature map (b, h, w, channels). It leads
            on to the logits (b, n) float32; row i of the logits depends on row i of the
            state alone.
        state: (b, ...) float32.

    Returns:
        The logits (b, n), and a function from k weightings of the logits (k, b, n) float32 to the
        channel weights (b, k, c) float32 of Grad-CAM: the mean over all places of the gradient of
        the weighted logits' sum. The k backward passes are vectorised, but for tokens: the head's
        weights are read once for all of them.

    Source: Eq. 1 and 5, alpha_k. The authors' program averages over the batch as well.
    """
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(state)
        logits = stage.onwards(state)

    def backward(weighting: tf.Tensor) -> tf.Tensor:
        gradient = tape.gradient(logits, state, weighting, unconnected_gradients="zero")
        return tf.reduce_mean(stage.as_map(gradient), axis=(1, 2))

    # vectorised, the gradient of attention crashes the process: oneDNN in TensorFlow 2.21, on a CPU
    each = tf.vectorized_map if stage.n_special is None else tf.map_fn

    def channel_weights(weightings: tf.Tensor) -> tf.Tensor:
        if weightings.shape[0] == 1:
            return backward(weightings[0])[:, None]
        parts = [
            each(backward, weightings[i : i + _LABELS_AT_ONCE])
            for i in range(0, weightings.shape[0], _LABELS_AT_ONCE)
        ]
        return tf.transpose(tf.concat(parts, axis=0), (1, 0, 2))

    return logits, channel_weights


def class_activation_map(features: tf.Tensor, channel_weights: tf.Tensor) -> tf.Tensor:
    """The signed map sum_k alpha_k A^k.

    Args:
        features: (b, h, w, channels) float32, A.
        channel_weights: (b, k, c) float32, alpha for k labels.

    Returns:
        (b, k, h, w) float32: positive where the image speaks for the label, negative where it
        speaks against it.

    Source: Eq. 2 and 6 before their ReLU. The authors' program takes the mean over the channels:
    the same map up to its scale.
    """
    return tf.einsum("bhwc,bkc->bkhw", features, channel_weights)


def upsample(maps: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """The maps at the size of the image: bilinear interpolation between cell centres.

    Args:
        maps: (b, k, h, w) float32.
        size: (H, W).

    Returns:
        (b, k, H, W) float32.
    """
    rows = _interpolation(maps.shape[2], size[0])
    columns = _interpolation(maps.shape[3], size[1])
    return tf.einsum("Hh,bkhw,Ww->bkHW", rows, maps, columns)


def binarize(maps: tf.Tensor, threshold: float, slope: Slope = None) -> tf.Tensor:
    """The region where each map reaches `threshold` times its own maximum.

    Args:
        maps: (b, k, H, W) float32, non-negative.
        threshold: in (0, 1].
        slope: of a sigmoid for gradients, see `regions`.

    Returns:
        (b, k, H, W), see `regions`. A map that is zero everywhere gives the whole image: the
        neutral element of the intersection, since a label without evidence does not vote.

    Source: section V-B, 0.15 of the maximum.
    """
    return where_reached(maps, threshold * tf.reduce_max(maps, axis=(2, 3), keepdims=True), slope)


def _interpolation(cells: int, pixels: int) -> tf.Tensor:
    """Matrix (pixels, cells) that interpolates linearly along one axis, as tf.image.resize does."""
    return tf.image.resize(tf.eye(cells)[..., None], (pixels, cells))[..., 0]
