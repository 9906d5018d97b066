"""An image's answer depends on the image alone.

Kinds: shapes that are made to fit; an answer that other images change.
"""

import keras
import numpy as np
import pytest
from keras import layers, ops

from tf_taintradar.classifier import make_preprocessor, open_classifier
from tf_taintradar.errors import UnsupportedClassifierError

SHAPE = (12, 10, 3)


class Do(layers.Layer):
    """A layer of one function."""

    def __init__(self, function):
        super().__init__()
        self.call = function


def scaled_by_the_batch(x):
    return x / ops.max(x)


def centred_by_the_batch(x):
    return x - ops.mean(x, axis=0, keepdims=True)


def noisy(x):
    return x + 50 * keras.random.normal(ops.shape(x))


DEPENDENT = [scaled_by_the_batch, centred_by_the_batch, noisy]


def network(before=None, after=None, outputs=4):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SHAPE)
    x = layers.Identity()(inputs) if before is None else Do(before)(inputs)
    x = layers.Conv2D(4, 3, activation="relu")(x)
    x = layers.Dense(outputs)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, x if after is None else Do(after)(x))


@pytest.mark.parametrize("function", DEPENDENT)
def test_a_preprocessor_that_looks_at_the_batch_is_refused(function):
    message = "`preprocessor` must treat each image by itself.*alike. Received: do.*alone"
    with pytest.raises(ValueError, match=message):
        make_preprocessor(Do(function), SHAPE)


def test_a_preprocessor_answers_a_tensor():
    with pytest.raises(ValueError, match=r"`preprocessor` must be.*answers a dict of \(2, 12"):
        make_preprocessor(Do(lambda x: {"images": x}), SHAPE)


def test_a_preprocessor_may_look_at_its_image():
    layer = Do(lambda x: x - ops.mean(x, axis=(1, 2, 3), keepdims=True))
    assert make_preprocessor(layer, SHAPE) is layer
    augment = layers.RandomFlip()  # in training alone
    assert make_preprocessor(augment, SHAPE) is augment


@pytest.mark.parametrize("function", DEPENDENT)
def test_a_classifier_that_looks_at_the_batch_is_refused(function):
    with pytest.raises(UnsupportedClassifierError, match="must answer each image by itself.*alone"):
        open_classifier(network(function))


def rows_of_four(x):
    return ops.reshape(x, (-1, 4))


def halves(x):
    return ops.reshape(x, (-1, 6, *SHAPE[1:]))


def mean_of_halves(x):
    return ops.mean(ops.reshape(x, (-1, 2, 4)), axis=1)


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({"after": rows_of_four, "outputs": 8}, r"\(4, 4\)"),
        ({"before": halves, "after": mean_of_halves}, r"\(4, 4, 8, 4\)"),
    ],
    ids=["8 outputs as two rows of 4", "halves of images, averaged in the end"],
)
def test_a_classifier_with_other_rows_than_images_is_refused(settings, shape):
    with pytest.raises(UnsupportedClassifierError, match=f"shape {shape} to two images.*conv2d"):
        open_classifier(network(**settings))


def test_a_classifier_that_is_plain_is_opened():
    opened = open_classifier(network())
    images = np.full((3, *SHAPE), 9, np.float32)
    assert opened.logits(images).shape == (3, 4)
