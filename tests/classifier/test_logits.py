"""Where the logits are, however the softmax after them was written."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from tf_taintradar.classifier.graph import flatten, forms, run
from tf_taintradar.classifier.logits import split_logits
from tf_taintradar.errors import UnsupportedClassifierError

CLASSES = 4
X = np.random.default_rng(0).normal(size=(3, 2, 2, CLASSES)).astype(np.float32)


def split(end):
    """The parts of a network whose last layers `end` puts on a tensor of four channels."""
    inputs = keras.Input((2, 2, CLASSES))
    model = keras.Model(inputs, end(inputs))
    steps, output = flatten(model)
    known = forms(steps, 0, tf.TensorSpec((None, 2, 2, CLASSES), tf.float32))
    body, key, tail, _ = split_logits(steps, output, known)
    values = run(body, {0: tf.constant(X)})
    logits = tf.reshape(values[key], (3, -1))
    return model, logits.numpy(), run(tail, values)[output].numpy(), tail


def pool(x):
    return layers.GlobalAveragePooling2D()(x)


def dense(activation=None):
    return layers.Dense(CLASSES, activation, bias_initializer="random_normal")


def small(x):
    """(b, 2, 2, n) -> (b, 1, 1, n)."""
    return layers.Conv2D(CLASSES, 2)(x)


def my_layer(x):
    class Mine(layers.Dense):
        """Unregistered, with state of its own that no config knows."""

        def call(self, inputs):
            return self.activation(ops.matmul(inputs, self.kernel) * 2.0)

    return Mine(CLASSES, activation="softmax")(x)


SOFTMAX = {
    "activation": lambda x: dense("softmax")(pool(x)),
    "activation layer": lambda x: layers.Activation("softmax")(dense()(pool(x))),
    "softmax layer": lambda x: layers.Softmax()(dense()(pool(x))),
    "softmax over axis 1": lambda x: layers.Softmax(axis=1)(dense()(pool(x))),
    "softmax over axes": lambda x: layers.Softmax(axis=[-1])(dense()(pool(x))),
    "operation": lambda x: ops.softmax(dense()(pool(x))),
    "operation over axis 1": lambda x: ops.softmax(dense()(pool(x)), axis=1),
    "tf.nn.softmax": lambda x: dense(tf.nn.softmax)(pool(x)),
    "a function": lambda x: dense(keras.activations.softmax)(pool(x)),
    "a nested model": lambda x: keras.Sequential([layers.Flatten(), dense("softmax")])(x),
    "a layer of one's own": lambda x: my_layer(pool(x)),
    "reshaped, then softmax": lambda x: layers.Softmax()(layers.Reshape((CLASSES,))(small(x))),
    "softmax, then reshaped": lambda x: layers.Reshape((CLASSES,))(layers.Softmax()(small(x))),
    "softmax, then flattened": lambda x: layers.Flatten()(ops.softmax(small(x))),
    "convolution with activation": lambda x: ops.squeeze(
        layers.Conv2D(CLASSES, 2, activation="softmax")(x), (1, 2)
    ),
    "softmax, then linear": lambda x: layers.Activation("linear")(dense("softmax")(pool(x))),
    "softmax, then identity": lambda x: layers.Identity()(layers.Softmax()(dense()(pool(x)))),
    "softmax, then a cast": lambda x: ops.cast(ops.softmax(dense()(pool(x))), "float32"),
}


@pytest.mark.parametrize("end", SOFTMAX.values(), ids=SOFTMAX.keys())
def test_softmax_is_taken_off(end):
    model, logits, answer, tail = split(end)
    assert tail
    np.testing.assert_array_equal(answer, model(X))
    np.testing.assert_allclose(tf.nn.softmax(logits), answer, rtol=1e-6)
    assert logits.min() < 0  # and not log-probabilities: they would be equally good a softmax's
    assert not np.allclose(np.exp(logits).sum(-1), 1)


@pytest.mark.parametrize(
    "end",
    [
        lambda x: dense("log_softmax")(pool(x)),
        lambda x: ops.log_softmax(dense()(pool(x))),
        lambda x: dense(tf.nn.log_softmax)(pool(x)),
    ],
)
def test_log_softmax_is_taken_off(end):
    model, logits, answer, _ = split(end)
    np.testing.assert_array_equal(answer, model(X))
    np.testing.assert_allclose(tf.nn.log_softmax(logits), answer, rtol=1e-5, atol=1e-6)
    assert not np.allclose(np.exp(logits).sum(-1), 1)


@pytest.mark.parametrize(
    "end",
    [
        lambda x: dense("sigmoid")(pool(x)),
        lambda x: layers.Activation("sigmoid")(dense()(pool(x))),
        lambda x: ops.sigmoid(dense()(pool(x))),
        lambda x: dense(tf.nn.sigmoid)(pool(x)),
        lambda x: layers.Flatten()(ops.sigmoid(small(x))),
    ],
)
def test_sigmoids_are_taken_off(end):
    model, logits, answer, tail = split(end)
    assert tail
    np.testing.assert_array_equal(answer, model(X))
    np.testing.assert_allclose(tf.sigmoid(logits), answer, rtol=1e-6)
    assert logits.min() < 0


@pytest.mark.parametrize(
    "end",
    [
        lambda x: dense()(pool(x)),
        lambda x: layers.Activation("linear", dtype="float32")(dense()(pool(x))),
        lambda x: dense()(pool(x)) / 2.0,
        lambda x: layers.BatchNormalization()(dense()(pool(x))),
        lambda x: pool(layers.ReLU()(layers.Conv2D(CLASSES, 1)(x))),
        lambda x: layers.Flatten()(small(x)),
        lambda x: layers.Flatten()(x),
    ],
)
def test_answers_that_are_logits_stay_as_they_are(end):
    model, logits, answer, tail = split(end)
    assert tail == []
    np.testing.assert_array_equal(logits, model(X))
    np.testing.assert_array_equal(answer, model(X))


def test_the_layer_is_not_changed():
    layer = dense("softmax")
    before = None

    def end(x):
        nonlocal before
        x = layer(pool(x))
        before = dict(vars(layer))
        return x

    _, logits, _, _ = split(end)
    assert layer.activation is keras.activations.softmax
    assert all(vars(layer)[name] is value for name, value in before.items())
    means = X.mean(axis=(1, 2))
    np.testing.assert_allclose(logits, means @ layer.kernel + layer.bias, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (lambda x: ops.hard_sigmoid(dense()(pool(x))), "in the activation `hard_sigmoid`"),
        (lambda x: dense("log_sigmoid")(pool(x)), "in the activation `log_sigmoid`"),
        (lambda x: dense("relu")(pool(x)), "ends in the activation `relu`"),
        (lambda x: dense(lambda z: z**2)(pool(x)), "ends in the activation `<lambda>`"),
        (lambda x: ops.softmax(dense()(pool(x)), axis=0), "over the axis 0"),
        (lambda x: layers.Softmax(axis=(0, 1))(dense()(pool(x))), r"over the axis \(0, 1\)"),
        (lambda x: layers.Flatten()(layers.Softmax()(x)), "over its 16 classes"),
        (lambda x: layers.Flatten()(layers.Softmax(axis=1)(x)), "over the axis 1 of a tensor"),
    ],
)
def test_refuses_answers_that_are_no_softmax_of_logits(end, why):
    with pytest.raises(UnsupportedClassifierError, match=why):
        split(end)
