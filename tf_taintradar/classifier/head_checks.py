"""What only the numbers of a classifier's head give away, and what is refused for it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tf_taintradar.errors import UnsupportedClassifierError


def count_outputs(shape: tuple[int | None, ...]) -> int:
    """How many numbers a classifier answers; refuses what is no row of them for each image."""
    if len(shape) != 2 or shape[-1] is None:
        raise UnsupportedClassifierError(
            f"`classifier` must answer (batch, classes). Received: an output of shape {shape}."
        )
    return shape[-1]


def check_logits(opened: Any) -> None:
    """Refuses probabilities that are taken for logits: they stay in [0, 1] whatever comes in."""
    noise = tf.random.stateless_uniform((8, *opened.stages[-1].state_shape), (0, 1), -1e4, 1e4)
    logits = opened.head(noise).numpy()
    if ((logits >= 0) & (logits <= 1)).all():
        raise UnsupportedClassifierError(
            "`classifier` answers numbers from 0 to 1, but its last layer is not a sigmoid that "
            "can be taken off (a Lambda or a subclassed head?). End it with a Dense layer and its "
            "activation 'sigmoid', or without one."
        )


def check_head(
    opened: Any, whole_head: Callable[[tf.Tensor], tf.Tensor], asked: int | None
) -> None:
    """Runs the head on noise, to refuse what does not answer as the classifier, and embeddings.

    Args:
        opened: the `OpenedClassifier`.
        whole_head: feature map, or tokens -> the classifier's own answer.
        asked: which of its outputs is asked about; None: all.
    """
    noise = tf.random.stateless_uniform((2, *opened.stages[-1].state_shape), (0, 1))
    logits = opened.head(noise)
    ours, answer = (
        np.asarray(tensor, np.float32) for tensor in (opened.predictions(logits), whole_head(noise))
    )
    answer = answer if asked is None else answer[:, asked : asked + 1]
    size = abs(answer[np.isfinite(answer)]).max(initial=0)
    if not np.allclose(ours, answer, rtol=0.01, atol=0.01 * size, equal_nan=True):
        raise UnsupportedClassifierError(
            "`classifier` cannot be split into logits and a softmax: recombined, they do not "
            "give its own answer (a custom last layer, or random numbers?). End it with a "
            "Dense layer and a keras.layers.Softmax, or without a softmax."
        )
    unsplit = np.array_equal(logits, answer)
    if unsplit and (answer >= 0).all() and np.allclose(answer.sum(-1), 1, atol=0.01):
        raise UnsupportedClassifierError(
            "`classifier` answers probabilities, but its last layer is not a softmax that can be "
            "taken off (a Lambda or a subclassed head?). End it with a Dense layer and a "
            "keras.layers.Softmax, or without a softmax."
        )
    if unsplit and np.allclose(np.linalg.norm(answer, axis=-1), 1, atol=1e-3):
        raise UnsupportedClassifierError(
            "`classifier` answers vectors of length 1: the embedding of a face network, which "
            "has no names. Pass it and photographs of the people to faces.transfer, "
            "head='prototypes', and wrap the classifier that it makes."
        )
