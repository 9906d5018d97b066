"""Whether each image of a batch is answered by itself."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tf_taintradar.classifier.copying import probe_of
from tf_taintradar.errors import UnsupportedClassifierError

_ROUNDING = 0.03  # of the answers' range: half precision, too


def why_dependent(compute: Callable[[tf.Tensor], Any], shape: tuple[int, int, int]) -> str | None:
    """What tells that an image's answer depends on other images, or on chance; None: nothing.

    Asks for the answers to two images together, and to each of them alone.

    Args:
        compute: raw pixels (b, H, W, c) float32, 0..255 -> (b, ...), the answers.
        shape: (H, W, c).
    """
    images = probe_of(shape)[:2] * np.array([1, 0.4], np.float32)[:, None, None, None]
    ways = images, images[:1], images[1:]
    together, *apart = (np.asarray(compute(tf.constant(way)), np.float32) for way in ways)
    if together.shape[0] != len(images):
        return f"an answer of shape {together.shape} to two images"
    known = together[np.isfinite(together)]
    width = max(np.ptp(known), 1e-3 * abs(known).max()) if known.size else 0
    tolerance = _ROUNDING * width + 1e-6
    if np.allclose(together, np.concatenate(apart), rtol=0, atol=tolerance, equal_nan=True):
        return None
    return "another answer to an image alone than to the same image beside another one"


def check_rows(opened: Any) -> None:
    """Runs the network on two images, to refuse one that does not answer each by itself.

    Args:
        opened: the network as an `OpenedClassifier`.

    Raises:
        UnsupportedClassifierError: another image, or chance, changes what it answers to an image.
    """

    def answer(images: tf.Tensor) -> tf.Tensor:
        features = opened.features(images)
        return opened.head(features) if len(features) == len(images) else features

    why = why_dependent(answer, opened.input_shape)
    if why is not None:
        raise UnsupportedClassifierError(
            "`classifier` must answer each image by itself, and the same image always alike. "
            f"Received: a network that gives {why}, at its feature layer `{opened.feature_layer}` "
            "or behind it. Leave out what divides or joins the images of a batch, what adapts to "
            "the batch, and what draws random numbers in inference, too."
        )
