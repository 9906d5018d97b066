"""Detectors opened by the name of a file or of a network.

Kinds: errors that do not help; open input size.
"""

import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest
from PIL import Image

from tf_taintradar import TaintRadarModel, opening
from tf_taintradar.classifier.preprocessing import make_preprocessor
from tf_taintradar.cli.opening import import_custom, read_size
from tf_taintradar.errors import UnsupportedClassifierError
from tf_taintradar.opening import PREPROCESSORS, SIZES, load_detector, read_class_names


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


def test_a_network_of_keras_that_takes_any_size_is_opened_at_its_own(monkeypatch):
    for network in ("MobileNetV3Small", "MobileNetV3Large"):
        build = getattr(keras.applications, network)
        assert build(weights=None).input_shape == (None, None, None, 3)
        monkeypatch.setattr(keras.applications, network, lambda build=build: build(weights=None))
    assert SIZES == {"MobileNetV3Small": 224, "MobileNetV3Large": 224}
    assert load_detector("mobilenetv3small").opened.input_shape == (224, 224, 3)
    assert load_detector("mobilenetv3small", input_size=96).opened.input_shape == (96, 96, 3)


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
    return folder / "model.keras", "it is incomplete"


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
    return folder, "Cannot read the SavedModel"


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


@pytest.mark.parametrize("text", ['{"0": ["cat"]}', "[1, 2]", "cat\ndog"])
def test_json_that_holds_no_names_is_refused(text, tmp_path):
    (tmp_path / "names.json").write_text(text)
    with pytest.raises(ValueError, match="names.json"):
        read_class_names(tmp_path / "names.json")


# Files of Keras 2, and files that need the reader's own code


def of_keras_2(path):
    """Turns a file of Keras 3 into one of Keras 2 that Keras 3 cannot read."""
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs["keras_version"] = "2.15.0"
            config = file.attrs["model_config"].replace("DepthwiseConv2D", "TFOpLambda")
            file.attrs["model_config"] = config
        return path
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    parts["metadata.json"] = b'{"keras_version": "2.15.0", "date_saved": "2024-01-01"}'
    config = json.loads(parts["config.json"])
    config.update(module="keras.src.engine.functional", class_name="Functional_")
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as new:
        for name, content in parts.items():
            new.writestr(name, content)
    return path


def depthwise():
    inputs = keras.Input((24, 16, 3))
    x = keras.layers.DepthwiseConv2D(3)(inputs)
    return keras.Model(inputs, keras.layers.Dense(5)(keras.layers.GlobalMaxPooling2D()(x)))


@pytest.mark.filterwarnings("ignore:.*HDF5")
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_file_of_keras_2_is_said_to_be_one(suffix, tmp_path):
    path = tmp_path / f"old{suffix}"
    depthwise().save(path)
    with pytest.raises(UnsupportedClassifierError) as raised:
        load_detector(str(of_keras_2(path)))
    message = str(raised.value)
    assert "was written by Keras 2.15.0, that is by Keras 2" in message
    assert "pip install tf_keras" in message
    assert f"tf_keras.models.load_model({str(path)!r}, compile=False)" in message


@pytest.mark.filterwarnings("ignore:.*HDF5")
def test_a_file_of_keras_3_is_not_said_to_be_of_keras_2(tmp_path):
    depthwise().save(tmp_path / "new.h5")
    assert load_detector(str(tmp_path / "new.h5")).opened.n_classes == 5


def test_a_file_of_weights_alone_says_so(tmp_path):
    network = depthwise()
    network.save_weights(tmp_path / "alone.weights.h5")
    with pytest.raises(UnsupportedClassifierError, match=r"weights alone.*load_weights"):
        load_detector(str(tmp_path / "alone.weights.h5"))


@pytest.mark.slow
def test_the_recipe_for_files_of_keras_2_works(tmp_path):
    """tf_keras itself writes the file, in a process of its own."""
    pytest.importorskip("tf_keras")
    code = (
        "import sys, tf_keras as k\n"
        "i = k.Input((24, 16, 3))\n"
        "x = k.layers.GlobalMaxPooling2D()(k.layers.DepthwiseConv2D(3)(i))\n"
        "k.Model(i, k.layers.Dense(5)(x)).save(sys.argv[1])\n"
        "k.models.load_model(sys.argv[1], compile=False).save_weights(sys.argv[2])\n"
    )
    for name in ("old.h5", "old.keras"):
        files = [str(tmp_path / name), str(tmp_path / "weights.h5")]
        subprocess.run([sys.executable, "-c", code, *files], check=True, capture_output=True)
        with pytest.raises(UnsupportedClassifierError, match="written by Keras 2"):
            load_detector(files[0])
        network = depthwise()
        network.load_weights(files[1])
        network.save(tmp_path / "classifier.keras")
        assert load_detector(str(tmp_path / "classifier.keras")).opened.n_classes == 5


def test_a_lambda_layer_explains_safe_mode(tmp_path):
    inputs = keras.Input((24, 16, 3))
    x = keras.layers.Lambda(lambda x: x / 255)(inputs)
    keras.Model(inputs, depthwise()(x)).save(tmp_path / "model.keras")
    with pytest.raises(UnsupportedClassifierError) as raised:
        load_detector(str(tmp_path / "model.keras"))
    for word in ("Lambda", "safe_mode", "register_keras_serializable", "enable_unsafe"):
        assert word in str(raised.value)


MY_LAYERS = """
import keras

@keras.saving.register_keras_serializable(package="mine")
class Registered(keras.layers.Rescaling):
    pass

class Plain(keras.layers.Rescaling):
    pass
"""


@pytest.mark.parametrize("what", ["Registered", "Plain"])
@pytest.mark.parametrize("is_detector", [pytest.param(False, marks=pytest.mark.slow), True])
def test_the_command_line_takes_layers_of_ones_own(what, is_detector, tmp_path):
    (tmp_path / "my_layers_of_test.py").write_text(MY_LAYERS)
    code = (
        "import keras, my_layers_of_test as mine, sys\n"
        "from tf_taintradar import TaintRadarModel\n"
        f"inputs = keras.Input((24, 16, 3))\nx = mine.{what}(1 / 255)(inputs)\n"
        "x = keras.layers.GlobalMaxPooling2D()(keras.layers.Conv2D(4, 3)(x))\n"
        "model = keras.Model(inputs, keras.layers.Dense(5)(x))\n"
        f"model = TaintRadarModel(model, score_threshold=0.1) if {is_detector} else model\n"
        "model.save('model.keras')\n"
    )
    path = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[1])}
    run = functools.partial(
        subprocess.run, cwd=tmp_path, env=path, capture_output=True, text=True, check=False
    )
    assert run([sys.executable, "-c", code]).returncode == 0
    Image.new("RGB", (16, 24)).save(tmp_path / "a.png")
    command = [sys.executable, "-m", "tf_taintradar.cli", "diagnose", "model.keras", "."]
    failed = run(command)
    assert failed.returncode == 2
    assert "give --custom module:Class" in failed.stderr
    custom = f"my_layers_of_test:{what}"
    assert "feature layer" in run([*command, "--custom", custom]).stdout


@pytest.mark.parametrize("name", ["no_such_module_at_all:Layer", "json:NoSuch", ":Layer", ""])
def test_what_cannot_be_imported_is_said(name):
    with pytest.raises(ValueError, match="`--custom` must be module:Class.*Received"):
        import_custom([name])


@pytest.mark.parametrize(("text", "size"), [("224", 224), ("224x160", (224, 160))])
def test_the_size_on_the_command_line(text, size):
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "224x", "1x2x3", "-5", "big", "2.5"])
def test_what_is_no_size_on_the_command_line(text):
    with pytest.raises(ValueError, match="`--input-size` must be"):
        read_size(text)
