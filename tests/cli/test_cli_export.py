"""`taintradar export`: from a detector's file to versions of a SavedModel."""

import functools
import json
import os
import sys

import command
import keras
import numpy as np
import pytest

from tf_taintradar import TaintRadarModel
from tf_taintradar.serving import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`classifier.keras` of three classes, random but fixed, and `radar.keras` around it."""
    folder = tmp_path_factory.mktemp("cli-export")
    keras.utils.set_random_seed(11)
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(6, 3, strides=4, activation="relu", name="last")(inputs)
    x = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(x))
    classifier = keras.Model(inputs, x)
    classifier.save(folder / "classifier.keras")
    TaintRadarModel(classifier, preprocessor="unit", top_k=2, rank_threshold=0).save(
        folder / "radar.keras"
    )
    return folder


@pytest.fixture(autouse=True)
def _inside(folder, monkeypatch):
    monkeypatch.chdir(folder)


run = functools.partial(command.run, "export")


def images():
    return np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), np.uint8)


def test_a_version_is_written_and_answers_as_the_detector(tmp_path):
    result = run("radar.keras", tmp_path / "radar")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"SavedModel: {tmp_path / 'radar' / '1'}\n"
    answers = load(tmp_path / "radar").predict(images())
    expected = keras.saving.load_model("radar.keras").predict(images(), verbose=0)
    for name, values in expected.items():
        np.testing.assert_allclose(answers[name], values, rtol=0, atol=1e-6, err_msg=name)


def test_without_the_extra_serving_it_warns_in_one_line(monkeypatch, tmp_path, caplog):
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis.prediction_log_pb2", None)
    result = run("radar.keras", tmp_path / "radar")
    assert (result.exit_code, result.stdout) == (0, f"SavedModel: {tmp_path / 'radar' / '1'}\n")
    (line,) = result.stderr.splitlines()
    assert line.startswith("Warning: Exported without warm-up requests")
    assert line.endswith('pip install "tf_taintradar[serving]"')
    assert caplog.records == []  # TensorFlow may have a handler of its own, which prints it again


def test_the_settings_of_a_plain_classifier_are_given(tmp_path):
    (tmp_path / "names.json").write_text(json.dumps(["cat", "dog", "owl"]))
    settings = ["--top-k", 1, "--rank-threshold", 1, "--preprocessor", "unit"]
    more = ["--feature-layer", "last", "--class-names", tmp_path / "names.json", "--version", 7]
    half = ["--precision", "bfloat16"]
    result = run("classifier.keras", tmp_path / "radar", *settings, *more, *half)
    assert result.exit_code == 0
    assert os.listdir(tmp_path / "radar") == ["7"]
    metadata = load(tmp_path / "radar").metadata
    assert metadata["precision"] == "bfloat16"
    assert (metadata["top_k"], metadata["threshold"]) == (1, 1)
    assert metadata["class_names"] == ["cat", "dog", "owl"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["classifier.keras", "new"], ["no threshold", "taintradar calibrate"]),
        (["gone.keras", "new"], ["gone.keras", "no file"]),
        (["radar.keras", "new", "--precision", "int8"], ["`precision`", "float32"]),
        (["radar.keras", "old", "--version", "3"], ["exists already", "next one, 4"]),
        (["radar.keras", "radar.keras"], ["radar.keras"]),
    ],
)
def test_what_a_person_can_mend_is_said_in_one_line(folder, arguments, words):
    (folder / "old" / "3").mkdir(parents=True, exist_ok=True)
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert all(word in line for word in words)
    assert not (folder / "new").exists()


def test_version_0_and_missing_arguments_are_refused(folder):
    for arguments in (["radar.keras", "new", "--version", 0], ["radar.keras"]):
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == (2, "")
    assert not (folder / "new").exists()


def test_help_has_an_example():
    result = run("--help")
    assert result.exit_code == 0
    assert "Example: taintradar export" in result.stdout
