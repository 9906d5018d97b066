"""Classifiers that end as face networks do: in an embedding of unit norm and cosines."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_taintradar import TaintRadarModel
from tf_taintradar.classifier import open_classifier
from tf_taintradar.errors import UnsupportedClassifierError

PEOPLE, SIZE, SCALE = 5, 24, 30.0


@keras.saving.register_keras_serializable("tests")
class Cosines(keras.layers.Layer):
    """ArcFace's last layer: scaled cosines; the labels' angles grow by a margin in training."""

    def build(self, shape):
        self.centres = self.add_weight(shape=(PEOPLE, shape[-1]), name="centres")

    def call(self, embedding, labels=None):
        embedding = keras.ops.normalize(embedding, axis=-1)
        cosines = embedding @ keras.ops.transpose(keras.ops.normalize(self.centres, axis=-1))
        if labels is not None:
            angles = keras.ops.arccos(cosines) + 0.5 * keras.ops.one_hot(labels, PEOPLE)
            cosines = keras.ops.cos(angles)
        return SCALE * cosines


def convolutions(images):
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(images)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.PReLU(shared_axes=[1, 2])(x)
    x = keras.layers.Conv2D(12, 3, strides=2, padding="same")(x)
    return keras.layers.PReLU(shared_axes=[1, 2], name="last_map")(x)


def depthwise(x):
    """Global depthwise convolution and a linear layer, as MobileFaceNet has them."""
    x = keras.layers.DepthwiseConv2D(x.shape[1:3], use_bias=False)(x)
    return keras.layers.Flatten()(keras.layers.Conv2D(6, 1)(x))


def pooled(x):
    return keras.layers.Dense(6)(keras.layers.GlobalAveragePooling2D()(x))


def flattened(x):
    """As ArcFace's ResNets: dropout, a fully connected layer and batch norm."""
    x = keras.layers.Dense(6)(keras.layers.Flatten()(keras.layers.Dropout(0.4)(x)))
    return keras.layers.BatchNormalization(scale=False)(x)


def divided(x):
    return x / keras.ops.sqrt(keras.ops.sum(x**2, axis=-1, keepdims=True) + 1e-9)


def lambda_norm(x):
    return keras.layers.Lambda(lambda t: tf.math.l2_normalize(t, axis=-1))(x)


def arcface(x):
    return Cosines()(x)


def rescaled(x):
    cosines = keras.layers.Dense(PEOPLE, use_bias=False, kernel_constraint="unit_norm")(x)
    return keras.layers.Softmax()(keras.layers.Rescaling(SCALE)(cosines))


def distances(x):
    centres = np.random.default_rng(0).normal(size=(PEOPLE, 6)).astype(np.float32)
    return keras.ops.softmax(-keras.ops.sum((x[:, None] - centres) ** 2, axis=-1))


NORMS = [keras.layers.UnitNormalization(), divided, lambda_norm]
ENDS = [
    (embedding, NORMS[(i + j) % 3], head)
    for i, embedding in enumerate([depthwise, pooled, flattened])
    for j, head in enumerate([arcface, rescaled, distances])
]


def network(embedding, norm, head=None):
    keras.utils.set_random_seed(0)
    images = keras.Input((SIZE, SIZE, 3))
    x = norm(embedding(convolutions(images)))
    return keras.Model(images, x if head is None else head(x))


@pytest.mark.parametrize(("embedding", "norm", "head"), ENDS)
def test_their_map_and_their_answers(embedding, norm, head):
    model = network(embedding, norm, head)
    opened = open_classifier(model)
    assert opened.feature_layer == "last_map"
    images = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3)).astype(np.float32)
    answers = opened.predictions(opened.logits(tf.constant(images)))
    np.testing.assert_allclose(answers, model.predict(images, verbose=0), rtol=1e-4, atol=1e-4)
    scores = TaintRadarModel(model).score(images.astype(np.uint8), verbose=0)
    assert np.isfinite(scores).all()
    assert np.ptp(scores) > 0


def test_a_nested_embedding_with_steps_around_it():
    embedding = network(depthwise, NORMS[0])
    images = keras.Input((40, 40, 3))
    scaled = keras.layers.Rescaling(1 / 128, offset=-1)(keras.layers.Resizing(SIZE, SIZE)(images))
    model = keras.Model(images, keras.layers.Softmax()(Cosines()(embedding(scaled))))
    assert open_classifier(model).feature_layer.endswith("/last_map")


def test_an_embedding_alone_names_nobody():
    with pytest.raises(UnsupportedClassifierError, match="length 1: the embedding.*faces.transfer"):
        TaintRadarModel(network(pooled, divided))


def test_a_network_that_takes_the_labels_to_train_with_a_margin():
    images, labels = keras.Input((SIZE, SIZE, 3)), keras.Input((), dtype="int32")
    answers = Cosines()(depthwise(convolutions(images)), labels)
    with pytest.raises(UnsupportedClassifierError, match="2 inputs.*margin.*prototypes"):
        TaintRadarModel(keras.Model([images, labels], answers))
