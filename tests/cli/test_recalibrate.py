"""`taintradar recalibrate`: a new threshold for the same network, and what came before."""

import re

import keras
import numpy as np
import pytest
from command import run
from PIL import Image
from small_detector import build_small_classifier, draw_images

from tf_taintradar import TaintRadarModel
from tf_taintradar.calibration.provenance import read_provenance
from tf_taintradar.serving import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`radar.keras`, calibrated on 40 images; 60 others in `benign/`; `plain.keras`."""
    folder = tmp_path_factory.mktemp("recalibrate")
    radar = TaintRadarModel(build_small_classifier(), variant="windows")
    radar.save(folder / "plain.keras")
    radar.calibrate(draw_images(40), target_fpr=0.1, verbose=0)
    radar.save(folder / "radar.keras")
    (folder / "benign").mkdir()
    for i, image in enumerate(draw_images(100)[40:]):
        Image.fromarray(image).save(folder / "benign" / f"{i:02}.png")
    return folder


@pytest.fixture(autouse=True)
def _inside(folder, monkeypatch):
    monkeypatch.chdir(folder)


def test_the_threshold_is_new_and_all_else_as_before(tmp_path):
    before = keras.models.load_model("radar.keras")
    result = run("recalibrate", "radar.keras", "benign", "--output", tmp_path / "new.keras")
    assert result.exit_code == 0, result.stderr
    after = keras.models.load_model(tmp_path / "new.keras")
    assert after.calibration.n_images == 60
    assert after.calibration.target_fpr == before.calibration.target_fpr == 0.1
    assert after.threshold != before.threshold
    for old, new in zip(before.get_weights(), after.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    expected = keras.models.load_model("radar.keras").calibrate("benign", 0.1, verbose=0)
    assert after.threshold == expected.threshold
    flags = int(before.predict("benign", verbose=0)["is_adversarial"].sum())
    assert f"flags {flags}/60" in result.stdout
    assert f"former threshold {before.threshold:.4g}, 40 images, target 10.0%" in result.stdout


def test_what_came_before_is_kept_and_taken_along(tmp_path):
    first, second, third = (tmp_path / f"{i}.keras" for i in range(3))
    more = ["--target-fpr", 0.2, "--report", tmp_path / "calibration.json"]
    assert run("recalibrate", "radar.keras", "benign", "--output", first).exit_code == 0
    assert run("recalibrate", first, "benign", "--output", second, *more).exit_code == 0
    assert (tmp_path / "calibration.json").is_file()
    assert run("calibrate", second, "benign", "--output", third).exit_code == 0
    assert read_provenance("radar.keras") == []
    assert [entry["n_images"] for entry in read_provenance(first)] == [40]
    found = read_provenance(third)
    assert [entry["n_images"] for entry in found] == [40, 60, 60]
    assert [entry["target_fpr"] for entry in found] == [0.1, 0.1, 0.2]
    assert found[0]["threshold"] == keras.models.load_model("radar.keras").threshold
    assert len({entry["weights"] for entry in found}) == 1  # the network is the same
    assert all(re.match(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d$", entry["saved"]) for entry in found)


def test_it_outlives_saving_and_is_exported(tmp_path):
    assert (
        run("recalibrate", "radar.keras", "benign", "--output", tmp_path / "a.keras").exit_code == 0
    )
    radar = keras.models.load_model(tmp_path / "a.keras")
    radar.save(tmp_path / "b.keras")
    radar.export(tmp_path / "served")
    (entry,) = read_provenance(tmp_path / "a.keras")
    assert read_provenance(tmp_path / "b.keras") == radar.provenance == [entry]
    assert load(tmp_path / "served").metadata["provenance"] == [entry]


def test_a_detector_may_be_renewed_in_its_place(tmp_path, folder):
    here = tmp_path / "radar.keras"
    here.write_bytes((folder / "radar.keras").read_bytes())
    assert run("recalibrate", here, "benign", "--output", here).exit_code == 0
    assert len(read_provenance(here)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["radar.keras"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plain.keras", "benign"], ["plain.keras", "`taintradar calibrate`"]),
        (["radar.keras", "benign", "--target-fpr", "0.001"], ["60 benign images"]),
        (["radar.keras", "gone"], ["gone"]),
    ],
)
def test_what_a_person_can_mend_is_said_in_one_line(arguments, words, tmp_path):
    result = run("recalibrate", *arguments, "--output", tmp_path / "new.keras")
    assert (result.exit_code, result.stdout) == (2, "")
    assert all(word in result.stderr.splitlines()[-1] for word in words)
    assert list(tmp_path.iterdir()) == []
