"""Detectors opened by the name of a file or of a network."""

import json
import re

import keras
import numpy as np
import pytest

from tf_taintradar import TaintRadarModel, opening
from tf_taintradar.classifier.preprocessing import make_preprocessor
from tf_taintradar.errors import UnsupportedClassifierError
from tf_taintradar.opening import PREPROCESSORS, load_detector, read_class_names


@pytest.fixture
def classifier_file(small_classifier, tmp_path):
    path = tmp_path / "classifier.keras"
    small_classifier.save(path)
    return str(path)


def test_every_network_of_keras_has_its_own_preprocessing():
    known = {name for name in dir(keras.applications) if name[0].isupper()}
    assert set(PREPROCESSORS) == known
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 5, 4, 3)).astype(np.float32)
    for network, preprocessor in PREPROCESSORS.items():
        family = getattr(keras.applications, network).__module__.rsplit(".", 1)[-1]
        expected = getattr(keras.applications, family).preprocess_input(pixels.copy())
        ours = make_preprocessor(preprocessor, (5, 4, 3))(pixels)
        # float32: two orders of the same arithmetic
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-4, err_msg=network)


def test_a_classifier_is_wrapped_with_the_settings(classifier_file, small_classifier, images):
    names = ["a", "b", "c", "d", "e"]
    radar = load_detector(
        classifier_file, preprocessor="unit", feature_layer="last", class_names=names
    )
    direct = TaintRadarModel(small_classifier, preprocessor="unit", feature_layer="last")
    np.testing.assert_array_equal(radar.score(images), direct.score(images))
    assert (radar.preprocessor, radar.feature_layer) == ("unit", "last")
    assert list(radar.class_names) == names
    assert radar.rank_threshold is None


def test_a_detector_comes_back_as_it_was_saved(small_classifier, images, tmp_path):
    saved = TaintRadarModel(small_classifier, top_k=3, rank_threshold=1, class_names=list("abcde"))
    saved.save(tmp_path / "radar.keras")
    radar = load_detector(str(tmp_path / "radar.keras"))
    assert (radar.top_k, radar.rank_threshold) == (3, 1)
    np.testing.assert_array_equal(radar.score(images), saved.score(images))


def test_settings_of_a_finished_detector_cannot_be_given_again(small_classifier, tmp_path):
    path = tmp_path / "radar.keras"
    TaintRadarModel(small_classifier).save(path)
    with pytest.raises(ValueError, match="`preprocessor` and `class_names` cannot be given"):
        load_detector(str(path), preprocessor="tf", class_names=list("abcde"))


def _save_text(folder):
    (folder / "model.keras").write_text("no archive")
    return folder / "model.keras", "is no Keras model"


def _save_half(folder):
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(folder / "model.keras")
    whole = (folder / "model.keras").read_bytes()
    (folder / "model.keras").write_bytes(whole[: len(whole) // 2])
    return folder / "model.keras", "a part of one"


def _save_unknown_layer(folder):
    class Unknown(keras.layers.Layer):
        pass

    keras.Sequential([keras.Input((4,)), Unknown()]).save(folder / "model.keras")
    return folder / "model.keras", "Cannot read .* Could not locate class 'Unknown'"


def _save_no_classifier(folder):
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(folder / "model.keras")
    return folder / "model.keras", "must take images of shape"


def _make_savedmodel(folder):
    (folder / "saved_model.pb").touch()
    return folder, "is a SavedModel"


def _make_folder(folder):
    return folder, "is a folder"


def _make_nothing(folder):
    return folder / "radar.keras", "There is no file"


@pytest.mark.parametrize(
    "make",
    [
        _save_text,
        _save_half,
        _save_unknown_layer,
        _save_no_classifier,
        _make_savedmodel,
        _make_folder,
        _make_nothing,
    ],
)
def test_what_is_no_model_is_said_to_be_none(make, tmp_path):
    path, message = make(tmp_path)
    with pytest.raises(UnsupportedClassifierError, match=message) as raised:
        load_detector(str(path))
    assert str(tmp_path) in str(raised.value) or make is _save_no_classifier
    assert len(str(raised.value)) < 600


def test_an_unknown_network_is_answered_with_those_that_are_close():
    with pytest.raises(UnsupportedClassifierError) as raised:
        load_detector("vgg61")
    assert re.search(r"Did you mean VGG1[69] or .*\? Possible: a `.keras` file", str(raised.value))
    assert all(network in str(raised.value) for network in PREPROCESSORS)
    with pytest.raises(UnsupportedClassifierError, match=r"applications\. Possible"):
        load_detector("qqq")


def test_the_names_of_imagenet_are_taken_if_they_are_on_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert opening._imagenet_names() is None
    index = {"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "imagenet_class_index.json").write_text(json.dumps(index))
    assert opening._imagenet_names() == ["tench", "goldfish"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("names.json", '["cat", "dog"]'), ("names.txt", "cat\ndog\n"), ("names", "\ncat \r\ndog")],
)
def test_class_names_are_read(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    assert read_class_names(tmp_path / name) == ["cat", "dog"]


@pytest.mark.parametrize("text", ['{"0": "cat"}', "[1, 2]", "cat\ndog"])
def test_json_that_is_no_list_of_names_is_refused(text, tmp_path):
    (tmp_path / "names.json").write_text(text)
    with pytest.raises(ValueError, match="names.json"):
        read_class_names(tmp_path / "names.json")
