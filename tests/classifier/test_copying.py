"""A copy of a network computes what the network computes.

Kind: copies of a network. Every layer whose answer is not given by its weights alone.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_detector import draw_images

from tf_taintradar import TaintRadarModel
from tf_taintradar.classifier.copying import copy_network, copy_networks
from tf_taintradar.classifier.precision import at_precision
from tf_taintradar.errors import UnsupportedClassifierError
from tf_taintradar.export import with_precision
from tf_taintradar.faces import devices

PRECISIONS = ["float32", "float16", "bfloat16"]
SHAPE = (24, 16, 3)


def adapted():
    layer = keras.layers.Normalization()
    layer.adapt(draw_images(20).astype("float32"))
    return [layer]


def adapted_over_places():
    layer = keras.layers.Normalization(axis=(1, 2, 3))
    layer.adapt(draw_images(20).astype("float32"))
    return [layer]


def given():
    return [keras.layers.Normalization(mean=[100.0, 120.0, 140.0], variance=[900.0, 800.0, 700.0])]


def binned():
    layer = keras.layers.Discretization(num_bins=5)
    layer.adapt(draw_images(20).astype("float32").ravel()[:3000])
    return [layer, keras.layers.Rescaling(1.0)]


def wrapped():
    """An adapted layer inside a layer that is no model."""
    inner = keras.layers.Normalization()
    inner.adapt(draw_images(20).astype("float32").reshape(-1, 16, 3))
    return [keras.layers.TimeDistributed(inner)]


def small(first, name="small"):
    keras.utils.set_random_seed(5)
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            *first,
            keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(5),
        ],
        name=name,
    )


def nested():
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, keras.layers.Softmax()(small(adapted(), "inner")(inputs)))


def shared():
    """One adapted layer and one convolution, each called twice, also by two nested models."""
    keras.utils.set_random_seed(6)
    (norm,) = adapted()
    conv = keras.layers.Conv2D(4, 3, activation="relu", name="shared")
    inputs = keras.Input(SHAPE)
    branches = [
        keras.Sequential([keras.Input(SHAPE), norm, conv], name=f"branch_{i}") for i in range(2)
    ]
    one, two = branches[0](inputs), branches[1](keras.layers.Rescaling(0.5)(inputs))
    x = keras.layers.Concatenate()([one, two])
    return keras.Model(inputs, keras.layers.Dense(5)(keras.layers.GlobalMaxPooling2D()(x)))


MODELS = {
    **{
        make.__name__: (lambda make=make: small(make()))
        for make in (adapted, adapted_over_places, given, binned, wrapped)
    },
    "nested": nested,
    "shared": shared,
}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
def test_a_copy_answers_what_the_network_answers(build, precision):
    network = build()
    images = draw_images(20).astype("float32")
    before = network.predict(images, verbose=0)
    copy = copy_network(network, precision=precision)
    assert not {id(w) for w in copy.weights} & {id(w) for w in network.weights}
    answers = copy.predict(images, verbose=0).astype("float32")
    tolerance = 1e-5 if precision == "float32" else 0.05
    np.testing.assert_allclose(answers, before, atol=tolerance * np.ptp(before))
    np.testing.assert_array_equal(network.predict(images, verbose=0), before)
    copy.set_weights([weight * 0 for weight in copy.get_weights()])
    np.testing.assert_array_equal(network.predict(images, verbose=0), before)


def test_a_shared_layer_stays_one_layer():
    network = shared()
    copy = copy_network(network)
    assert len(copy.weights) == len(network.weights)


def test_the_devices_copy_in_the_same_way():
    network = small(adapted())
    images = draw_images(20).astype("float32")
    for strategy in (None, tf.distribute.OneDeviceStrategy("/cpu:0")):
        copy = devices.copy(network, strategy)
        expected = network.predict(images, verbose=0)
        np.testing.assert_allclose(copy.predict(images, verbose=0), expected, rtol=1e-5, atol=1e-5)


def test_a_pair_with_an_adapted_layer():
    keras.utils.set_random_seed(6)
    conv = keras.layers.Conv2D(8, 3, strides=2, activation="relu")
    trunk = keras.Sequential([keras.Input(SHAPE), *adapted(), conv])
    head = keras.Sequential(
        [keras.Input((11, 7, 8)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(5)]
    )
    images = draw_images(20).astype("float32")
    expected = head(trunk(images)).numpy()
    for copy in (copy_networks([trunk, head]), at_precision((trunk, head), "float16")):
        answers = np.asarray(copy[1](copy[0](images)), np.float32)
        np.testing.assert_allclose(answers, expected, atol=0.02 * np.ptp(expected))


def test_a_detector_in_half_precision_flags_what_the_detector_flags():
    classifier, images = small(adapted()), draw_images(64)
    radar = TaintRadarModel(classifier)
    radar.score_threshold = float(np.median(radar.score(images)))
    flags = radar.predict(images, verbose=0)["is_adversarial"]
    for precision in PRECISIONS[1:]:
        found = with_precision(radar, precision).predict(images, verbose=0)["is_adversarial"]
        assert (found == flags).mean() > 0.9


@keras.saving.register_keras_serializable(package="test_copying")
class Forgetful(keras.layers.Layer):
    """Holds a number that its config does not tell."""

    factor = 1.0

    def call(self, x):
        return x * self.factor

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_copy_that_answers_otherwise_is_refused_by_name(precision, inner):
    layer = Forgetful(name="odd")
    layer.factor = 3.0
    network = small([layer], name="forgetful")
    if inner:
        inputs = keras.Input(SHAPE)
        network = keras.Model(inputs, keras.layers.Softmax()(network(inputs)), name="outer")
    name = "outer.*`forgetful/odd`" if inner else "forgetful.*`odd`"
    with pytest.raises(UnsupportedClassifierError, match=f"{name}.*get_config"):
        copy_network(network, precision=precision)


def test_an_overflow_of_half_precision_is_refused():
    network = small([keras.layers.Rescaling(1000.0, name="bright")])
    with pytest.raises(UnsupportedClassifierError, match=r"bright.*float16.*Export it in float32"):
        at_precision(network, "float16")
    assert at_precision(network, "bfloat16").name == network.name


def test_the_probe_is_what_the_preprocessor_gives():
    """Raw pixels overflow this network's float16; pixels from 0 to 1 do not."""
    radar = TaintRadarModel(
        small([keras.layers.Rescaling(1000.0)]), preprocessor="unit", score_threshold=0.1
    )
    with_precision(radar, "float16")
