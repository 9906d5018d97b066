"""Steps 1 and 2 of Figure 2: what the classifier answers, and what its answer rests on.

b images (H, W, c), n labels, feature map (h, w, channels).
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

import tensorflow as tf

from tf_taintradar.classifier.intake import BY_PASSES
from tf_taintradar.classifier.opened import OpenedClassifier
from tf_taintradar.detection.cam import (
    ChannelWeights,
    binarize,
    class_activation_map,
    trace_head,
    upsample,
)
from tf_taintradar.detection.regions import Slope
from tf_taintradar.errors import UnsupportedClassifierError


class Prediction(NamedTuple):
    """The prediction, and what it rests on.

    Attributes:
        images: (b, H, W, c) float32, raw pixels 0..255.
        features: (b, h, w, channels) float32, the feature map; of a transformer its tokens, see
            `Stage`.
        logits: (b, n) float32.
        label: (b,) int32, the predicted labels.
        critical_map: (b, h, w) float32, >= 0: what supports the label or suppresses the others;
            (b, 1, 1) zeros for a classifier that is not opened.
        critical_region: (b, H, W), see `regions`.
    """

    images: tf.Tensor
    features: tf.Tensor
    logits: tf.Tensor
    label: tf.Tensor
    critical_map: tf.Tensor
    critical_region: tf.Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class ActivationMaps:
    """Makes class activation maps of one forward pass, and regions of the maps.

    Attributes:
        features: (b, h, w, channels) float32, the feature map.
        channel_weights: the gradients over the head, see `cam.trace_head`.
        size: (H, W) of the images.
        map_threshold: where a region ends, as a fraction of its map's maximum, in (0, 1].
        slope: of a sigmoid for gradients, see `regions`.
        stages: the states (b, ...) float32 of the classifier's stages, first to last.
        gradients: from a weighting (b, n) of the logits to the gradient of their sum over each of
            the stages' maps, of its shape.
        pull: (b, n) float32, the weighting of step 2: the gradient of log softmax(Z / T) at the
            label over the logits, Eq. 3.
    """

    features: tf.Tensor
    channel_weights: ChannelWeights
    stages: Sequence[tf.Tensor]
    gradients: Callable[[tf.Tensor], Sequence[tf.Tensor]]
    pull: tf.Tensor
    size: tuple[int, int]
    map_threshold: float
    slope: Slope = None

    def of(self, weightings: tf.Tensor) -> tf.Tensor:
        """The signed maps (b, k, h, w) float32 of k weightings (k, b, n) of the logits."""
        return class_activation_map(self.features, self.channel_weights(weightings))

    def regions(self, maps: tf.Tensor) -> tf.Tensor:
        """The regions (b, k, H, W) of maps (b, k, h, w) float32, >= 0; see `cam.binarize`."""
        return binarize(upsample(maps, self.size), self.map_threshold, self.slope)


def predict_with_critical_region(
    classifier: OpenedClassifier,
    images: tf.Tensor,
    *,
    temperature: float = 2.0,
    map_threshold: float = 0.15,
    slope: Slope = None,
) -> tuple[Prediction, ActivationMaps]:
    """The prediction with its critical region, and what makes further maps.

    Args:
        classifier: see `open_classifier`.
        images: (b, H, W, c) float32, raw pixels 0..255.
        temperature: T > 0 of Eq. 3; above 1 it keeps the gradient from vanishing on sure labels.
        map_threshold: where a region ends, as a fraction of its map's maximum, in (0, 1].
        slope: of a sigmoid for gradients, see `regions`.

    Source: Figure 2, steps 1 and 2; Eq. 1 to 4.
    """
    if classifier.is_closed:
        return _unseen(classifier, images, map_threshold)
    # 1  forward
    *before, last = classifier.stages
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        states = [classifier.trunk(images)]
        tape.watch(states[0])
        for stage in before:
            states.append(stage.onwards(states[-1]))
        logits, channel_weights = trace_head(last, states[-1])

    def gradients(weighting: tf.Tensor) -> Sequence[tf.Tensor]:
        found = tape.gradient(logits, states, weighting, unconnected_gradients="zero")
        return [stage.as_map(one) for stage, one in zip(classifier.stages, found, strict=True)]

    label = tf.argmax(logits, axis=-1, output_type=tf.int32)
    # 2  critical region: the gradient of log softmax(Z / T) at the label, Eq. 3
    one_hot = tf.one_hot(label, classifier.n_classes)
    pull = (one_hot - tf.nn.softmax(logits / temperature)) / temperature
    maps = ActivationMaps(
        last.as_map(states[-1]),
        channel_weights,
        states,
        gradients,
        pull,
        classifier.input_shape[:2],
        map_threshold,
        slope,
    )
    critical = tf.nn.relu(maps.of(pull[None]))
    region = maps.regions(critical)[:, 0]
    return Prediction(images, states[-1], logits, label, critical[:, 0], region), maps


def _unseen(
    classifier: OpenedClassifier, images: tf.Tensor, map_threshold: float
) -> tuple[Prediction, ActivationMaps]:
    """The prediction of a classifier without maps: it rests on nothing that can be seen."""
    features = classifier.features(images)
    logits = classifier.head(features)
    label = tf.argmax(logits, axis=-1, output_type=tf.int32)
    nothing = tf.zeros_like(features[:, :1, :1, 0])
    region = tf.zeros_like(images[..., 0], tf.bool)
    size = classifier.input_shape[:2]
    maps = ActivationMaps(features, _no_maps, (), _no_maps, nothing[:, 0], size, map_threshold)
    return Prediction(images, features, logits, label, nothing, region), maps


def _no_maps(weightings: tf.Tensor) -> NoReturn:
    raise UnsupportedClassifierError(
        "This rule needs the classifier's feature maps, and the classifier cannot be opened. "
        f"{BY_PASSES}"
    )
