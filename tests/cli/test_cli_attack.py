"""`taintradar attack`: what it makes, what it counts, and how it ends."""

import functools
import json

import command
import numpy as np
import pytest
from PIL import Image
from small_detector import build_small_classifier, draw_images

from tf_taintradar import TaintRadarModel
from tf_taintradar.attacks import AdversarialPatch
from tf_taintradar.cli.attack import read_place

NAMES = ["cat", "dog", "owl", "fox", "7"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """`classifier.keras`, `radar.keras` around it, and `photos/` of its size."""
    folder = tmp_path_factory.mktemp("attack")
    classifier = build_small_classifier()
    classifier.save(folder / "classifier.keras")
    radar = TaintRadarModel(classifier, class_names=NAMES, score_threshold=0.01)
    radar.save(folder / "radar.keras")
    (folder / "photos").mkdir()
    for i, pixels in enumerate(draw_images(5)):
        Image.fromarray(pixels).save(folder / "photos" / f"photo{i}.png")
    return folder


@pytest.fixture(autouse=True)
def _inside(made, monkeypatch):
    monkeypatch.chdir(made)


run = functools.partial(command.run, "attack")


def test_what_is_written_is_what_the_attack_makes(made, tmp_path):
    out = tmp_path / "new"
    result = run(
        "classifier.keras", "photos", "--target", 3, "--steps", 4, "--diameter", 0.5, "--place",
        "2,3", "--seed", 1, "--output", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    attack = AdversarialPatch(
        build_small_classifier(), target_class=3, steps=4, diameter=0.5, place=(2, 3), seed=1
    )
    expected = attack.universal(draw_images(5), verbose=0)
    for i in range(5):
        with Image.open(out / "images" / f"photo{i}.png") as picture:
            np.testing.assert_array_equal(picture, expected.images[i])
    assert (out / "patches" / "universal.png").is_file()
    assert f"{expected.success.sum()}/5" in result.stdout
    assert "no threshold" in result.stdout
    assert str(out) in result.stdout


def test_the_detector_of_a_file_looks_at_the_images(tmp_path):
    out = tmp_path / "new"
    result = run(
        "radar.keras", "photos", "--target", "owl", "--kind", "partial", "--diameter", 0.9,
        "--place", "bottom_right", "--steps", 40, "--output", out, "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    record = json.loads((out / "attack.json").read_text())
    assert record["target_class"] == 2
    assert answer["n_images"] == 5
    assert answer["succeeded"] == sum(image["success"] for image in record["images"]) == 5
    import keras

    radar = keras.saving.load_model("radar.keras")
    files = sorted((out / "images").iterdir())
    found = radar.predict(files, verbose=0)
    assert answer["flagged"] == found["is_adversarial"].sum() > 0
    assert len(list((out / "patches").iterdir())) == 5


def test_without_a_target_any_wrong_label_will_do(tmp_path):
    result = run("classifier.keras", "photos", "--steps", 2, "--output", tmp_path / "a", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "a" / "attack.json").read_text())["target_class"] is None


def test_glasses(tmp_path):
    out = tmp_path / "a"
    result = run(
        "classifier.keras", "photos", "--shape", "eyeglasses", "--steps", 2, "--target", 1,
        "--smoothness", 0.5, "--printability", 0.5, "--output", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    with Image.open(out / "patches" / "universal.png") as picture:
        assert picture.size == (16, 24)


def test_files_of_the_same_name_are_numbered(tmp_path):
    (tmp_path / "more").mkdir()
    pixels = Image.fromarray(draw_images(1)[0])
    pixels.save(tmp_path / "more" / "photo0.png")
    result = run(
        "classifier.keras", "photos/photo0.png", tmp_path / "more", "--steps", 1, "--output",
        tmp_path / "a",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    names = sorted(path.name for path in (tmp_path / "a" / "images").iterdir())
    assert names == ["0000-photo0.png", "0001-photo0.png"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--target", "bear"], "`target` 'bear' is neither a number nor the name of a class"),
        (["--target", "5"], "`target_class` must be an integer from 0 to 4. Received: 5"),
        (["--target", "-1"], "`target_class` must be an integer from 0 to 4. Received: -1"),
        (["--kind", "both"], "`kind` must be universal or partial. Received: 'both'"),
        (["--shape", "circle"], "`shape` must be one of disk, square, star, lightning"),
        (["--shape", "eyeglasses", "--diameter", "0.3"], "`diameter` is for patches"),
        (["--place", "left"], "`place` must be"),
        (["--place", "30,30"], "`place` must keep the patch"),
        (["--n-patches", "50"], "50 patches of 6x6 pixels overlap"),
        (["--stop-probability", "2"], "`stop_probability` must be above 0"),
        (["--smoothness", "-1"], "`smoothness` must be 0 or more"),
        (["--width-mm", "0"], "`width_mm` must be positive"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_errors_are_one_line_and_write_nothing(tmp_path, arguments, message):
    result = run("radar.keras", "photos", "--steps", 1, "--output", tmp_path / "a", *arguments)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ") and message in line
    assert not (tmp_path / "a").exists()


def test_a_name_needs_names(tmp_path):
    result = run("classifier.keras", "photos", "--target", "cat", "--output", tmp_path / "a")
    assert result.exit_code == 2
    assert "`target` 'cat' is no number, and the classes have no names" in result.stderr


def test_a_folder_that_is_taken_is_seen_before_the_work(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    result = run("classifier.keras", "photos", "--steps", 10**9, "--output", tmp_path)
    assert result.exit_code == 2
    assert "exists and is not empty: choose another" in result.stderr


@pytest.mark.parametrize(
    "text, place", [("3,7", (3, 7)), ("3, 7", (3, 7)), ("random", "random"), ("a,b", "a,b")]
)
def test_places(text, place):
    assert read_place(text) == place
