"""Half precision: the classifier computes in it, weights, maps and answers stay float32.

Kind: copies of a network.
"""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from savedmodel_files import entries, functions_of, graph_of, metadata_of
from small_detector import draw_images

from tf_taintradar import TaintRadarModel, export_savedmodel
from tf_taintradar.classifier.precision import at_precision
from tf_taintradar.errors import UnsupportedClassifierError

HALVES = ["float16", "bfloat16"]


def normalised():
    """With batch normalisation, dropout and a base inside, as transfer models have them."""
    keras.utils.set_random_seed(5)
    base = keras.Sequential(
        [
            keras.Input((24, 16, 3)),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
        ],
        name="base",
    )
    inputs = keras.Input((24, 16, 3))
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = keras.layers.Dropout(0.5)(keras.layers.GlobalAveragePooling2D()(base(x)))
    x = keras.layers.Dense(16, activation="relu")(x)
    return keras.Model(inputs, keras.layers.Dense(5, activation="softmax")(x))


def pair():
    keras.utils.set_random_seed(6)
    conv = keras.layers.Conv2D(8, 3, strides=2, activation="relu")
    trunk = keras.Sequential([keras.Input((24, 16, 3)), keras.layers.Rescaling(1 / 255), conv])
    head = keras.Sequential(
        [keras.Input((11, 7, 8)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(5)]
    )
    return trunk, head


class Subclassed(keras.Model):
    """Cannot be made again from its config: it does not say how."""

    def __init__(self, units):
        super().__init__()
        self.dense = keras.layers.Dense(units)

    def call(self, x):
        return self.dense(keras.ops.mean(x, axis=(1, 2)))


def leaves(layer):
    parts = getattr(layer, "layers", None)
    return [leaf for part in parts for leaf in leaves(part)] if parts else [layer]


def convolutions(folder):
    """The types in which convolutions are computed."""
    graph = graph_of(folder)
    nodes = [node for f in functions_of(graph, "serving_default").values() for node in f.node_def]
    return [node.attr["T"].type for node in nodes if node.op in ("Conv2D", "_FusedConv2D")]


@pytest.mark.parametrize("precision", HALVES)
def test_the_classifier_computes_in_half_precision_and_nothing_else_does(
    exported, tmp_path, precision
):
    folder = export_savedmodel(exported.radar, tmp_path, precision=precision)
    kinds = convolutions(folder)
    assert len(kinds) >= 2
    assert set(kinds) == {tf.as_dtype(precision).as_datatype_enum}
    assert len(entries(folder)) == len(exported.radar.weights)
    reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    assert {reader.get_variable_to_dtype_map()[name] for name in entries(folder)} == {tf.float32}
    half, full = (tf.saved_model.load(path).signatures for path in (folder, exported.folder))
    for name in full:
        assert half[name].structured_outputs == full[name].structured_outputs
    expected = exported.radar.predict(exported.images, verbose=0)
    answers = half["serving_default"](images=tf.constant(exported.images))
    np.testing.assert_allclose(answers["predictions"], expected["predictions"], atol=0.01)
    assert (answers["predictions"].numpy() != expected["predictions"]).any()
    agree = answers["is_adversarial"].numpy() == expected["is_adversarial"]
    assert agree.mean() >= 0.9


@pytest.mark.parametrize("rule", [{}, {"variant": "paper", "fill": "blur"}], ids=str)
def test_settings_and_the_original_stay(small_classifier, images, tmp_path, rule):
    settings = {**rule, "temperature": 3.0, "map_threshold": 0.3, "preprocessor": "unit"}
    names = list("abcde")
    radar = TaintRadarModel(small_classifier, class_names=names, feature_layer="last", **settings)
    radar.calibrate(draw_images(40), verbose=0)
    policies = [layer.dtype_policy for layer in small_classifier.layers]
    before = radar.predict(images, verbose=0)
    described = metadata_of(export_savedmodel(radar, tmp_path, precision="bfloat16"))
    expected = {
        "precision": "bfloat16",
        "classifier": small_classifier.name,
        "class_names": names,
        "feature_layer": "last",
        "fill": "Blur(sigma=0.1)" if rule else None,
        "temperature": 3.0,
        "map_threshold": 0.3,
        "variant": radar.variant,
        "top_k": radar.top_k,
        "threshold": radar.threshold,
        "calibration": json.loads(radar.calibration.to_json()),
    }
    assert {name: described[name] for name in expected} == expected
    assert [layer.dtype_policy for layer in small_classifier.layers] == policies
    for name, values in radar.predict(images, verbose=0).items():
        np.testing.assert_array_equal(before[name], values, err_msg=name)


@pytest.mark.parametrize("precision", HALVES)
@pytest.mark.parametrize("build", [normalised, pair])
def test_a_copy_answers_nearly_the_same_and_leaves_the_original(build, precision):
    classifier = build()
    images = draw_images(20)
    radar = TaintRadarModel(classifier, top_k=2, rank_threshold=0)
    before, weights = radar.predict(images, verbose=0), radar.get_weights()
    copy = at_precision(classifier, precision)
    for part in copy if isinstance(copy, tuple) else [copy]:
        assert {leaf.compute_dtype for leaf in leaves(part) if leaf.weights} == {precision}
    twin = TaintRadarModel(copy, top_k=2, rank_threshold=0)
    after = twin.predict(images, verbose=0)
    assert twin.classifier is not radar.classifier
    assert {weight.dtype for weight in twin.weights} == {"float32"}
    for one, other in zip(twin.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(after["predictions"], before["predictions"], rtol=0.05, atol=0.01)
    assert after["predictions"].dtype == tf.as_dtype(precision).as_numpy_dtype
    assert twin.predict(images, verbose=0)["label"].tolist() == before["label"].tolist()
    again = radar.predict(images, verbose=0)
    for name, values in before.items():
        np.testing.assert_array_equal(again[name], values, err_msg=name)


def test_float32_is_the_classifier_itself(small_classifier):
    assert at_precision(small_classifier, "float32") is small_classifier


def test_what_cannot_be_copied_is_refused(exported, images, tmp_path):
    trunk, _ = pair()
    head = Subclassed(4)
    head(trunk(images.astype("float32")))
    radar = TaintRadarModel((trunk, head), top_k=2, rank_threshold=0)
    with pytest.raises(UnsupportedClassifierError, match=r"float16.*Export it in float32"):
        export_savedmodel(radar, tmp_path / "models", precision="float16")
    with pytest.raises(ValueError, match="`precision` must be one of float32, float16, bfloat16"):
        export_savedmodel(exported.radar, tmp_path / "models", precision="int8")
    assert not (tmp_path / "models").exists()
