"""Where a network computes: one device, or several at once."""

import contextlib
from typing import Any

import keras
import tensorflow as tf


def place(network: keras.Model, strategy: tf.distribute.Strategy | None) -> keras.Model:
    """The network where a strategy wants it.

    Args:
        network: a built Functional model.
        strategy: such as `tf.distribute.MirroredStrategy()`, one copy for each GPU, a batch divided
            among them; None: where TensorFlow puts it.

    Returns:
        The network itself, or a copy with the same weights that the strategy owns.
    """
    return network if strategy is None else copy(network, strategy)


def copy(network: keras.Model, strategy: tf.distribute.Strategy | None = None) -> keras.Model:
    """A copy with weights of its own, see `place`."""
    with scope(strategy):
        copied = keras.models.clone_model(network)
    copied.set_weights(network.get_weights())
    return copied


def scope(strategy: tf.distribute.Strategy | None) -> contextlib.AbstractContextManager[Any]:
    """Where a strategy's models are made and compiled."""
    return contextlib.nullcontext() if strategy is None else strategy.scope()
