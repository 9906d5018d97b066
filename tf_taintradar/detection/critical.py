"""Steps 1 and 2 of Figure 2: what the classifier sees in an image, and what its answer rests on.

b images (H, W, c), n labels, feature map (h, w, channels).
"""

from typing import NamedTuple

import tensorflow as tf

from tf_taintradar.classifier.opened import OpenedClassifier
from tf_taintradar.detection.cam import (
    ChannelWeights,
    binarize,
    class_activation_map,
    trace_head,
    upsample,
)
from tf_taintradar.detection.regions import Slope


class Sight(NamedTuple):
    """The prediction, and what it rests on.

    Attributes:
        images: (b, H, W, c) float32, raw pixels 0..255.
        features: (b, h, w, channels) float32, the feature map.
        logits: (b, n) float32.
        label: (b,) int32, the predicted label.
        critical_map: (b, h, w) float32, >= 0: what supports the label or suppresses the others.
        critical_region: (b, H, W), see `regions`.
    """

    images: tf.Tensor
    features: tf.Tensor
    logits: tf.Tensor
    label: tf.Tensor
    critical_map: tf.Tensor
    critical_region: tf.Tensor


def look(
    classifier: OpenedClassifier,
    images: tf.Tensor,
    *,
    temperature: float,
    map_threshold: float,
    slope: Slope = None,
) -> tuple[Sight, ChannelWeights]:
    """The prediction and its critical region, and the gradients that further maps need.

    Args:
        classifier: see `open_classifier`.
        images: (b, H, W, c) float32, raw pixels 0..255.
        temperature: T > 0 of Eq. 3; above 1 it keeps the gradient from vanishing on sure labels.
        map_threshold: where a region ends, as a fraction of its map's maximum, in (0, 1].
        slope: of a sigmoid for gradients, see `regions`.

    Returns:
        What is seen, and the function of `cam.trace_head`.
    """
    # 1  forward
    features = classifier.features(images)
    logits, channel_weights = trace_head(classifier.head, features)
    label = tf.argmax(logits, axis=-1, output_type=tf.int32)
    # 2  critical region: the gradient of log softmax(Z / T) at the label, Eq. 3
    one_hot = tf.one_hot(label, classifier.n_classes)
    pull = (one_hot - tf.nn.softmax(logits / temperature)) / temperature
    critical = tf.nn.relu(class_activation_map(features, channel_weights(pull[None])))
    region = binarize(upsample(critical, classifier.input_shape[:2]), map_threshold, slope)
    return Sight(images, features, logits, label, critical[:, 0], region[:, 0]), channel_weights
