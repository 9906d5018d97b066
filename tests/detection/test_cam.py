"""Class activation maps, against a pencil, SciPy-free NumPy and tf.image.resize."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_taintradar.classifier.stage import Stage
from tf_taintradar.detection.cam import binarize, class_activation_map, trace_head, upsample
from tf_taintradar.detection.regions import intersect


@pytest.fixture
def features() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 4, 5, 6)).astype(np.float32)


def test_channel_weights_are_the_mean_gradient_of_each_row(features):
    """A quadratic head: Z_l = sum_k W_kl mean(A_k)^2, so alpha_k = 2 W_kl mean(A_k) / (h w)."""
    weights = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)

    def head(x):
        return tf.square(tf.reduce_mean(x, (1, 2))) @ weights

    _, channel_weights = trace_head(Stage("map", features.shape[1:], head), tf.constant(features))
    means = features.mean((1, 2))
    for labels in ([2], [2, 0, 3]):
        one_hots = np.eye(4, dtype=np.float32)[labels][:, None].repeat(3, axis=1)
        expected = 2 * means[:, None] * weights.T[labels] / 20
        np.testing.assert_allclose(channel_weights(tf.constant(one_hots)), expected, rtol=1e-5)


def test_many_labels_are_the_same_as_one_at_a_time(features):
    keras.utils.set_random_seed(0)
    head = keras.Sequential(
        [keras.layers.MaxPooling2D(), keras.layers.Flatten(), keras.layers.Dense(9, "relu"),
         keras.layers.Dense(30)]
    )  # fmt: skip
    _, channel_weights = trace_head(Stage("map", features.shape[1:], head), tf.constant(features))
    one_hots = tf.eye(30)[:, None] * tf.ones((1, 3, 1))
    together = channel_weights(one_hots)
    apart = [channel_weights(one_hots[i : i + 1]) for i in range(30)]
    np.testing.assert_allclose(together, tf.concat(apart, axis=1), rtol=1e-5, atol=1e-7)


def test_the_map_is_signed_and_sums_over_channels():
    features = np.zeros((1, 1, 2, 2), np.float32)
    features[0, 0, 0], features[0, 0, 1] = (1, 2), (3, 4)
    weights = np.array([[[1.0, -1.0], [10.0, 1.0]]], np.float32)  # two labels, two channels
    maps = class_activation_map(tf.constant(features), tf.constant(weights))
    np.testing.assert_array_equal(maps, [[[[-1.0, -1.0]], [[12.0, 34.0]]]])


@pytest.mark.parametrize(("cells", "size"), [((4, 4), (16, 16)), ((7, 5), (33, 48))])
def test_upsampling_is_that_of_tf_image_resize(cells, size):
    maps = np.random.default_rng(0).random((2, 3, *cells)).astype(np.float32)
    expected = tf.image.resize(maps.reshape(6, *cells, 1), size)
    np.testing.assert_allclose(
        upsample(tf.constant(maps), size).numpy().reshape(6, *size), expected[..., 0], atol=1e-6
    )


def test_a_region_begins_at_the_threshold_times_its_own_maximum():
    maps = tf.constant([[[[8.0, 2.0, 1.9]], [[0.0, 0.5, 2.0]]]])
    expected = [[[[True, True, False]], [[False, True, True]]]]
    np.testing.assert_array_equal(binarize(maps, 0.25), expected)


def test_an_empty_map_does_not_vote():
    regions = binarize(tf.constant([[[[0.0, 0.0]], [[0.0, 1.0]]]]), 0.15)
    np.testing.assert_array_equal(regions, [[[[True, True]], [[False, True]]]])
    np.testing.assert_array_equal(intersect(regions), [[[False, True]]])
