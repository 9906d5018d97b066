"""What one part gives fits what the next one takes, or opening the classifier is an error.

Kinds: shapes that are made to fit; open input size; a batch size that is fixed; unknown shapes.
"""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from small_detector import build_small_classifier, draw_images

from tf_taintradar import TaintRadarModel
from tf_taintradar.classifier import make_preprocessor, open_classifier
from tf_taintradar.errors import UnsupportedClassifierError

SHAPE = (24, 16, 3)


class Broken(layers.Layer):
    def call(self, x):
        raise TypeError("no such colour")


class Unknown(layers.Layer):
    """Answers the right shape, which TensorFlow does not know before it runs."""

    def call(self, x):
        return tf.numpy_function(lambda x: x / np.float32(255), [x], tf.float32)

    def compute_output_shape(self, shape):
        return shape


def model_of(shape):
    return keras.Sequential([keras.Input(shape), layers.Rescaling(1 / 255)])


MISFITS = {
    "smaller": (lambda: layers.Resizing(12, 8), r"answers \(2, 12, 8, 3\)"),
    "larger": (lambda: layers.Resizing(48, 32), r"answers \(2, 48, 32, 3\)"),
    "as many pixels": (lambda: layers.Resizing(16, 24), r"answers \(2, 16, 24, 3\)"),
    "cropped": (lambda: layers.Cropping2D(2), r"answers \(2, 20, 12, 3\)"),
    "padded": (lambda: layers.ZeroPadding2D(2), r"answers \(2, 28, 20, 3\)"),
    "grey": (lambda: layers.Conv2D(1, 1), r"answers \(2, 24, 16, 1\)"),
    "alpha": (lambda: layers.Conv2D(4, 1), r"answers \(2, 24, 16, 4\)"),
    "flat": (lambda: layers.Flatten(), r"answers \(2, 1152\)"),
    "one row": (lambda: layers.Lambda(lambda x: x[:1]), r"answers \(1, 24, 16, 3\)"),
    "two": (lambda: layers.Lambda(lambda x: [x, x]), r"\(2, 24, 16, 3\) and \(2, 24, 16, 3\)"),
    "for others": (
        lambda: layers.Normalization(mean=[1.0] * 4, variance=[1.0] * 4),
        r"fails on them: ",
    ),
    "broken": (Broken, r"fails on them: .*no such colour"),
}


@pytest.mark.parametrize(("make", "received"), MISFITS.values(), ids=MISFITS)
def test_a_preprocessor_that_changes_shapes_is_refused(make, received):
    expected = rf"`preprocessor` must be a layer that answers images \(2, 24, 16, 3\).*{received}"
    for use in (
        lambda layer: TaintRadarModel(build_small_classifier(), preprocessor=layer),
        lambda layer: open_classifier(build_small_classifier(), preprocessor=layer),
        lambda layer: make_preprocessor(layer, SHAPE),
    ):
        with pytest.raises(ValueError, match=expected):
            use(make())


@pytest.mark.parametrize(
    "make", [lambda: layers.Resizing(24, 16), lambda: model_of(SHAPE), Unknown, lambda: "unit"]
)
def test_a_preprocessor_that_keeps_shapes_works(make):
    classifier, layer = build_small_classifier(), make()
    opened = open_classifier(classifier, preprocessor=layer)
    x = draw_images(7).astype("float32")
    expected = classifier(np.asarray(make_preprocessor(layer, SHAPE)(x)))
    answer = opened.predictions(opened.logits(x))
    np.testing.assert_allclose(answer, expected, rtol=1e-5)


def test_an_image_of_another_size_is_an_error_in_every_function():
    opened = open_classifier(build_small_classifier())
    for images in (tf.zeros((6, 8, 8, 3)), tf.zeros((2, 16, 24, 3))):  # as many numbers
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
            opened.features(images)
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        opened.head(tf.zeros((2, 4, 6, 8)))
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        opened.predictions(tf.zeros((5, 2)))


# A pair (trunk, head)


def trunk():
    return keras.Sequential([keras.Input(SHAPE), layers.Conv2D(8, 3, strides=2)], name="trunk")


def pooled_head(shape):
    return keras.Sequential([keras.Input(shape), layers.GlobalMaxPooling2D(), layers.Dense(5)])


class Head(keras.Model):
    def __init__(self):
        super().__init__()
        self.top = layers.Dense(5)

    def call(self, x):
        return self.top(ops.max(x, axis=(1, 2)))


def subclassed_head(shape):
    head = Head()
    head(np.zeros((1, *shape), np.float32))
    return head


@pytest.mark.parametrize("make", [pooled_head, subclassed_head])
@pytest.mark.parametrize("shape", [(12, 8, 8), (7, 11, 8), (11, 7, 4)])
def test_a_pair_whose_parts_do_not_fit_is_refused(make, shape):
    with pytest.raises(UnsupportedClassifierError) as raised:
        open_classifier((trunk(), make(shape)))
    assert "The head of the pair `classifier` must take" in str(raised.value)
    assert "(None, 11, 7, 8)" in str(raised.value)
    assert str(shape)[1:] in str(raised.value)


@pytest.mark.parametrize("shape", [(11, 7, 8), (None, None, 8), (11, None, 8)])
def test_a_pair_whose_parts_fit_works(shape):
    parts = trunk(), pooled_head(shape)
    opened = open_classifier(parts)
    x = draw_images(5).astype("float32")
    np.testing.assert_allclose(opened.logits(x), parts[1](parts[0](x)), rtol=1e-5)


# Open input size


def any_size(shape=(None, None, 3)):
    keras.utils.set_random_seed(3)
    inputs = keras.Input(shape)
    x = layers.Conv2D(8, 3, strides=2, activation="relu", name="last")(inputs)
    return keras.Model(inputs, layers.Dense(5)(layers.GlobalMaxPooling2D()(x)))


def open_pair():
    part = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(8, 3, strides=2)])
    return part, pooled_head((None, None, 8))


@pytest.mark.parametrize("build", [any_size, open_pair, lambda: any_size((24, None, 3))])
def test_no_size_is_assumed(build):
    for use in (TaintRadarModel, open_classifier):
        with pytest.raises(UnsupportedClassifierError, match=r"`input_size` must be.*None.*Pass"):
            use(build())


@pytest.mark.parametrize("build", [any_size, open_pair, lambda: any_size((24, None, 3))])
def test_the_size_that_is_given_is_taken(build):
    radar = TaintRadarModel(build(), input_size=(24, 16))
    assert radar.opened.input_shape == SHAPE
    assert radar.score(draw_images(3)).shape == (3,)


def test_one_number_is_both_sides():
    assert open_classifier(any_size(), input_size=20).input_shape == (20, 20, 3)


@pytest.mark.parametrize("size", [0, -3, 24.5, "24", (24,), (24, 16, 3), (24, None), True])
def test_what_is_no_size_is_refused(size):
    with pytest.raises(ValueError, match="`input_size` must be"):
        open_classifier(any_size(), input_size=size)


def test_a_size_that_the_classifier_does_not_take_is_refused():
    with pytest.raises(ValueError, match=r"`input_size` must be left out.*\(None, 24, 16, 3\)"):
        open_classifier(build_small_classifier(), input_size=(16, 24))
    assert open_classifier(build_small_classifier(), input_size=(24, 16)).input_shape == SHAPE
    with pytest.raises(UnsupportedClassifierError, match=r"must work on images \(2, 2, 3\)"):
        open_classifier(any_size(), input_size=2)


@pytest.mark.parametrize("size", [24, (24, 16)])
def test_the_size_is_saved(size, tmp_path):
    radar = TaintRadarModel(any_size(), input_size=size, score_threshold=0.1)
    radar.save(tmp_path / "radar.keras")
    again = keras.models.load_model(tmp_path / "radar.keras")
    assert again.input_size == size
    assert again.opened.input_shape == radar.opened.input_shape
    assert radar.replaced(temperature=3.0).input_size == size
    config = json.loads(json.dumps(radar.get_config()))
    assert TaintRadarModel.from_config(config).input_size == size


def test_files_from_before_the_argument_mean_what_they_meant():
    for classifier, shape in ((any_size(), (224, 224, 3)), (build_small_classifier(), SHAPE)):
        size = shape[:2]
        config = TaintRadarModel(classifier, input_size=size).get_config()
        del config["input_size"]
        assert TaintRadarModel.from_config(config).opened.input_shape == shape


# A batch size that is fixed, and shapes that are not known


def fixed_by(operation):
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(layers.Rescaling(1 / 255)(inputs))
    x = operation(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(5)(x))


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: ops.reshape(x, (4, 8)),
        lambda x: ops.reshape(ops.reshape(x, (4, 2, 4)), (-1, 8)),
        layers.Lambda(lambda x: tf.reshape(x, (4, 8)), output_shape=(8,)),
    ],
)
def test_a_batch_size_fixed_in_a_reshape_is_refused(operation):
    with pytest.raises(UnsupportedClassifierError, match=r"in any number\..*batch of 4.*Write -1"):
        open_classifier(fixed_by(operation))


def test_a_batch_size_fixed_in_an_input_does_no_harm():
    inputs = keras.Input(batch_shape=(4, *SHAPE))
    classifier = keras.Model(inputs, build_small_classifier()(inputs))
    radar = TaintRadarModel(classifier, score_threshold=0.1)
    images = draw_images(7)
    expected = classifier.layers[-1].predict(images.astype("float32"), verbose=0)
    np.testing.assert_allclose(radar.predict(images)["predictions"], expected, rtol=1e-5)


def unknown(shape):
    def forget(x):
        return tf.numpy_function(lambda x: x, [x], tf.float32)

    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(8, 3, strides=2, name="conv")(inputs)
    x = layers.Lambda(forget, output_shape=shape, name="forgets")(x)
    return keras.Model(inputs, layers.Dense(5)(layers.Lambda(pool, output_shape=(8,))(x)))


def pool(x):
    return tf.ensure_shape(tf.reduce_max(x, axis=(1, 2)), (None, 8))


def test_an_unknown_feature_map_is_named():
    with pytest.raises(
        UnsupportedClassifierError, match=r"feature_layer.*'forgets', shape \?, unknown"
    ):
        open_classifier(unknown((11, 7, 8)), feature_layer="forgets")
    assert open_classifier(unknown((11, 7, 8))).feature_layer == "conv"
