"""Networks that can only be called: nothing but their answers is known.

A subclassed Keras model, a SavedModel or a function has no layers that could be called one by one.
Rules that look at feature maps have nothing to look at there; those that paint over pixels and ask
again need no more than this.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_taintradar.classifier.copying import probe_of
from tf_taintradar.classifier.graph import inference, is_graph
from tf_taintradar.classifier.intake import InputSize, image_size
from tf_taintradar.classifier.kinds import PreprocessorSpec, UnopenedClassifier
from tf_taintradar.classifier.logits import LINEAR, SIGMOID
from tf_taintradar.classifier.opened import ClassifierLike, OpenedClassifier, preprocessor_of
from tf_taintradar.classifier.rows import check_rows
from tf_taintradar.classifier.two_labels import asked_output, no_and_yes
from tf_taintradar.errors import UnsupportedClassifierError
from tf_taintradar.support.checks import reason_of, require

_SIGNATURE = "serving_default"
_SOFTMAX = "softmax"
_SMALLEST = float(np.finfo(np.float32).tiny)
_LEAST_LEFT = float(np.finfo(np.float32).epsneg)  # what float32 can be short of 1
_ANSWER = {LINEAR: tf.identity, SIGMOID: tf.sigmoid, _SOFTMAX: tf.math.exp}
_PYTHON = ("PyFunc", "PyFuncStateless", "EagerPyFunc")
_SUM = 0.01  # how far from 1 the sum of probabilities may be, in half precision


@dataclasses.dataclass(frozen=True)
class ClosedClassifier(OpenedClassifier):
    """A classifier that is known only by its answers. Made by `close_classifier`.

    Its only map are the pixels: `features` are the images, `head` is the whole network, `stages`
    there are none.

    Attributes:
        is_in_graph: whether the network is a part of TensorFlow's graph; if not, it is called in
            Python, and cannot become a part of a SavedModel.
    """

    is_in_graph: bool


def is_closed(classifier: ClassifierLike) -> bool:
    """Whether a classifier can be called, but not opened; see `close_classifier`."""
    if isinstance(classifier, OpenedClassifier):
        return False
    if isinstance(classifier, keras.Sequential):  # a plain one is opened, once it is built
        return type(classifier).call is not keras.Sequential.call
    if isinstance(classifier, keras.Model):
        return not is_graph(classifier)
    return callable(classifier) or hasattr(classifier, "signatures")


def close_classifier(
    classifier: UnopenedClassifier,
    *,
    feature_layer: str | Sequence[str] | None = None,
    preprocessor: PreprocessorSpec | None = None,
    input_size: InputSize = None,
    label: int | None = None,
) -> ClosedClassifier:
    """Wraps a classifier that cannot be opened, for rules that need only its answers.

    If the classifier returns probabilities, their logarithms serve as logits, up to a constant that
    no rule sees. They are cut off at 1e-38, some 87 nats below a certain label; those of a sigmoid
    at 17 above zero. Pass a classifier that returns logits if you can.

    Args:
        classifier: a subclassed Keras model or another Keras layer, as a `keras.layers.TFSMLayer`
            or an `onnx.OnnxLayer`; what `tf.saved_model.load` gives; or a function. It maps images
            (b, H, W, c) to class logits or probabilities (b, n), n >= 2, or to sigmoids. A function
            that only works on arrays is given arrays, outside of TensorFlow's graph.
        feature_layer: must be left out.
        preprocessor: raw pixels -> the classifier's input; see `preprocessing.make_preprocessor`.
        input_size: height and width of the images, as one number or as `(height, width)`, where
            the classifier does not say them. It takes three channels then.
        label: the label to watch in a multi-label network; see `open_classifier`.

    Raises:
        UnsupportedClassifierError: the classifier fails on such images, does not answer each by
            itself, or answers neither logits nor probabilities.
        ValueError: `feature_layer` is given, or `input_size` or `label` does not fit the
            classifier.
    """
    expected = "left out: this classifier cannot be opened, so none of its layers can be looked at"
    require(feature_layer is None, "feature_layer", feature_layer, expected)
    network, spec = _function_of(classifier)
    height, width = image_size(spec.shape, input_size)
    shape = (height, width, spec.shape[3] or 3)
    preprocess = preprocessor_of(classifier, preprocessor, shape)

    def prepare(pixels: tf.Tensor) -> tf.Tensor:
        return _as_input(preprocess(tf.cast(pixels, tf.float32)), spec.dtype)

    ask, is_in_graph = _in_graph(network, prepare, shape)
    answer = _probe(ask, shape)
    activation = _activation_of(answer)
    asked = asked_output(activation, answer.shape[1], label)

    def head(pixels: tf.Tensor) -> tf.Tensor:
        answers = tf.ensure_shape(tf.cast(ask(pixels), tf.float32), (None, answer.shape[1]))
        logits = _logits_of(answers, activation)
        return logits if asked is None else no_and_yes(logits[:, asked : asked + 1])

    def predictions(logits: tf.Tensor) -> tf.Tensor:
        return _ANSWER[activation](logits if asked is None else logits[:, 1:])

    closed = ClosedClassifier(
        input_shape=shape,
        n_classes=answer.shape[1] if asked is None else 2,
        feature_layer="the images",
        feature_shape=shape,
        coarse_layer=None,
        features=_as_pixels,
        head=head,
        predictions=predictions,
        stages=(),
        trunk=_as_pixels,
        patches=None,
        is_in_graph=is_in_graph,
    )
    check_rows(closed)
    return closed


def check_exportable(classifier: OpenedClassifier) -> None:
    """Refuses a classifier that TensorFlow's graph only holds as a call of Python.

    Raises:
        UnsupportedClassifierError: it is one.
    """
    if _is_called_in_python(classifier):
        raise UnsupportedClassifierError(
            "A SavedModel can hold only TensorFlow's operations, but this classifier is called in "
            "Python (a function of arrays, or ONNX Runtime). Serve the detector from Python, or "
            "take the network as a Keras model or a SavedModel."
        )


def check_gradients(classifier: OpenedClassifier) -> None:
    """Refuses a classifier that no gradients pass, so that no attack can be made against it.

    Raises:
        UnsupportedClassifierError: it is called in Python.
    """
    if _is_called_in_python(classifier):
        raise UnsupportedClassifierError(
            "An attack needs the classifier's gradients, but this classifier is called in Python "
            "(a function of arrays, or ONNX Runtime). Make the attack on the same network as a "
            "Keras model or a SavedModel, and apply its patches here."
        )


def _is_called_in_python(classifier: OpenedClassifier) -> bool:
    return isinstance(classifier, ClosedClassifier) and not classifier.is_in_graph


def _as_pixels(pixels: tf.Tensor) -> tf.Tensor:
    return tf.cast(pixels, tf.float32)


def _function_of(
    classifier: UnopenedClassifier,
) -> tuple[Callable[[tf.Tensor], Any], tf.TensorSpec]:
    """What is called, and the form of what it takes; unknown sizes are None."""
    if isinstance(classifier, keras.layers.Layer):
        return classifier, _spec_of_layer(classifier)
    signatures = getattr(classifier, "signatures", None)
    if not signatures and callable(classifier):
        return classifier, _spec_of_function(classifier)
    if not signatures or _SIGNATURE not in signatures:
        names = ", ".join(map(repr, signatures or ())) or "none"
        raise UnsupportedClassifierError(
            f"`classifier` must have a signature {_SIGNATURE!r}. Received: a SavedModel with "
            f"{names}. Pass the one to ask, `loaded.signatures[name]`, or a function of images "
            "that calls it."
        )
    return _function_of(signatures[_SIGNATURE])


def _spec_of_layer(layer: keras.layers.Layer) -> tf.TensorSpec:
    """What a layer says of its input, if it does."""
    endpoint = getattr(layer, "call_endpoint_fn", None)  # of a TFSMLayer
    if endpoint is not None:
        return _spec_of_function(endpoint)
    known = getattr(layer, "image_shape", None)  # of an OnnxLayer
    shape: Any = (None, *known) if known else (layer.get_build_config() or {}).get("input_shape")
    is_image = isinstance(shape, Sequence) and len(shape) == 4
    return tf.TensorSpec((None, *shape[1:]) if is_image else (None,) * 4, tf.float32)


def _spec_of_function(function: Any) -> tf.TensorSpec:
    """What a function says of its one input, if it does; a signature takes it by name."""
    arguments, named = getattr(function, "structured_input_signature", ((), {}))
    specs = [spec for spec in (*arguments, *named.values()) if isinstance(spec, tf.TensorSpec)]
    if not specs:
        return tf.TensorSpec((None,) * 4, tf.float32)
    rank = specs[0].shape.rank
    if len(specs) > 1 or rank != 4:
        raise UnsupportedClassifierError(
            "`classifier` must take one batch of images (batch, height, width, channels). "
            f"Received: a function of {', '.join(map(str, specs))}. Wrap it in one that does."
        )
    return specs[0]


def _as_input(images: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Images in the type that the network takes; whole numbers are rounded, not cut."""
    if dtype.is_integer:
        return tf.saturate_cast(tf.round(images), dtype)
    return tf.cast(images, dtype)


def _single(answer: Any) -> Any:
    """The one output of a network; a SavedModel answers a dict."""
    outputs = keras.tree.flatten(answer)
    if len(outputs) != 1:
        names = f" ({', '.join(answer)})" if isinstance(answer, dict) else ""
        raise UnsupportedClassifierError(
            f"`classifier` must have one output. Received: {len(outputs)}{names}. Pass a function "
            "that gives the class output alone: `lambda images: network(images)[name]`."
        )
    return outputs[0]


def _in_graph(
    network: Callable[[Any], Any],
    prepare: Callable[[tf.Tensor], tf.Tensor],
    shape: tuple[int, int, int],
) -> tuple[Callable[[tf.Tensor], tf.Tensor], bool]:
    """The network on pixels as a part of a graph, and whether it is one without calling Python."""
    call = inference(lambda pixels: network(prepare(pixels)))

    def inside(pixels: tf.Tensor) -> tf.Tensor:
        return _single(call(pixels))  # outside of Keras, which wraps errors in its own words

    spec = tf.TensorSpec((None, *shape), tf.float32)
    try:
        traced = tf.function(inside, autograph=False).get_concrete_function(spec)
    except UnsupportedClassifierError:
        raise
    except Exception:  # what Python code makes of a symbolic tensor
        return inference(lambda pixels: _called(network, prepare(pixels))), False
    return inside, not _calls_python(traced.graph.as_graph_def())


def _calls_python(graph: Any) -> bool:
    nodes = [*graph.node, *(node for part in graph.library.function for node in part.node_def)]
    return any(node.op in _PYTHON for node in nodes)


def _called(network: Callable[[Any], Any], images: tf.Tensor) -> tf.Tensor:
    """The answer of a function in Python, which is given an array and answers one."""

    def call(array: Any) -> Any:
        answer = network(array)
        is_rows = isinstance(answer, list) and all(isinstance(row, list) for row in answer)
        return np.asarray(answer if is_rows else _single(answer), np.float32)

    return tf.numpy_function(call, [images], tf.float32)


def _probe(ask: Callable[[tf.Tensor], tf.Tensor], shape: tuple[int, int, int]) -> Any:
    """The answers to some images, float32."""
    try:
        answer = np.asarray(ask(tf.constant(probe_of(shape))), np.float32)
    except UnsupportedClassifierError:
        raise
    except Exception as error:  # what the network raises
        raise UnsupportedClassifierError(
            f"`classifier` must work on images {shape} in any number. Received: one that fails on "
            f"them: {reason_of(error)}"
        ) from error
    if answer.ndim != 2 or answer.shape[1] < 1:
        raise UnsupportedClassifierError(
            "`classifier` must answer (batch, classes). Received: an output of shape "
            f"{answer.shape} for {len(probe_of(shape))} images."
        )
    return answer


def _activation_of(answer: Any) -> str:
    """What made answers (b, n) of the logits: see `logits.Split`."""
    if not (answer >= 0).all() or not (answer <= 1 + _SUM).all():
        return LINEAR
    is_shared = answer.shape[1] > 1 and np.allclose(answer.sum(-1), 1, atol=_SUM)
    return _SOFTMAX if is_shared else SIGMOID


def _logits_of(answers: tf.Tensor, activation: str) -> tf.Tensor:
    """The logits of answers (b, n), as far as float32 tells them apart."""
    if activation == LINEAR:
        return answers
    logits = tf.math.log(tf.maximum(answers, _SMALLEST))
    if activation == SIGMOID:
        logits -= tf.math.log(tf.maximum(1 - answers, _LEAST_LEFT))
    return logits
