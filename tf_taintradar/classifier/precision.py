"""The same classifier, computing in half precision."""

from collections.abc import Iterator
from typing import Any

import keras

from tf_taintradar.errors import UnsupportedClassifierError
from tf_taintradar.support.checks import require

PRECISIONS = ("float32", "float16", "bfloat16")


def at_precision(classifier: Any, precision: str) -> Any:
    """A copy of the classifier that computes in another precision; its weights stay float32.

    Args:
        classifier: a Keras model, or a pair `(trunk, head)` of two.
        precision: "float16" or "bfloat16", or "float32": the classifier itself, as it is.

    Raises:
        ValueError: another `precision`.
        UnsupportedClassifierError: the classifier cannot be copied.
    """
    require(precision in PRECISIONS, "precision", precision, f"one of {', '.join(PRECISIONS)}")
    if precision == "float32":
        return classifier
    if isinstance(classifier, tuple | list):
        return tuple(at_precision(part, precision) for part in classifier)
    policy = keras.DTypePolicy(f"mixed_{precision}")
    try:
        copy = keras.models.clone_model(
            classifier, clone_function=lambda layer: _clone(layer, policy), recursive=True
        )
    except (TypeError, ValueError, NotImplementedError) as error:
        raise UnsupportedClassifierError(
            f"`classifier` ({classifier.name}) cannot be copied to compute in {precision}: {error} "
            "Export it in float32, or build it under keras.mixed_precision.set_global_policy"
            f"('mixed_{precision}')."
        ) from error
    copy.set_weights(classifier.get_weights())
    return copy


def precision_of(classifier: Any) -> str:
    """What the layers with weights compute in: one of `PRECISIONS`, a half one if any does.

    Args:
        classifier: a Keras model, or a pair `(trunk, head)` of two.
    """
    parts = classifier if isinstance(classifier, tuple | list) else (classifier,)
    used = {layer.compute_dtype for part in parts for layer in _leaves(part) if layer.weights}
    return next((half for half in PRECISIONS[1:] if half in used), PRECISIONS[0])


def _leaves(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    inner = getattr(layer, "layers", [])
    for part in inner:
        yield from _leaves(part)
    if not inner:
        yield layer


def _clone(layer: keras.layers.Layer, policy: keras.DTypePolicy) -> keras.layers.Layer:
    config = layer.get_config()
    return type(layer).from_config({**config, "dtype": policy} if "dtype" in config else config)
