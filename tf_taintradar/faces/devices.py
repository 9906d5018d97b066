"""Placement of networks on one device or several."""

import contextlib
from typing import Any

import keras
import tensorflow as tf

from tf_taintradar.classifier.copying import copy_network


def place(network: keras.Model, strategy: tf.distribute.Strategy | None) -> keras.Model:
    """The network on the devices of a distribution strategy.

    Args:
        network: a built Functional model.
        strategy: distribution strategy, for instance `tf.distribute.MirroredStrategy()`, which
            copies the network to each GPU and divides batches among them; None: TensorFlow's
            default device.

    Returns:
        The network itself, or a copy with the same weights that the strategy owns.
    """
    return network if strategy is None else copy(network, strategy)


def copy(network: keras.Model, strategy: tf.distribute.Strategy | None = None) -> keras.Model:
    """A copy of the network with its own weights, on the devices of a strategy.

    Raises:
        UnsupportedClassifierError: the network cannot be copied, or the copy answers otherwise.
    """
    with scope(strategy):
        return copy_network(network)


def scope(strategy: tf.distribute.Strategy | None) -> contextlib.AbstractContextManager[Any]:
    """The context in which models of a strategy are built and compiled."""
    return contextlib.nullcontext() if strategy is None else strategy.scope()
