"""Looks inside a Keras classifier without changing it: pixels -> feature map -> logits.

The classifier is cut at its feature layer into a trunk and a head. Every gradient that the detector
needs is taken over the head alone, so no backward pass ever enters the convolutions.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_taintradar.classifier import feature_layer as layers
from tf_taintradar.classifier.dense import with_cheap_gradient
from tf_taintradar.classifier.graph import (
    Form,
    Step,
    call_step,
    flatten,
    forms,
    inference,
    is_graph,
    run,
)
from tf_taintradar.classifier.logits import split_logits
from tf_taintradar.classifier.preprocessing import make_preprocessor
from tf_taintradar.errors import UnsupportedClassifierError
from tf_taintradar.support.checks import require

_PIXELS = 0  # the key of the classifier's input among the tensors of its steps
_EARLIER = 2  # stages before the feature map
_OPEN_SIZE = (224, 224)  # for networks that take any size: what keras.applications trains them on


@dataclasses.dataclass(frozen=True)
class Stage:
    """A feature map of the classifier, and the way from there to the next one.

    Attributes:
        layer: name of the layer whose output is the map.
        shape: (h, w, channels) of the map.
        onwards: map (b, h, w, channels) -> the next stage's map, of the last stage the logits;
            float32.
    """

    layer: str
    shape: tuple[int, int, int]
    onwards: Callable[[tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class OpenedClassifier:
    """A classifier as the detector sees it. Made by `open_classifier`.

    Attributes:
        input_shape: (H, W, c) of the images.
        n_classes: number of labels, n.
        feature_layer: name of the layer whose output is the feature map.
        feature_shape: (h, w, channels) of the feature map.
        features: raw pixels (b, H, W, c) float32, 0..255 -> feature map (b, h, w, channels),
            float32.
        head: feature map -> logits (b, n) float32.
        predictions: logits -> what the classifier itself answers for them, in its own dtype.
        stages: the feature map, last, and up to two earlier ones, first to last.
        trunk: raw pixels -> the first stage's map, float32.

    All of them run in inference mode, also inside a model that trains, and leave no trace on the
    classifier.
    """

    input_shape: tuple[int, int, int]
    n_classes: int
    feature_layer: str
    feature_shape: tuple[int, int, int]
    features: Callable[[tf.Tensor], tf.Tensor]
    head: Callable[[tf.Tensor], tf.Tensor]
    predictions: Callable[[tf.Tensor], tf.Tensor]
    stages: tuple[Stage, ...]
    trunk: Callable[[tf.Tensor], tf.Tensor]

    def logits(self, pixels: tf.Tensor) -> tf.Tensor:
        """Logits (b, n) float32 of raw pixels (b, H, W, c) float32, 0..255."""
        return self.head(self.features(pixels))


def open_classifier(
    classifier: Any, *, feature_layer: str | None = None, preprocessor: Any = None
) -> OpenedClassifier:
    """Opens a Keras image classifier; its weights, activations and `trainable` stay as they are.

    What is opened already is returned as it is.

    Args:
        classifier: a Functional or Sequential model (nested models are looked into) that maps one
            image batch (b, H, W, c) to class logits or probabilities (b, n), n >= 2; or, for a
            subclassed network, a pair `(trunk, head)` of two built models: images -> feature map,
            feature map -> logits or probabilities. A network that takes images of any size is
            opened at 224 x 224; for another size put a `keras.Input` of that size before it. Or an
            `OpenedClassifier`, which has its feature layer and preprocessor already.
        feature_layer: the layer whose output is the feature map, a layer of a nested model as
            `"base/conv5"` or just `"conv5"`. By default the last spatial feature map with weights
            between it and the logits; for a pair, the trunk's output.
        preprocessor: raw pixels -> the classifier's input; see `preprocessing.make_preprocessor`.

    Raises:
        UnsupportedClassifierError: the classifier cannot be opened; the text says why.
        ValueError: `feature_layer` or `preprocessor` is given for a classifier that is opened.

    Source: Eq. 1-2 of the paper need the last convolution's output; which layer that really is:
    `feature_layer.choose`.
    """
    if isinstance(classifier, OpenedClassifier):
        for argument, value in {
            "feature_layer": feature_layer,
            "preprocessor": preprocessor,
        }.items():
            require(value is None, argument, value, "left out: the classifier is opened already")
        return classifier
    steps, output, shape = _steps(classifier)
    known = forms(steps, _PIXELS, tf.TensorSpec((None, *shape), tf.float32))
    n_classes = _count_classes(known[output].shape)
    body, logits_key, tail = split_logits(steps, output, known)
    if not isinstance(classifier, keras.Model) and feature_layer is None:
        feature_layer = steps[0].name
    cut = layers.find(body, known, feature_layer) if feature_layer else layers.choose(body, known)
    points = [*layers.earlier(body, known, cut, _EARLIER), cut]
    base = _part(body[: cut.position], _PIXELS, cut.key, known)
    trunk = _part(body[: points[0].position], _PIXELS, points[0].key, known)
    above = [with_cheap_gradient(step) for step in body[cut.position :]]
    top = _part(above, cut.key, logits_key, known)
    preprocess = make_preprocessor(preprocessor, shape)

    def to_map(part: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
        def run_part(pixels: tf.Tensor) -> tf.Tensor:
            return tf.cast(part(preprocess(tf.cast(pixels, tf.float32))), tf.float32)

        return inference(run_part)

    def between(start: layers.Cut, end: layers.Cut) -> Callable[[tf.Tensor], tf.Tensor]:
        part = _part(body[start.position : end.position], start.key, end.key, known)
        return lambda feature_map: tf.cast(part(feature_map), tf.float32)

    def head(feature_map: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.reshape(top(feature_map), (-1, n_classes)), tf.float32)

    opened = OpenedClassifier(
        input_shape=shape,
        n_classes=n_classes,
        feature_layer=cut.layer,
        feature_shape=known[cut.key].shape[1:],
        features=to_map(base),
        head=head,
        predictions=_part(tail, logits_key, output, known),
        stages=tuple(
            Stage(point.layer, known[point.key].shape[1:], onwards)
            for point, onwards in zip(
                points, [*map(between, points, points[1:]), head], strict=True
            )
        ),
        trunk=to_map(trunk),
    )
    _check_head(opened, _part(steps[cut.position :], cut.key, output, known))
    return opened


def _part(
    steps: Sequence[Step], source: int, result: int, known: dict[int, Form]
) -> Callable[[tf.Tensor], tf.Tensor]:
    """The function from the tensor `source` of the network to its tensor `result`."""
    form = known[source]

    def part(tensor: tf.Tensor) -> tf.Tensor:
        start = tf.reshape(tf.cast(tensor, form.dtype), (-1, *form.shape[1:]))
        return run(steps, {source: start})[result]

    return inference(part)


def _steps(classifier: Any) -> tuple[list[Step], int, tuple[int, int, int]]:
    """The classifier's steps, the key of its output and the shape of one image."""
    if isinstance(classifier, Sequence) and len(classifier) == 2:
        return _pair_steps(*classifier)
    if not isinstance(classifier, keras.Model):
        kind = type(classifier)
        raise UnsupportedClassifierError(
            "`classifier` must be a keras.Model (Keras 3) whose layers can be opened, or a pair "
            f"(trunk, head) of two. Received: {kind.__module__}.{kind.__qualname__}. A SavedModel "
            "keeps no layers: load the network from its .keras file, or rebuild it and load its "
            "weights."
        )
    if not is_graph(classifier):
        raise UnsupportedClassifierError(_why_closed(classifier))
    _check_single("`classifier`", classifier)
    steps, output = flatten(classifier, _PIXELS)
    return steps, output, _image_shape(classifier.inputs[0].shape, steps)


def _pair_steps(trunk: Any, head: Any) -> tuple[list[Step], int, tuple[int, int, int]]:
    for role, part in (("trunk", trunk), ("head", head)):
        if not isinstance(part, keras.layers.Layer) or not part.built:
            raise UnsupportedClassifierError(
                f"The {role} of the pair `classifier` must be a built Keras model. Received: "
                f"{part!r}. Call it once on a batch before."
            )
        if is_graph(part):
            _check_single(f"The {role} of the pair `classifier`", part)
    features = _PIXELS + 1
    first = call_step(trunk, trunk.name, _PIXELS, features)
    if is_graph(head):
        rest, output = flatten(head, features)
    else:
        output = features + 1
        rest = [call_step(head, head.name, features, output)]
    build = trunk.get_build_config() or {}
    shape = trunk.input_shape if is_graph(trunk) else build.get("input_shape")
    return [first, *rest], output, _image_shape(shape, [first, *rest])


def _check_single(what: str, model: keras.Model) -> None:
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UnsupportedClassifierError(
            f"{what} must have one input and one output. Received: {len(model.inputs)} inputs and "
            f"{len(model.outputs)} outputs. Make a keras.Model of the image input and the class "
            "output alone."
        )


def _image_shape(shape: Any, steps: Sequence[Step]) -> tuple[int, int, int]:
    if shape is None or len(shape) != 4:
        raise UnsupportedClassifierError(
            "`classifier` must take images of shape (batch, height, width, channels). Received: an "
            f"input of shape {shape}."
        )
    operations = (operation for step in steps for operation in _with_layers(step.operation))
    if any(getattr(o, "data_format", None) == "channels_first" for o in operations):
        raise UnsupportedClassifierError(
            "`classifier` holds its channels first; only channels-last networks are supported. "
            "Rebuild it with data_format='channels_last' and load the same weights."
        )
    height, width, channels = shape[1:]
    if channels is None or (height is None) != (width is None):
        raise UnsupportedClassifierError(
            f"`classifier` leaves its input shape open: {tuple(shape)}. Fix it first: "
            "`inputs = keras.Input((224, 224, 3)); keras.Model(inputs, classifier(inputs))`."
        )
    return (*_OPEN_SIZE, channels) if height is None else (height, width, channels)


def _with_layers(operation: Any) -> Iterator[Any]:
    yield operation
    if isinstance(operation, keras.Model):
        for layer in operation.layers:
            yield from _with_layers(layer)


def _why_closed(classifier: keras.Model) -> str:
    name = type(classifier).__name__
    if type(classifier).call is keras.Sequential.call:
        return (
            f"`classifier` ({name}) is not built yet, so its input shape is unknown: start it with "
            "`keras.Input(shape)`, or call it once on a batch. If it is, Keras cannot infer the "
            "shapes of one of its layers: give that layer a `compute_output_shape`."
        )
    return (
        f"`classifier` ({name}) is a subclassed model: its layers are called in Python code, which "
        "cannot be cut at a feature map. Give it as two models instead, "
        "`TaintRadarModel((trunk, head))`: images -> last feature map, feature map -> logits."
    )


def _count_classes(shape: tuple[int | None, ...]) -> int:
    if len(shape) != 2 or shape[-1] is None:
        raise UnsupportedClassifierError(
            f"`classifier` must answer (batch, classes). Received: an output of shape {shape}."
        )
    if shape[-1] < 2:
        raise UnsupportedClassifierError(
            "`classifier` has a single output, so no other label can be suppressed. A two-class "
            "problem needs two outputs with a softmax: TaintRadar compares ranks of labels."
        )
    return shape[-1]


def _check_head(opened: OpenedClassifier, whole_head: Callable[[tf.Tensor], tf.Tensor]) -> None:
    """Runs the head on noise, to refuse what only its numbers give away."""
    noise = tf.random.stateless_uniform((2, *opened.feature_shape), (0, 1))
    logits = opened.head(noise)
    ours, answer = (
        np.asarray(tensor, np.float32) for tensor in (opened.predictions(logits), whole_head(noise))
    )
    if not np.allclose(ours, answer, rtol=0.01, atol=0.01 * abs(answer).max(), equal_nan=True):
        raise UnsupportedClassifierError(
            "`classifier` cannot be split into logits and a softmax: put together again, they do "
            "not give its own answer (a custom last layer, or random numbers?). End it with a "
            "Dense layer and a keras.layers.Softmax, or without a softmax."
        )
    unsplit = np.array_equal(logits, answer)
    if unsplit and (answer >= 0).all() and np.allclose(answer.sum(-1), 1, atol=0.01):
        raise UnsupportedClassifierError(
            "`classifier` answers probabilities, but its last layer is not a softmax that can be "
            "taken off (a Lambda or a subclassed head?). End it with a Dense layer and a "
            "keras.layers.Softmax, or without a softmax."
        )
