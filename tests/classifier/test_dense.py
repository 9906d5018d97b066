"""The cheap gradient is the same gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_taintradar.classifier.dense import with_cheap_gradient
from tf_taintradar.classifier.graph import call_step


def both(layer, x):
    """The layer's outputs, and their gradients by input and kernel, as Keras and as we do it."""
    layer.build(x.shape)
    answers = []
    for step in (call_step(layer, "d", 0, 1), with_cheap_gradient(call_step(layer, "d", 0, 1))):
        with tf.GradientTape() as tape:
            tape.watch(x)
            values = {0: x}
            step(values)
            loss = tf.reduce_sum(tf.cast(values[1], tf.float32) ** 2)
        answers.append((values[1], *tape.gradient(loss, [x, layer.trainable_weights[0]])))
    return answers


@pytest.mark.parametrize(
    "settings",
    [{}, {"activation": "relu"}, {"use_bias": False}, {"dtype": "mixed_float16"}],
    ids=str,
)
def test_values_and_gradients_are_those_of_keras(settings):
    keras.utils.set_random_seed(1)
    x = tf.random.stateless_normal((3, 7), (0, 0))
    for expected, ours in zip(*both(keras.layers.Dense(5, **settings), x), strict=True):
        assert ours.dtype == expected.dtype
        np.testing.assert_allclose(ours, expected, rtol=2e-3 if "dtype" in settings else 1e-5)


def test_more_than_two_axes_and_other_layers_are_left_to_keras():
    x = tf.random.stateless_normal((2, 4, 7), (0, 0))
    for expected, ours in zip(*both(keras.layers.Dense(5), x), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5)
    step = call_step(keras.layers.Conv2D(3, 1), "c", 0, 1)
    assert with_cheap_gradient(step) is step
