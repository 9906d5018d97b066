"""Vision transformers: where they are cut, and which of their tokens are places."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from small_detector import draw_images
from small_transformer import CLASSES, SHAPE, Special, block, build_transformer, tokens_of

from tf_taintradar.classifier.opened import open_classifier
from tf_taintradar.classifier.stage import Stage
from tf_taintradar.errors import UnsupportedClassifierError


def names(opened):
    return [stage.layer for stage in opened.stages]


def same_answers(classifier, opened):
    images = draw_images(3).astype(np.float32)
    state = opened.trunk(images)
    for stage in opened.stages:
        assert state.shape[1:] == stage.state_shape
        state = stage.onwards(state)
    np.testing.assert_array_equal(state, opened.logits(images))
    answer = classifier(images, training=False)
    np.testing.assert_allclose(opened.predictions(state), answer, rtol=1e-5)


def ends_in(x):
    return layers.Dense(CLASSES, "softmax")(x)


@pytest.mark.parametrize("n", [12, pytest.param(96, marks=pytest.mark.slow)])
def test_however_deep(n):
    opened = open_classifier(build_transformer(blocks=n))
    assert names(opened) == ["embedded", "block1", f"block{n - 1}"]
    assert opened.patches is not None


@pytest.mark.parametrize("n_special", [1, 2, 5])
def test_the_cut_is_before_the_last_block_that_the_class_token_listens_in(n_special):
    classifier = build_transformer(n_special)
    opened = open_classifier(classifier)
    assert names(opened) == ["embedded", "block1", "block2"]
    assert opened.feature_shape == (6, 4, 8)
    assert {stage.n_special for stage in opened.stages} == {n_special}
    same_answers(classifier, opened)


def test_without_a_class_token_the_last_tokens_are_the_map():
    classifier = build_transformer(n_special=0)
    opened = open_classifier(classifier)
    assert names(opened) == ["reshape", "block1", "norm"]
    assert {stage.n_special for stage in opened.stages} == {0}
    same_answers(classifier, opened)


def test_one_block():
    assert names(open_classifier(build_transformer(blocks=1))) == ["embedded"]


def test_layers_that_are_named():
    classifier = build_transformer()
    for name, instead in (("block1", "block1"), (["embedded", "attended1"], "attended1")):
        assert open_classifier(classifier, feature_layer=name).feature_layer == instead
    assert open_classifier(classifier, feature_layer="patches").feature_shape == (6, 4, 8)
    with pytest.raises(UnsupportedClassifierError, match="first: norm, block3, attended3, block2"):
        open_classifier(classifier, feature_layer="attention2")


class Block(layers.Layer):
    def build(self, shape):
        self.norm = layers.LayerNormalization()
        self.attention = layers.MultiHeadAttention(2, 4)

    def call(self, x):
        y = self.norm(x)
        return x + self.attention(y, y), None  # no attention scores


class Encoder(layers.Layer):
    def __init__(self, n_blocks=3, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.blocks = [Block(name=f"block{i}") for i in range(n_blocks)]
        self.norm = layers.LayerNormalization(name="norm")
        self.factor = factor

    def call(self, x):
        for one in self.blocks:
            x, _ = one(x)
        return self.factor * self.norm(x), ops.zeros((0, 1))


def with_encoder(**settings):
    keras.utils.set_random_seed(5)
    images = keras.Input(SHAPE)
    x = Special(name="embedded")(tokens_of(images))
    x, _ = Encoder(name="encoder", **settings)(x)
    return keras.Model(images, ends_in(x[:, 0]))


def test_a_layer_of_blocks_is_looked_into():
    classifier = with_encoder()
    opened = open_classifier(classifier)
    assert names(opened) == ["embedded", "encoder/block0", "encoder/block1"]
    same_answers(classifier, opened)


def test_a_layer_that_does_more_than_call_its_blocks_stays_whole():
    classifier = with_encoder(factor=2.0)
    opened = open_classifier(classifier)
    assert names(opened) == ["embedded"]
    same_answers(classifier, opened)


def test_a_pair_of_models_that_meet_at_tokens():
    images, tokens = keras.Input(SHAPE), keras.Input((25, 8))
    trunk = keras.Model(images, block(Special()(tokens_of(images)), 1), name="trunk")
    head = keras.Model(tokens, ends_in(block(tokens, 2)[:, 0]))
    opened = open_classifier((trunk, head))
    assert names(opened) == ["trunk"]
    assert opened.stages[-1].n_special == 1


def test_patches_that_no_convolution_makes():
    """Cut out by a reshape: the map has the image's proportions."""
    images = keras.Input(SHAPE)
    x = layers.Reshape((6, 4, 4, 4, 3))(images)
    x = layers.Reshape((24, 48))(layers.Permute((1, 3, 2, 4, 5))(x))
    x = Special(2, name="embedded")(layers.Dense(8)(x))
    opened = open_classifier(keras.Model(images, ends_in(block(x, 1)[:, 0])))
    assert opened.feature_shape == (6, 4, 8)
    assert opened.stages[-1].n_special == 2


def test_tokens_that_are_no_places():
    images = keras.Input(SHAPE)
    x = layers.Conv1D(8, 3)(layers.Reshape((128, 9))(images))  # 126 of them
    with pytest.raises(UnsupportedClassifierError, match="no spatial feature map.*nor tokens"):
        open_classifier(keras.Model(images, ends_in(layers.GlobalAveragePooling1D()(x))))


def test_states_and_maps():
    stage = Stage("tokens", (2, 3, 1), tf.identity, n_special=1)
    state = tf.constant([[-1, 0, 1, 2, 3, 4, 5], [-2, 6, 7, 8, 9, 10, 11]], tf.float32)[..., None]
    maps = stage.as_map(state)
    np.testing.assert_array_equal(maps[..., 0], np.arange(12).reshape(2, 2, 3))
    np.testing.assert_array_equal(stage.with_map(state, maps), state)
    twice = stage.with_map(state, tf.repeat(maps, 2, axis=0) * [[[[10.0]]]])
    np.testing.assert_array_equal(twice[:, 0, 0], [-1, -1, -2, -2])
    np.testing.assert_array_equal(twice[3, 1:, 0], 10 * np.arange(6, 12))
    assert stage.with_map(state[:0], maps[:0]).shape == (0, 7, 1)
