"""An answer that is not finite is suspicious, invalid and named; a row without raw pixels, too.

Kinds: NaN fails open; guards in eager mode only. Every way to ask a detector gives one verdict.
"""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from PIL import Image
from small_detector import build_small_classifier, draw_images
from typer.testing import CliRunner

from tf_taintradar import TaintRadarModel, export_savedmodel
from tf_taintradar.calibration import choose_threshold, smallest_threshold
from tf_taintradar.cli import app
from tf_taintradar.errors import CalibrationError
from tf_taintradar.serving import load
from tf_taintradar.video import VideoRadar

SHAPE = (24, 16, 3)
RULES = {
    "occlusion": {"score_threshold": 0.1},
    "windows": {"variant": "windows", "score_threshold": 0.1},
    "bands": {"variant": "bands", "score_threshold": 1.5},
    "cover": {"variant": "cover", "score_threshold": 1.53},
    "paper": {"top_k": 2, "rank_threshold": 0},
}


@keras.saving.register_keras_serializable(package="test_not_finite")
class Standardise(layers.Layer):
    """Zero mean and unit variance for each image: NaN for an image of one color."""

    def call(self, x):
        spread = ops.std(x, axis=(1, 2, 3), keepdims=True)
        return (x - ops.mean(x, axis=(1, 2, 3), keepdims=True)) / spread


@keras.saving.register_keras_serializable(package="test_not_finite")
class Overflow(layers.Layer):
    """Infinite for a white image."""

    def call(self, x):
        peak = ops.min(x, axis=(1, 2, 3), keepdims=True)
        return x / 255 + ops.exp(peak - 160)


def standardised(first=Standardise):
    small = build_small_classifier()
    inputs = keras.Input(SHAPE)
    x = first()(inputs)
    for layer in small.layers[2:]:
        x = layer(x)
    return keras.Model(inputs, x)


def nan_weight():
    classifier = build_small_classifier()
    kernel, bias = classifier.layers[-1].get_weights()
    bias[3] = np.nan
    classifier.layers[-1].set_weights([kernel, bias])
    return classifier


def mixed():
    """Eight images, of which the third and the last are of one color."""
    images = draw_images(8)
    images[[2, 7]] = 255
    return images


BAD = [False, False, True, False, False, False, False, True]


@pytest.fixture(params=RULES)
def settings(request):
    return RULES[request.param]


ALWAYS = ("occlusion", "paper")  # exports of all rules take gigabytes that TensorFlow keeps
some_rules = pytest.mark.parametrize(
    "settings",
    [pytest.param(name, marks=[] if name in ALWAYS else pytest.mark.slow) for name in RULES],
    indirect=True,
)


def files_of(folder, images):
    folder.mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{i}.png")
    return folder


@some_rules
@pytest.mark.parametrize("first", [Standardise, pytest.param(Overflow, marks=pytest.mark.slow)])
def test_an_answer_that_is_not_finite_is_suspicious_on_every_way(first, settings, tmp_path):
    radar = TaintRadarModel(standardised(first), **settings)
    images = mixed()
    scores = radar.score(images)
    assert np.isfinite(scores).tolist() == [not bad for bad in BAD]
    assert np.isnan(radar.predict_scores(images)["score"][2])
    found = radar.predict(images, verbose=0)
    assert found["is_adversarial"][BAD].all()
    radar.save(tmp_path / "radar.keras")
    again = keras.models.load_model(tmp_path / "radar.keras")
    inputs = keras.Input(SHAPE, dtype="uint8")
    model = keras.Model(inputs, radar(inputs)["is_adversarial"])
    floats = tf.constant(images, tf.float32)
    flags = {
        "eager": radar(images)["is_adversarial"],
        "graph": tf.function(lambda x: radar(x))(floats)["is_adversarial"],
        "batch": radar.predict_on_batch(images)["is_adversarial"],
        "loaded": again.predict(images, verbose=0)["is_adversarial"],
        "layer": model.predict(images, verbose=0),
    }
    for way, flag in flags.items():
        assert np.asarray(flag).tolist() == found["is_adversarial"].tolist(), way
    served = export_savedmodel(radar, tmp_path / "served")
    assert load(served).predict(images)["is_adversarial"].tolist() == list(flags["loaded"])
    assert load(served).predict(images + np.float32(0))["label"][2] == -1
    model = tf.saved_model.load(served).signatures
    encoded = [tf.io.encode_png(image).numpy() for image in images]
    answers = {
        "serving_default": model["serving_default"](images=tf.constant(images)),
        "serve_float": model["serve_float"](images=floats),
        "serve_bytes": model["serve_bytes"](image_bytes=tf.constant(encoded)),
        "explain": model["explain"](images=tf.constant(images)),
        "classify": model["classify"](images=tf.constant(images)),
    }
    for way, answer in answers.items():
        assert (answer["label"].numpy() == -1).tolist() == BAD, way
        for name, values in answer.items():
            assert values.dtype == tf.string or np.isfinite(values.numpy()).all(), (way, name)
        if way != "classify":
            assert answer["is_adversarial"].numpy().tolist() == list(flags["loaded"]), way
        assert answer["valid"].numpy().tolist() == [not bad for bad in BAD], way


def test_a_weight_that_is_nan_flags_everything(settings):
    radar = TaintRadarModel(nan_weight(), **settings)
    images = draw_images(4)
    assert np.isnan(radar.score(images)).all()
    assert radar.predict(images, verbose=0)["is_adversarial"].all()


def test_explain_says_so(settings, tmp_path):
    radar = TaintRadarModel(standardised(), **settings)
    explanation = radar.explain(mixed()[2])
    assert explanation.is_adversarial is True
    assert not explanation.is_finite
    assert "ADVERSARIAL (the classifier's answer is not finite)" in explanation._headline()
    explanation.plot(tmp_path / "why.png")
    assert radar.explain(mixed()[0]).is_finite
    assert TaintRadarModel(standardised()).explain(mixed()[2]).is_adversarial is None


def test_calibrate_names_the_images_and_refuses(settings, tmp_path):
    names = {k: v for k, v in settings.items() if k == "variant"}
    variant = names or ({"variant": "paper"} if "top_k" in settings else {})
    radar = TaintRadarModel(standardised(), **variant)
    images = np.concatenate([draw_images(40), mixed()])
    with pytest.raises(CalibrationError, match=r"finite.*for 2 of 48 images: 42, 47\."):
        radar.calibrate(images, 0.1, verbose=0)
    folder = files_of(tmp_path / "benign", mixed())
    with pytest.raises(CalibrationError, match=r"2 of 8 images: \S*benign/2.png, \S*benign/7.png"):
        radar.calibrate(folder, 0.2, verbose=0)
    parts = [(radar, draw_images(30)), (radar, mixed())]
    with pytest.raises(CalibrationError, match=r"2 of 38 images: 32, 37\."):
        radar.calibrate_across(parts, 0.1, verbose=0)
    assert radar.threshold is None
    radar.calibrate(images[~np.array([False] * 40 + BAD)], 0.2, verbose=0)


def test_an_error_names_five_images_and_counts_the_rest():
    with pytest.raises(CalibrationError, match=r"7 of 50 images: 0, 1, 2, 3, 4 and 2 more\."):
        smallest_threshold(np.array([np.nan] * 6 + [np.inf] + [1.0] * 43), 0.1)
    with pytest.raises(CalibrationError, match=r"1 of 50 images: 49\."):
        choose_threshold(np.array([1.0] * 49 + [-np.inf]), 0.1, variant="occlusion")


def test_a_film_is_flagged_while_such_a_frame_is_in_the_window():
    radar = VideoRadar(TaintRadarModel(standardised()), window=3, score_threshold=1e9)
    flags = radar.update(draw_images(3))["is_adversarial"].tolist()
    assert flags == [False] * 3
    assert radar.update(mixed()[2:7])["is_adversarial"].tolist() == [True] * 3 + [False] * 2


def test_the_command_line_says_so(tmp_path):
    TaintRadarModel(standardised(), score_threshold=0.1).save(tmp_path / "radar.keras")
    folder = files_of(tmp_path / "photos", mixed())
    run = CliRunner().invoke
    shown = run(app, ["detect", str(tmp_path / "radar.keras"), str(folder)], env={"COLUMNS": "200"})
    lines = [line for line in shown.stdout.splitlines() if "not finite" in line]
    assert len(lines) == 2
    assert all("ADVERSARIAL" in line for line in lines)
    shown = run(app, ["detect", str(tmp_path / "radar.keras"), str(folder), "--json"])
    document = json.loads(shown.stdout, parse_constant=pytest.fail)
    for row, bad in zip(document["images"], BAD, strict=True):
        assert (row["score"] is None, row["probability"] is None) == (bad, bad)
        assert ("not finite" in row.get("remark", "")) == bad
        assert row["is_adversarial"] or not bad
    picture = str(tmp_path / "why.png")
    file = str(folder / "2.png")
    shown = run(app, ["explain", str(tmp_path / "radar.keras"), file, "--output", picture])
    assert "ADVERSARIAL, the classifier's answer is not finite" in shown.stdout


# Rows without raw pixels

SPOILED = {
    "NaN": lambda x: np.where(x == x.max(), np.nan, x),
    "infinite": lambda x: np.where(x == x.max(), np.inf, x),
    "negative": lambda x: x - x.min() - 2,
    "above 255": lambda x: x - x.max() + 257,
    "0 to 1": lambda x: x / 255,
    "preprocessed": lambda x: x / 127.5 - 1,
}


@some_rules
def test_a_graph_answers_bad_rows_as_serve_float_does(settings, tmp_path):
    radar = TaintRadarModel(build_small_classifier(), **settings)
    images = draw_images(len(SPOILED) + 2).astype(np.float32)
    for i, spoil in enumerate(SPOILED.values(), start=1):
        images[i] = spoil(images[i])
    radar.export(tmp_path / "served")
    served = tf.saved_model.load(tmp_path / "served").signatures["serve_float"]
    expected = dict(served(images=tf.constant(images)))
    valid = dict(zip(SPOILED, expected.pop("valid").numpy()[1:-1], strict=True))
    assert valid == dict.fromkeys(SPOILED, False)
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, radar(inputs))
    ways = {
        "tf.function": tf.function(lambda x: radar(x))(tf.constant(images)),
        "layer": model.predict(images, verbose=0),
        "xla": tf.function(lambda x: radar(x), jit_compile=True)(tf.constant(images)),
        "dataset": next(iter(tf.data.Dataset.from_tensors(images).map(lambda x: radar(x)))),
    }
    for way, answer in ways.items():
        assert np.all(answer["is_adversarial"][1:-1]), way
        assert answer.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_allclose(answer[name], values, atol=1e-5, err_msg=f"{way} {name}")


def test_whole_numbers_of_a_nearly_black_image_are_no_unit_range(settings):
    radar = TaintRadarModel(build_small_classifier(), **settings)
    images = draw_images(3)
    images[1] = images[1] > 128
    for dtype in ("uint8", "int32", "int64"):
        found = tf.function(lambda x: radar(x))(tf.constant(images.astype(dtype)))
        expected = radar.predict(images, verbose=0)
        np.testing.assert_array_equal(found["label"], expected["label"])
        np.testing.assert_array_equal(found["is_adversarial"], expected["is_adversarial"])
