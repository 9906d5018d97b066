"""A new last layer on frozen features, and the detector around it."""

import json
import shutil

import keras
import numpy as np
import pytest
from drawn_people import draw_people
from keras_2_file import write
from typer.testing import CliRunner

from tf_taintradar.cli import app
from tf_taintradar.errors import CalibrationError, UnsupportedClassifierError
from tf_taintradar.faces.detector import train_face_detector
from tf_taintradar.faces.features import compute_features
from tf_taintradar.faces.subjects import find_subjects
from tf_taintradar.images.files import read_image
from tf_taintradar.vggface import VGGFace, transfer

SMALL = {"classes": 5, "input_shape": (48, 48, 3), "width": 1 / 16}


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Four subjects with 12 photographs each."""
    return draw_people(tmp_path_factory.mktemp("people"), [12] * 4)


@pytest.fixture
def published(tmp_path):
    """A weights file laid out as keras-vggface's, of a narrow network of the published form."""
    model = VGGFace(classes=5, width=1 / 32)
    return write(tmp_path / "rcmalli_vggface_tf_vgg16.h5", model)


@pytest.fixture
def network():
    keras.utils.set_random_seed(0)
    return VGGFace(**SMALL)


def learn(people, network, **settings):
    return transfer(people, network, n_train=8, epochs=60, verbose=0, **settings)


def test_it_learns_subjects_it_has_not_seen_these_photographs_of(people, network, tmp_path):
    learnt = learn(people, network, log=tmp_path / "logs" / "training.csv")
    assert len(learnt.train.files) == 32
    assert len(learnt.test.files) == len(learnt.predicted) == 16
    low, high = learnt.interval
    assert 0.4 < learnt.accuracy  # chance is 0.25
    assert low <= learnt.accuracy <= high
    mistakes = sum(n for _, _, n in learnt.confusions(20))
    assert mistakes == round((1 - learnt.accuracy) * 16)
    assert (tmp_path / "logs" / "training.csv").read_text().startswith("epoch,accuracy,loss")


def test_the_classifier_is_the_network_with_the_new_layer(people, network, tmp_path):
    before = network.get_weights()
    learnt = learn(people, network)
    images = np.stack([read_image(file, (48, 48, 3)) for file in learnt.test.files])
    inputs = images[..., ::-1] - np.array([93.5940, 104.7624, 129.1863], np.float32)
    answers = learnt.classifier.predict(inputs, verbose=0)
    np.testing.assert_array_equal(answers.argmax(axis=1), learnt.predicted)
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-5)
    assert learnt.classifier.get_layer("subjects").units == 4
    for now, then in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    learnt.classifier.save(tmp_path / "people.keras")
    loaded = keras.models.load_model(tmp_path / "people.keras")
    np.testing.assert_allclose(loaded.predict(inputs, verbose=0), answers, rtol=1e-5)


def test_features_are_computed_once(people, network, tmp_path):
    photographs = find_subjects(people, (48, 48, 3)).photographs
    trunk = keras.Model(network.input, network.get_layer("fc7_relu").output)
    common = {"cache": tmp_path / "features", "verbose": 0}
    first = compute_features(trunk, "vggface", photographs, **common)
    assert first.shape == (48, 256)
    files = {file: file.stat().st_mtime_ns for file in (tmp_path / "features").glob("*.npz")}
    assert len(files) == 1
    np.testing.assert_array_equal(compute_features(trunk, "vggface", photographs, **common), first)
    trunk.get_layer("conv1_1").set_weights(
        [2 * weight for weight in trunk.get_layer("conv1_1").get_weights()]
    )
    changed = compute_features(trunk, "vggface", photographs, **common)
    assert not np.allclose(changed, first)  # other weights: computed anew
    fewer = photographs.take(np.arange(10))
    np.testing.assert_allclose(
        compute_features(trunk, "vggface", fewer, **common), changed[:10], rtol=1e-4, atol=1e-5
    )
    other = compute_features(trunk, "unit", photographs, **common)
    assert not np.allclose(other, changed)
    for file, when in files.items():
        assert file.stat().st_mtime_ns == when


@pytest.mark.slow
def test_the_same_seed_learns_the_same(people, network, tmp_path):
    one, again = (learn(people, network, cache=tmp_path / "cache") for _ in range(2))
    np.testing.assert_array_equal(one.predicted, again.predicted)
    for a, b in zip(one.classifier.get_weights(), again.classifier.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_spatial_layer_is_averaged(people, network):
    learnt = learn(people, network, kept="pool5")
    assert learnt.classifier.get_layer("subjects_pooling").output.shape == (None, 32)
    with pytest.raises(
        UnsupportedClassifierError, match="`kept` must name .* Received: 'fc9'.*fc8_softmax"
    ):
        learn(people, network, kept="fc9")


@pytest.mark.slow
def test_the_command(people, tmp_path, published):
    out = tmp_path / "out"
    command = ["vggface-train", people, "--output", out, "--weights", published, "--classes", 5]
    command += ["--strangers", people / "subject1"]
    command += ["--width", 1 / 32, "--fine-tune", "fc7", "--variant", "paper", "--epochs", 5]
    command += ["--n-train", 6, "--n-wearers", 2, "--steps", 2, "--target-fpr", 0.2]
    result = CliRunner().invoke(app, [*map(str, command)])
    assert result.exit_code == 0, result.output
    assert "4 subjects with 12 to 12 photographs, 24 to train on" in result.stdout
    assert {path.name for path in out.iterdir()} == {
        *("detector.keras", "served", "report.json", "glasses.png"),
        *("training.csv", "tuning.csv", "features"),
    }
    report = json.loads((out / "report.json").read_text())
    assert report["subjects"] == 4
    assert report["photographs"] == {f"subject{i}": 12 for i in range(4)}
    assert report["variant"] == "paper"
    assert report["n_held_out"] == 24
    assert report["benign"]["n"] == 12
    kinds = {"impersonation", "dodging", "impersonation, one each", "dodging, one each"}
    assert report["glasses"].keys() == kinds
    for found in report["glasses"].values():  # two wearers, three photographs not calibrated on
        assert found["succeeded"]["n"] == 6
    assert report["plain"]["n"] == 12
    assert report["strangers"]["taken"]["n"] == 12
    assert "12 photographs of strangers taken for a subject, with at least" in result.stdout
    assert "| the paper: 143 " in result.stdout.replace("│", "|")
    radar = keras.models.load_model(out / "detector.keras")
    assert radar.class_names == [f"subject{i}" for i in range(4)]
    assert radar.calibration.n_images == 12
    assert [(g.name, g.n_images) for g in radar.calibration.groups] == [
        ("plain frames", 6),
        ("without glasses", 6),
    ]
    assert radar.fill.image.dtype == np.uint8  # the average face
    assert radar.fill.image.shape == (224, 224, 3)
    assert radar.diagnose(people / "subject0").feature_layer == "conv5_3"
    again = CliRunner().invoke(app, [*map(str, command)])
    assert again.exit_code == 0, again.output


def test_the_command_with_another_network(people, network, tmp_path):
    network.save(tmp_path / "network.keras")
    copy = shutil.copytree(people, tmp_path / "people")
    (copy / "subject0" / "broken.jpg").write_bytes(b"no picture")
    command = ["faces-train", copy, "--network", tmp_path / "network.keras", "--kept", "pool5"]
    command += ["--preprocessor", "unit", "--calibrate-on", "folds", "--output", tmp_path / "out"]
    command += ["--head", "prototypes"]
    command += ["--n-train", 6, "--epochs", 3, "--n-wearers", 1, "--steps", 2, "--target-fpr", 0.2]
    result = CliRunner().invoke(app, [*map(str, command)])
    assert result.exit_code == 1, result.output  # a photograph could not be read
    assert "Warning: left out: Cannot read" in result.stderr
    assert "flagged of 24 other photographs" in result.stdout  # all that are held out
    radar = keras.models.load_model(tmp_path / "out" / "detector.keras")
    assert radar.calibration.n_images == 24
    assert {group.n_images for group in radar.calibration.groups} == {10, 14}
    assert radar.classifier.get_layer("subjects_pooling").output.shape == (None, 32)


def test_the_command_without_weights(people, tmp_path):
    missing = ["faces-train", people, "--output", tmp_path / "out", "--weights", "none.h5"]
    result = CliRunner().invoke(app, [*map(str, missing), "--width", "0.03125"])
    assert result.exit_code == 2
    assert "There is no weights file 'none.h5'" in result.stderr


def test_settings_are_checked_before_the_work(people, network, tmp_path):
    common = {"n_train": 6, "verbose": 0}
    with pytest.raises(
        ValueError, match="`variant` must be .* occlusion, windows, bands, cover, paper"
    ):
        train_face_detector(people, network, tmp_path / "out", variant="other", **common)
    with pytest.raises(ValueError, match='`calibrate_on` must be "test" or "folds"'):
        train_face_detector(people, network, tmp_path / "out", calibrate_on="all", **common)
    with pytest.raises(
        UnsupportedClassifierError, match="`fine_tuned` must name .* Received: 'conv9'"
    ):
        train_face_detector(people, network, tmp_path / "out", fine_tuned="conv9", **common)
    with pytest.raises(CalibrationError, match="'plain frames'.* 6 benign images.*At least 16"):
        train_face_detector(people, network, tmp_path / "out", target_fpr=0.06, **common)
    assert not (tmp_path / "out").exists()
