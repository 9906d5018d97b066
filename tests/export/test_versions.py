"""SavedModels on disk: one folder, or one for each version, whole or not at all."""

import pathlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from savedmodel_files import metadata_of

from tf_taintradar import TaintRadarModel, export_savedmodel
from tf_taintradar.errors import NotCalibratedError

ROOT = pathlib.Path(__file__).parents[2]


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def answers_of(folder, images):
    function = tf.saved_model.load(folder).signatures["serving_default"]
    return {name: values.numpy() for name, values in function(images=tf.constant(images)).items()}


def same(answers, expected):
    """The SavedModel answers what `predict` does, and says that each image is valid."""
    assert answers.pop("valid").all()
    assert answers.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(answers[name], values, rtol=0, atol=1e-6, err_msg=name)


@pytest.fixture
def fast_radar(images):
    """A detector that is exported in little time."""
    inputs = keras.Input((24, 16, 3))
    x = keras.layers.Conv2D(4, 3, strides=4, activation="relu")(inputs)
    x = keras.layers.Dense(3)(keras.layers.Flatten()(x))
    return TaintRadarModel(keras.Model(inputs, x), top_k=1, rank_threshold=0)


# radar.export


def test_a_detector_from_a_file_is_exported_without_having_been_called(exported, tmp_path):
    exported.radar.save(tmp_path / "radar.keras")
    keras.models.load_model(tmp_path / "radar.keras").export(tmp_path / "deep" / "radar")
    assert names_in(tmp_path) == ["deep", "radar.keras"]
    assert names_in(tmp_path / "deep") == ["radar"]
    expected = exported.radar.predict(exported.images, verbose=0)
    same(answers_of(tmp_path / "deep" / "radar", exported.images), expected)
    assert metadata_of(tmp_path / "deep" / "radar") == metadata_of(exported.folder)


def test_an_older_savedmodel_is_replaced_as_a_whole(exported, fast_radar, images, tmp_path):
    folder = tmp_path / "radar"
    shutil.copytree(exported.folder, folder)
    (folder / "stray").touch()
    fast_radar.export(folder, verbose=True)
    assert names_in(tmp_path) == ["radar"]
    assert not (folder / "stray").exists()
    same(answers_of(folder, images), fast_radar.predict(images, verbose=0))


def test_an_export_that_fails_leaves_the_older_one(exported, small_classifier, tmp_path):
    folder = tmp_path / "radar"
    shutil.copytree(exported.folder, folder)
    preprocessor = Breakable()
    radar = TaintRadarModel(small_classifier, rank_threshold=0, preprocessor=preprocessor)
    preprocessor.is_broken = True
    with pytest.raises(RuntimeError, match="it broke"):
        radar.export(folder)
    assert names_in(tmp_path) == ["radar"]
    expected = exported.radar.predict(exported.images, verbose=0)
    same(answers_of(folder, exported.images), expected)


class Breakable(keras.layers.Layer):
    is_broken = False

    def call(self, x):
        if self.is_broken:
            raise RuntimeError("it broke")
        return x


@pytest.mark.parametrize("content", ["file", "folder of versions"])
def test_what_is_no_savedmodel_is_not_replaced(exported, tmp_path, content):
    target = tmp_path / "precious"
    if content == "file":
        target.touch()
    else:
        shutil.copytree(exported.folder, target / "1")
    with pytest.raises(FileExistsError, match=r"precious .*Name a new folder"):
        exported.radar.export(target)
    assert names_in(tmp_path) == ["precious"]


def test_what_cannot_be_exported_is_refused(small_classifier, exported, tmp_path):
    with pytest.raises(NotCalibratedError, match="calibrate"):
        TaintRadarModel(small_classifier).export(tmp_path / "radar")
    with pytest.raises(NotCalibratedError, match="calibrate"):
        export_savedmodel(TaintRadarModel(small_classifier), tmp_path / "radar")
    for format in ("onnx", "keras", None):
        with pytest.raises(ValueError, match='`format` must be "tf_saved_model"'):
            exported.radar.export(tmp_path / "radar", format)
    signature = [keras.InputSpec(shape=(None, 24, 16, 3))]
    with pytest.raises(ValueError, match=r"nothing but `verbose`.*\['input_signature'\]"):
        exported.radar.export(tmp_path / "radar", input_signature=signature)
    with pytest.raises(ValueError, match="is_static"):
        exported.radar.export(tmp_path / "radar", is_static=True, verbose=False)
    assert names_in(tmp_path) == []


# export_savedmodel


def test_versions_follow_each_other_and_stay(exported, fast_radar, images, tmp_path):
    base = tmp_path / "models" / "radar"
    shutil.copytree(exported.folder, base / "7")
    (base / "notes").mkdir()
    (base / "9.old").mkdir()
    assert export_savedmodel(fast_radar, str(base)) == base / "8"
    assert names_in(base) == ["7", "8", "9.old", "notes"]
    newest, oldest = answers_of(base / "8", images), answers_of(base / "7", exported.images)
    same(newest, fast_radar.predict(images, verbose=0))
    same(oldest, exported.radar.predict(exported.images, verbose=0))


def test_a_version_that_exists_is_not_replaced(exported, tmp_path):
    (tmp_path / "3").mkdir()
    with pytest.raises(FileExistsError, match="3 exists already.* next one, 4"):
        export_savedmodel(exported.radar, tmp_path, version=3)
    assert names_in(tmp_path) == ["3"]
    assert names_in(tmp_path / "3") == []


@pytest.mark.parametrize("version", [0, -1, True, "3", 1.0])
def test_a_version_is_a_number_above_0(exported, tmp_path, version):
    with pytest.raises(ValueError, match="`version` must be a whole number above 0"):
        export_savedmodel(exported.radar, tmp_path / "models", version=version)
    assert names_in(tmp_path) == []


# A process that dies

DIES = """
import os, pathlib, signal, sys, threading, time
import keras
import tf_taintradar

base, stage = pathlib.Path(sys.argv[1]), sys.argv[2]
radar = keras.models.load_model(sys.argv[3])


def is_there():
    try:
        return any(file for name in (".2.partial", "2") for file in (base / name).rglob(stage))
    except FileNotFoundError:  # renamed or removed while it was searched
        return False


def die():
    while not is_there():
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)


threading.Thread(target=die).start()
tf_taintradar.export_savedmodel(radar, base, version=2)
time.sleep(10)
"""
STAGES = ["*", "saved_model.pb", "metadata.json"]  # which file it dies at


@pytest.fixture(scope="module")
def killed(exported, tmp_path_factory):
    """Folders of versions, in each of which a process was killed while it wrote version 2."""
    folder = tmp_path_factory.mktemp("killed")
    exported.radar.save(folder / "radar.keras")
    bases, processes = {}, []
    for i, stage in enumerate(STAGES):
        bases[stage] = folder / str(i)
        shutil.copytree(exported.folder, bases[stage] / "1")
        command = [sys.executable, "-c", DIES, bases[stage], stage, folder / "radar.keras"]
        processes.append(subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL))
    assert [process.wait(timeout=120) for process in processes] == [-9] * len(STAGES)
    return bases


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_process_leaves_no_half_version(killed, exported):
    expected = exported.radar.predict(exported.images, verbose=0)
    for stage, base in killed.items():
        versions = [name for name in names_in(base) if name.isdecimal()]
        assert "1" in versions
        if stage != "metadata.json":  # the last file: the version may be complete
            assert versions == ["1"]
            assert names_in(base) == [".2.partial", "1"]
        for version in versions:
            same(answers_of(base / version, exported.images), expected)
            assert (base / version / "assets" / "metadata.json").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_the_next_export_removes_what_a_killed_one_left(killed, fast_radar):
    base = killed["saved_model.pb"]
    assert export_savedmodel(fast_radar, base) == base / "2"
    assert names_in(base) == ["1", "2"]
