"""Transformers that do without the tokens of covered patches."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from small_detector import build_small_classifier, draw_images
from small_transformer import CLASSES, SHAPE, Special, block, build_transformer

from tf_taintradar import TaintRadarModel
from tf_taintradar.classifier.opened import open_classifier
from tf_taintradar.detection.covering import logits_under

ROWS = np.arange(24)[None] // 4 == np.array([[0], [2]])  # of patches, and of pixels on both sides
COLUMNS = np.array([np.arange(16) < 8, (np.arange(16) >= 3) & (np.arange(16) < 5)])


def test_which_tokens_lie_outside_of_a_window():
    patches = open_classifier(build_transformer(2)).patches
    covered, touched = patches.outside(ROWS, COLUMNS, 3)
    everything = set(range(2 + 6 * 4))
    assert set(covered.tolist()) == everything - {2, 3}
    assert set(touched.tolist()) == everything - {2 + 8, 2 + 9}  # of which two pixels are covered


@pytest.mark.parametrize("n_special", [0, 1, 3])
def test_without_a_window_all_is_as_ever(n_special):
    opened = open_classifier(build_transformer(n_special))
    images = tf.constant(draw_images(3), tf.float32)
    nowhere = np.zeros((1, 24), bool), np.zeros((1, 16), bool)
    logits = logits_under(opened, images, nowhere)
    np.testing.assert_allclose(logits[:, 0], opened.logits(images), rtol=1e-4, atol=1e-5)


def test_pixels_of_a_window_change_nothing():
    opened = open_classifier(build_transformer())
    images = draw_images(3).astype(np.float32)
    other = images.copy()
    other[:, :4, :8] = 255 - other[:, :4, :8]
    logits = [logits_under(opened, tf.constant(x), (ROWS, COLUMNS)) for x in (images, other)]
    np.testing.assert_array_equal(logits[0][:, 0], logits[1][:, 0])
    assert (logits[0][:, 1] != logits[1][:, 1]).numpy().any()


def test_every_image_its_own_window_for_gradients():
    opened = open_classifier(build_transformer())
    images, label = tf.constant(draw_images(3), tf.float32), tf.constant([0, 1, 2])
    plain = logits_under(opened, images, (ROWS, COLUMNS))
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = logits_under(opened, images, (ROWS, COLUMNS), label, 1.0)
        total = tf.reduce_sum(tf.reduce_max(-tf.nn.log_softmax(logits)[:, :, 0], axis=1))
    np.testing.assert_allclose(logits, plain, rtol=1e-4, atol=1e-5)
    assert np.any(tape.gradient(total, images))


def convolutional_stem(x):
    x = layers.Conv2D(8, 3, 2, "same", activation="relu")(x)
    return layers.Conv2D(8, 3, 2, "same", activation="relu")(x)


def fixed_number(x):
    return layers.Reshape((25, 8))(x)


def with_positions_in_a_block(x):
    return x + layers.Embedding(25, 8, "normal")(keras.ops.arange(25))


@pytest.mark.parametrize("odd", [convolutional_stem, fixed_number, with_positions_in_a_block])
def test_a_transformer_that_cannot_do_without(odd):
    """Tokens share pixels, come in one number, or learn their places after they have listened."""
    keras.utils.set_random_seed(5)
    images = keras.Input(SHAPE)
    is_stem = odd is convolutional_stem
    x = odd(images) if is_stem else layers.Conv2D(8, 4, strides=4)(images)
    x = Special()(layers.Reshape((24, 8))(x))
    x = block(block(x, 1) if is_stem else odd(block(x, 1)), 2)
    opened = open_classifier(keras.Model(images, layers.Dense(CLASSES, "softmax")(x[:, 0])))
    assert opened.patches is None
    assert np.isfinite(TaintRadarModel(opened, variant="cover").score(draw_images(2))).all()


def test_no_patches_in_a_convolutional_network():
    assert open_classifier(build_small_classifier()).patches is None
