"""From raw pixels to the classifier's input: preprocessing as a Keras layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_taintradar.classifier.graph import inference
from tf_taintradar.classifier.kinds import PreprocessorSpec, UnopenedClassifier
from tf_taintradar.classifier.rows import why_dependent
from tf_taintradar.errors import UnsupportedClassifierError
from tf_taintradar.images.pixels import Shape
from tf_taintradar.support.checks import reason_of


@keras.saving.register_keras_serializable(package="tf_taintradar")
class PixelScaling(keras.layers.Layer):
    """From raw RGB pixels to what a classifier was trained on: `(x / divide_by - mean) / std`.

    Args:
        reverse_channels: Whether the classifier takes BGR. `mean` and `std` are in its order.
        divide_by: One number: 255 maps [0, 255] to [0, 1].
        mean: Subtracted after the division: one number, or one for each channel.
        std: Divides the difference: one number, or one for each channel.
        **kwargs: `name`, `dtype` and `trainable` of every Keras layer. Without `dtype` the layer
            computes in float32, whatever the global dtype policy.

    Call arguments:
        images: (b, H, W, c) raw pixels in [0, 255].
    """

    def __init__(
        self,
        *,
        reverse_channels: bool = False,
        divide_by: float = 1.0,
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.reverse_channels = reverse_channels
        self.divide_by = divide_by
        self.mean = _numbers(mean)
        self.std = _numbers(std)

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """The images as the classifier takes them, in the same shape."""
        x = keras.ops.cast(images, self.compute_dtype)
        if self.reverse_channels:
            x = x[..., ::-1]
        return (x / self.divide_by - self.mean) / self.std

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the images: only their values change."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "reverse_channels": self.reverse_channels,
            "divide_by": self.divide_by,
            "mean": self.mean,
            "std": self.std,
        }


def _numbers(value: float | Sequence[float]) -> float | tuple[float, ...]:
    """A sequence as a tuple: the same before a config becomes JSON and after."""
    return tuple(value) if isinstance(value, Sequence) else value


_ANY_CHANNELS: dict[str, dict[str, Any]] = {
    "tf": {"divide_by": 127.5, "mean": 1.0},
    "unit": {"divide_by": 255.0},
}
_THREE_CHANNELS: dict[str, dict[str, Any]] = {
    "caffe": {"reverse_channels": True, "mean": (103.939, 116.779, 123.68)},
    "torch": {
        "divide_by": 255.0,
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
    },
    "vggface": {"reverse_channels": True, "mean": (93.5940, 104.7624, 129.1863)},
    "vggface2": {"reverse_channels": True, "mean": (91.4953, 103.8827, 131.0912)},
}
_SETTINGS = {**_ANY_CHANNELS, **_THREE_CHANNELS}


def make_preprocessor(spec: PreprocessorSpec | None, input_shape: Shape) -> keras.layers.Layer:
    """Makes the layer that turns raw pixels into the classifier's input.

    Args:
        spec: `None`: the classifier takes raw pixels. `"caffe"`, `"tf"`, `"torch"`: the modes of
            `keras.applications.imagenet_utils.preprocess_input` (VGG and ResNet; MobileNet,
            Inception, Xception and ResNetV2; DenseNet). `"unit"`: pixels in [0, 1]. `"vggface"`,
            `"vggface2"`: BGR minus the mean colour of the training faces, as keras-vggface's
            versions 1 (VGG16) and 2 (ResNet50, SENet50). Or a Keras layer or model, used as it is.
        input_shape: (H, W, c) that the classifier takes.

    Returns:
        A layer from (b, H, W, c) raw float32 pixels to the same shape.

    Raises:
        ValueError: `spec` is an unknown name, is for three channels although the input has another
            number, or changes the shape of the images.
        TypeError: `spec` is a function or something else that a saved model cannot hold.
    """
    if spec is None:
        return keras.layers.Identity(dtype="float32")
    if isinstance(spec, keras.layers.Layer):
        _check_shape(spec, input_shape)
        return spec
    if not isinstance(spec, str):
        raise TypeError(_not_a_layer(spec))
    if spec not in _SETTINGS:
        raise ValueError(
            f"`preprocessor` must be None, a Keras layer or one of {', '.join(_SETTINGS)}. "
            f"Received: {spec!r}."
        )
    if spec in _THREE_CHANNELS and input_shape[-1] != 3:
        raise ValueError(
            f"`preprocessor` {spec!r} is for three channels; the classifier has {input_shape[-1]}. "
            f"None, a Keras layer, {' and '.join(_ANY_CHANNELS)} work on any number."
        )
    return PixelScaling(**_SETTINGS[spec])


def own_preprocessor(classifier: UnopenedClassifier) -> keras.layers.Layer | None:
    """The `preprocessor` that a classifier has itself, as those of KerasHub have, or None.

    Its own `predict` applies it, a call of the classifier does not.

    Raises:
        UnsupportedClassifierError: it is no Keras layer.
    """
    first: Any = classifier[0] if isinstance(classifier, Sequence) and classifier else classifier
    own = getattr(first, "preprocessor", None) if isinstance(first, keras.Model) else None
    if own is None or isinstance(own, keras.layers.Layer):
        return own
    raise UnsupportedClassifierError(
        f"`classifier` ({first.name}) must have a `preprocessor` that is a Keras layer, or none. "
        f"Received: {own!r}. Pass what it does as `preprocessor=`, a name or a layer, or "
        "`preprocessor=keras.layers.Identity()` if the classifier takes raw pixels."
    )


def _check_shape(layer: keras.layers.Layer, input_shape: Shape) -> None:
    """Refuses a layer that does not answer two images (H, W, c) with two images (H, W, c)."""
    shape = (2, *input_shape)
    expected = f"a layer that answers images {shape} with images {shape}, the classifier's size"
    remedy = (
        "If it resizes, make it a part of the classifier and pass the result: keras.Sequential(["
        f"keras.Input((height, width, {input_shape[-1]})), preprocessor, classifier])."
    )
    images = np.full(shape, 128, np.float32)
    try:
        if not layer.built:  # in a graph it might keep tensors that only this graph knows
            layer(keras.KerasTensor((None, *input_shape), dtype="float32"))
        answer = inference(layer)(tf.constant(images))
    except Exception as error:  # what a layer raises
        received = f"{layer.name}, which fails on them: {reason_of(error)}"
        raise ValueError(
            f"`preprocessor` must be {expected}. Received: {received} {remedy}"
        ) from error
    shapes = [tuple(one.shape) for one in keras.tree.flatten(answer)]
    kind = f"a {type(answer).__name__} of " if keras.tree.is_nested(answer) else ""
    received = f"{layer.name}, which answers {kind}{' and '.join(map(str, shapes))}"
    if kind or shapes != [images.shape]:
        raise ValueError(f"`preprocessor` must be {expected}. Received: {received}. {remedy}")
    why = why_dependent(inference(layer), input_shape)
    if why is not None:
        raise ValueError(
            "`preprocessor` must treat each image by itself, and the same image always alike. "
            f"Received: {layer.name}, which gives {why}."
        )


def _not_a_layer(spec: Any) -> str:
    """Why a function, a class or anything else is no preprocessor, and what is."""
    return (
        f"`preprocessor` must be None, an instance of a Keras layer or model, or one of "
        f"{', '.join(_SETTINGS)}. Received: {spec!r}. A Python function cannot be saved with the "
        "detector. Instead of a preprocess_input of keras.applications pass 'caffe' (VGG, ResNet), "
        "'tf' (MobileNet, Inception, Xception, ResNetV2) or 'torch' (DenseNet); "
        "instead of another function a layer, e.g. keras.layers.Rescaling(1 / 255)."
    )
