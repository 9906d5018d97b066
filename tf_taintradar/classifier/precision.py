"""The same classifier, computing in half precision."""

from collections.abc import Iterator

import keras
import numpy as np
import numpy.typing as npt

from tf_taintradar.classifier.copying import copy_network, copy_networks
from tf_taintradar.classifier.kinds import UnopenedClassifier
from tf_taintradar.support.checks import require

PRECISIONS = ("float32", "float16", "bfloat16")


def at_precision(
    classifier: UnopenedClassifier, precision: str, probe: npt.NDArray[np.float32] | None = None
) -> UnopenedClassifier:
    """A copy of the classifier that computes in another precision; its weights stay float32.

    Args:
        classifier: a Keras model, or a pair `(trunk, head)` of two.
        precision: "float16" or "bfloat16", or "float32": the classifier itself, as it is.
        probe: (b, H, W, c) float32, preprocessed images on which the copy is compared with the
            classifier; by default random pixels from 0 to 255.

    Raises:
        ValueError: another `precision`.
        UnsupportedClassifierError: the classifier cannot be copied, or answers otherwise in that
            precision, by more than rounding.
    """
    require(precision in PRECISIONS, "precision", precision, f"one of {', '.join(PRECISIONS)}")
    if precision == "float32":
        return classifier
    if isinstance(classifier, tuple | list):
        return tuple(copy_networks(classifier, precision=precision, probe=probe))
    return copy_network(classifier, precision=precision, probe=probe)


def precision_of(classifier: UnopenedClassifier) -> str:
    """What the layers with weights compute in: one of `PRECISIONS`, a half one if any does.

    Args:
        classifier: a Keras model, or a pair `(trunk, head)` of two; of something else, the layers
            are not known, and it counts as float32.
    """
    given = classifier if isinstance(classifier, tuple | list) else (classifier,)
    parts = [part for part in given if isinstance(part, keras.layers.Layer)]
    used = {layer.compute_dtype for part in parts for layer in _leaves(part) if layer.weights}
    return next((half for half in PRECISIONS[1:] if half in used), PRECISIONS[0])


def _leaves(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    inner = getattr(layer, "layers", [])
    for part in inner:
        yield from _leaves(part)
    if not inner:
        yield layer
