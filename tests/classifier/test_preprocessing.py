"""From raw pixels to the classifier's input."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_taintradar.classifier.preprocessing import PixelScaling, make_preprocessor

SHAPE = (5, 4, 3)
MODES = ["caffe", "tf", "torch", "unit", "vggface", "vggface2"]


def pixels(batch=2, dtype="float32"):
    return np.random.RandomState(0).randint(0, 256, (batch, *SHAPE)).astype(dtype)


@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
def test_modes_equal_keras_own_preprocessing(mode):
    images = pixels()
    expected = keras.applications.imagenet_utils.preprocess_input(
        images.copy(), data_format="channels_last", mode=mode
    )
    np.testing.assert_array_equal(make_preprocessor(mode, SHAPE)(images), expected)


@pytest.mark.parametrize(
    "mode, expected",
    [
        ("unit", (10 / 255, 20 / 255, 30 / 255)),
        ("vggface", (30 - 93.5940, 20 - 104.7624, 10 - 129.1863)),
        ("vggface2", (30 - 91.4953, 20 - 103.8827, 10 - 131.0912)),
    ],
)
def test_modes_equal_pencil_and_paper(mode, expected):
    pixel = np.array([10, 20, 30], "float32").reshape(1, 1, 1, 3)
    result = make_preprocessor(mode, (1, 1, 3))(pixel)
    np.testing.assert_allclose(np.ravel(result), expected, rtol=1e-6)  # float32


@pytest.mark.parametrize("mode", MODES)
def test_eager_graph_and_xla_agree(mode):
    images, layer = pixels(), make_preprocessor(mode, SHAPE)
    eager = layer(images).numpy()
    for jit_compile in (False, True):
        compiled = tf.function(layer, jit_compile=jit_compile)(images)
        # Compilers multiply by the reciprocal of a constant divisor: a unit in the last place.
        np.testing.assert_allclose(compiled, eager, rtol=1e-6, atol=1e-6)


def test_no_preprocessor_passes_raw_pixels():
    images = pixels()
    np.testing.assert_array_equal(make_preprocessor(None, SHAPE)(images), images)


@pytest.mark.parametrize("mode", [None, *MODES])
def test_uint8_and_half_precision_policies_come_out_as_float32(mode):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        layer = make_preprocessor(mode, SHAPE)
        assert layer(pixels()).dtype == tf.float32
        if mode is not None:
            expected = layer(pixels())
            np.testing.assert_array_equal(layer(pixels(dtype="uint8")), expected)
    finally:
        keras.config.set_dtype_policy(before)


def test_layers_and_models_are_used_as_they_are():
    layer = keras.layers.Rescaling(1 / 255)
    model = keras.Sequential([keras.Input(SHAPE), layer])
    assert make_preprocessor(layer, SHAPE) is layer
    assert make_preprocessor(model, SHAPE) is model


def test_a_layer_that_is_not_built_yet_works_in_more_than_one_graph():
    layer = make_preprocessor(keras.layers.Normalization(mean=1.0, variance=4.0), SHAPE)
    for _ in range(2):
        graph = tf.function(lambda x: layer(x), autograph=False)
        np.testing.assert_array_equal(graph(pixels()), (pixels() - 1) / 2)


@pytest.mark.parametrize("mode", ["tf", "unit"])
def test_modes_without_colours_take_any_channels(mode):
    layer = make_preprocessor(mode, (5, 4, 1))
    assert layer(np.zeros((2, 5, 4, 1))).shape == (2, 5, 4, 1)


@pytest.mark.parametrize("mode", ["caffe", "torch", "vggface", "vggface2"])
def test_modes_with_colours_take_three_channels_only(mode):
    with pytest.raises(ValueError, match=f"'{mode}' is for three channels.* has 1.*tf and unit"):
        make_preprocessor(mode, (5, 4, 1))


def test_an_unknown_name_lists_the_names():
    with pytest.raises(ValueError, match="caffe, torch, vggface, vggface2.*'imagenet'"):
        make_preprocessor("imagenet", SHAPE)


@pytest.mark.parametrize(
    "spec", [keras.applications.vgg16.preprocess_input, keras.layers.Rescaling, 255]
)
def test_what_cannot_be_saved_is_refused_with_alternatives(spec):
    with pytest.raises(TypeError, match="cannot be saved.*'caffe'.*keras.layers.Rescaling"):
        make_preprocessor(spec, SHAPE)


@pytest.mark.parametrize("mode", MODES)
def test_the_config_survives_json_twice(mode):
    layer = make_preprocessor(mode, SHAPE)
    text = json.dumps(keras.saving.serialize_keras_object(layer))
    revived = keras.saving.deserialize_keras_object(json.loads(text))
    assert isinstance(revived, PixelScaling)
    assert revived.get_config() == layer.get_config()
    assert vars(revived).keys() == vars(layer).keys()
    assert json.dumps(keras.saving.serialize_keras_object(revived)) == text


@pytest.mark.parametrize("mode", [None, *MODES])
def test_a_saved_model_keeps_its_preprocessing(mode, tmp_path):
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, make_preprocessor(mode, SHAPE)(inputs))
    assert model.output_shape == (None, *SHAPE)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(pixels()), model(pixels()))
