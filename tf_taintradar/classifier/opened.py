"""Looks inside a Keras classifier without changing it: pixels -> feature map -> logits.

The classifier is cut at its feature layer into a trunk and a head. Every gradient that the detector
needs is taken over the head alone, so no backward pass ever enters the convolutions.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TypeAlias

import keras
import tensorflow as tf

from tf_taintradar.classifier.cut import Cut, TokenCut, mixes
from tf_taintradar.classifier.dense import with_cheap_gradient
from tf_taintradar.classifier.feature_layer import choose, choose_all
from tf_taintradar.classifier.graph import Form, Step, finite_rows, inference, run
from tf_taintradar.classifier.head_checks import check_head, check_logits, count_outputs
from tf_taintradar.classifier.intake import PIXELS, InputSize, read
from tf_taintradar.classifier.kinds import PreprocessorSpec, UnopenedClassifier
from tf_taintradar.classifier.logits import LINEAR, split_logits
from tf_taintradar.classifier.patches import Patches
from tf_taintradar.classifier.preprocessing import make_preprocessor, own_preprocessor
from tf_taintradar.classifier.rows import check_rows
from tf_taintradar.classifier.stage import Stage
from tf_taintradar.classifier.tokens import first_tokens
from tf_taintradar.classifier.two_labels import as_two_labels, asked_output
from tf_taintradar.errors import UnsupportedClassifierError
from tf_taintradar.support.checks import require

_EARLIER = 2  # stages before the feature map


@dataclasses.dataclass(frozen=True)
class OpenedClassifier:
    """A classifier as the detector sees it. Made by `open_classifier`.

    Attributes:
        input_shape: (H, W, c) of the images.
        n_classes: number of labels, n.
        feature_layer: name of the layer whose output is the feature map.
        feature_shape: (h, w, channels) of the feature map.
        coarse_layer: a later layer, which was passed over because its map is too coarse; None:
            there is none.
        features: raw pixels (b, H, W, c) float32, 0..255 -> feature map (b, h, w, channels),
            float32; of a transformer the tokens, the state of the last of `stages`.
        head: feature map, or tokens -> logits (b, n) float32.
        predictions: logits -> what the classifier itself answers for them, in its own dtype.
        stages: the feature map, last, and the earlier ones that are looked at, first to last.
        trunk: raw pixels -> the first stage's state, float32.
        patches: a transformer that can do without some of its patches; None: another network.

    All of them run in inference mode, also inside a model that trains, and leave no trace on the
    classifier.
    """

    input_shape: tuple[int, int, int]
    n_classes: int
    feature_layer: str
    feature_shape: tuple[int, int, int]
    coarse_layer: str | None
    features: Callable[[tf.Tensor], tf.Tensor]
    head: Callable[[tf.Tensor], tf.Tensor]
    predictions: Callable[[tf.Tensor], tf.Tensor]
    stages: tuple[Stage, ...]
    trunk: Callable[[tf.Tensor], tf.Tensor]
    patches: Patches | None

    @property
    def is_closed(self) -> bool:
        """Whether only its answers are known; see `closed.ClosedClassifier`."""
        return not self.stages

    @property
    def last(self) -> Stage:
        """The stage of the feature map; of a classifier that is not opened, that of the images."""
        return [Stage(self.feature_layer, self.feature_shape, self.head), *self.stages][-1]

    def logits(self, pixels: tf.Tensor) -> tf.Tensor:
        """Logits (b, n) float32 of raw pixels (b, H, W, c) float32, 0..255."""
        return self.head(self.features(pixels))


ClassifierLike: TypeAlias = UnopenedClassifier | OpenedClassifier
"""A classifier in any form: as Keras or TensorFlow holds it, or opened already."""


def open_classifier(
    classifier: ClassifierLike,
    *,
    feature_layer: str | Sequence[str] | None = None,
    preprocessor: PreprocessorSpec | None = None,
    input_size: InputSize = None,
    label: int | None = None,
) -> OpenedClassifier:
    """Opens a Keras image classifier; its weights, activations and `trainable` stay as they are.

    A classifier that is already opened is returned as it is.

    Args:
        classifier: a Functional or Sequential model (nested models are looked into), convolutional
            or a vision transformer, that maps one image batch (b, H, W, c) to class logits or
            probabilities (b, n), n >= 2, or to sigmoids; or, for a subclassed network, a pair
            `(trunk, head)` of two built models: images -> feature map, feature map -> logits or
            probabilities. Or an `OpenedClassifier`, which has its feature
            layer, preprocessor and input size already.
        feature_layer: the layer whose output is the feature map, a layer of a nested model as
            `"base/conv5"` or just `"conv5"`. By default the last spatial feature map with weights
            between it and the logits that is not too coarse, see `feature_layer.choose`; for a
            pair, the trunk's output. Or the layers of all maps that are looked at, first to last,
            the feature map's last: by default up to two earlier ones are found, see
            `feature_layer.earlier`.
        preprocessor: raw pixels -> the classifier's input; see `preprocessing.make_preprocessor`.
            By default the `preprocessor` that the classifier itself has, as those of KerasHub have;
            if it has none, the classifier takes raw pixels.
        input_size: height and width of the images, as one number or as `(height, width)`, for a
            classifier that takes images of any size: the size that it was trained on.
        label: the label to watch in a multi-label network, whose labels do not compete, counted
            from 0. The opened classifier then has two labels, 0 for no and 1 for yes, and its
            predictions are (b, 1). A classifier with a single sigmoid is treated the same way and
            needs no `label`; one with a single logit needs label=0, which says that it belongs to a
            sigmoid.

    Raises:
        UnsupportedClassifierError: the classifier cannot be opened, or takes images of any size and
            `input_size` is not given, or has several sigmoids and `label` is not given; the text
            says why.
        ValueError: the preprocessor does not answer images that the classifier takes,
            `input_size` or `label` does not fit the classifier, or an argument is given for a
            classifier that is opened.

    Source: Eq. 1-2 of the paper need the last convolution's output; which layer that really is:
    `feature_layer.choose`.
    """
    if isinstance(classifier, OpenedClassifier):
        for argument, value in {
            "feature_layer": feature_layer,
            "preprocessor": preprocessor,
            "input_size": input_size,
            "label": label,
        }.items():
            require(value is None, argument, value, "left out: the classifier is opened already")
        return classifier
    steps, output, shape, known = read(classifier, input_size)
    n_outputs = count_outputs(known[output].shape)
    split = split_logits(steps, output, known)
    asked = asked_output(split.activation, n_outputs, label)
    if asked is not None:
        split, known = as_two_labels(split, output, asked, known)
    body, logits_key, tail, activation = split
    n_classes = n_outputs if asked is None else 2
    if not isinstance(classifier, keras.Model) and feature_layer is None:
        feature_layer = steps[0].name
    points = choose_all(body, known, feature_layer, _EARLIER)
    cut = points[-1]
    base = _trunk(body[: cut.position], cut.key, known)
    trunk = _trunk(body[: points[0].position], points[0].key, known)
    above = [with_cheap_gradient(step) for step in body[cut.position :]]
    top = _part(above, cut.key, logits_key, known)
    answer = _part(tail, logits_key, output, known)
    preprocess = preprocessor_of(classifier, preprocessor, shape)

    def to_map(part: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
        def run_part(pixels: tf.Tensor) -> tf.Tensor:
            return tf.cast(part(preprocess(tf.cast(pixels, tf.float32))), tf.float32)

        return inference(run_part)

    def between(start: Cut, end: Cut) -> Callable[[tf.Tensor], tf.Tensor]:
        part = _part(body[start.position : end.position], start.key, end.key, known)

        def onwards(feature_map: tf.Tensor) -> tf.Tensor:
            return _nan_unless(finite_rows([feature_map]), tf.cast(part(feature_map), tf.float32))

        return onwards

    def head(feature_map: tf.Tensor) -> tf.Tensor:
        return tf.cast(_rows(top(feature_map), (n_classes,)), tf.float32)

    def predictions(logits: tf.Tensor) -> tf.Tensor:
        return answer(_rows(logits, known[logits_key].shape[1:]))

    stages = tuple(
        _stage(point, known, onwards)
        for point, onwards in zip(points, [*map(between, points, points[1:]), head], strict=True)
    )
    opened = OpenedClassifier(
        input_shape=shape,
        n_classes=n_classes,
        feature_layer=cut.layer,
        feature_shape=stages[-1].shape,
        coarse_layer=cut.instead_of,
        features=to_map(base),
        head=head,
        predictions=predictions,
        stages=stages,
        trunk=to_map(trunk),
        patches=None,
    )
    check_head(opened, _part(steps[cut.position :], cut.key, output, known), asked)
    if activation == LINEAR:
        check_logits(opened)
    check_rows(opened)
    first = first_tokens(body, known) if isinstance(cut, TokenCut) else None
    if first is None:
        return opened
    patches = Patches(
        to_map(_trunk(body[: first.position], first.key, known)),
        _any_number(body[first.position :], first.key, logits_key, known),
        first.n_special,
    )
    return dataclasses.replace(opened, patches=patches if patches.are_a_set(shape) else None)


def former_feature_layer(
    classifier: UnopenedClassifier, input_size: InputSize = None
) -> str | None:
    """The layer that was chosen before 0.2, where another one is chosen now; None elsewhere."""
    if not isinstance(classifier, keras.Model):
        return None
    steps, output, shape, known = read(classifier, input_size)
    return choose(split_logits(steps, output, known).body, known).instead_of


def _stage(cut: Cut, known: dict[int, Form], onwards: Callable[[tf.Tensor], tf.Tensor]) -> Stage:
    shape = known[cut.key].shape[1:]
    if isinstance(cut, TokenCut):
        return Stage(cut.layer, (*cut.size, shape[-1]), onwards, cut.n_special)
    return Stage(cut.layer, shape, onwards)


def preprocessor_of(
    classifier: UnopenedClassifier,
    preprocessor: PreprocessorSpec | None,
    shape: tuple[int, int, int],
) -> keras.layers.Layer:
    """The preprocessor that is given, else the classifier's own, else one that changes nothing."""
    own = own_preprocessor(classifier) if preprocessor is None else None
    if own is None:
        return make_preprocessor(preprocessor, shape)
    try:
        return make_preprocessor(own, shape)
    except ValueError as error:
        raise UnsupportedClassifierError(
            "`classifier` has a `preprocessor` of its own, which cannot be taken over. Pass what "
            "it does as `preprocessor=`, a name or a layer, or `keras.layers.Identity()` if the "
            f"classifier takes raw pixels. {error}"
        ) from error


def _part(
    steps: Sequence[Step], source: int, result: int, known: dict[int, Form]
) -> Callable[[tf.Tensor], tf.Tensor]:
    """The function from the tensor `source` of the network to its tensor `result`."""
    form = known[source]
    shape = (None, *form.shape[1:]) if form.shape else None

    def part(tensor: tf.Tensor) -> tf.Tensor:
        start = tf.ensure_shape(tf.cast(tensor, form.dtype), shape)
        return run(steps, {source: start})[result]

    return inference(part)


def _any_number(
    steps: Sequence[Step], source: int, result: int, known: dict[int, Form]
) -> Callable[[tf.Tensor], tf.Tensor]:
    """The function from the tokens `source`, in any number, to the logits `result`, float32."""

    def part(tokens: tf.Tensor) -> tf.Tensor:
        answer = run(steps, {source: tf.cast(tokens, known[source].dtype)})[result]
        return tf.cast(_rows(answer, known[result].shape[1:]), tf.float32)

    return inference(part)


def _trunk(
    steps: Sequence[Step], result: int, known: dict[int, Form]
) -> Callable[[tf.Tensor], tf.Tensor]:
    """The function from pixels to the feature map; NaN for rows that are not finite before it.

    A convolution that TensorFlow fuses with its ReLU makes zeros of them, and an answer that looks
    like any other.
    """
    compute = _part(steps, PIXELS, result, known)
    position = next((i for i, step in enumerate(steps) if mixes(step.operation)), None)
    if position is None:
        return compute
    prepare = [_part(steps[:position], PIXELS, key, known) for key in steps[position].inputs]

    def trunk(pixels: tf.Tensor) -> tf.Tensor:
        return _nan_unless(finite_rows(part(pixels) for part in prepare), compute(pixels))

    return trunk


def _nan_unless(is_finite: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
    """Features (b, ...), NaN in the rows that are not finite, `is_finite` (b,)."""
    nan = tf.constant(float("nan"), features.dtype)
    is_finite = tf.reshape(is_finite, (-1, *[1] * (features.shape.rank - 1)))
    return tf.where(is_finite, features, nan)


def _rows(tensor: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    """Each row as `shape`, which holds as many numbers: (n,) and (1, 1, n) are the same logits."""
    return tf.reshape(tensor, (tf.shape(tensor)[0], *shape))
