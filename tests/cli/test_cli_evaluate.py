"""`taintradar evaluate` and `taintradar selftest`: what they print, write and how they end."""

import json

import pytest
import typer
from command import run
from PIL import Image
from small_detector import build_small_classifier, draw_images

from tf_taintradar import TaintRadarModel
from tf_taintradar.cli import app
from tf_taintradar.evaluation import ATTACKS, DEFENCES

QUICK = ["--attack", "partial-30", "--n-attacked", 2, "--target-fpr", 0.2]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """`radar.keras`, `classifier.keras` and `photos/` of its size with `labels.csv`."""
    folder = tmp_path_factory.mktemp("evaluate")
    classifier = build_small_classifier()
    classifier.save(folder / "classifier.keras")
    radar = TaintRadarModel(classifier, class_names=["cat", "dog", "owl", "fox", "bee"])
    images = draw_images(40)
    radar.calibrate(images, 0.2, verbose=0)
    radar.save(folder / "radar.keras")
    (folder / "photos").mkdir()
    labels = radar.predict(images, verbose=0)["label"]
    for i, pixels in enumerate(images):
        Image.fromarray(pixels).save(folder / "photos" / f"photo{i}.png")
    lines = [f"photo{i}.png,{radar.class_names[label]}" for i, label in enumerate(labels)]
    (folder / "labels.csv").write_text("\n".join(["file,label", *lines]) + "\n")
    return folder


@pytest.fixture(autouse=True)
def _inside(made, monkeypatch):
    monkeypatch.chdir(made)


def test_evaluate_prints_and_writes_the_same_and_goes_on(tmp_path):
    out = tmp_path / "report"
    command = ["evaluate", "radar.keras", "photos", "--labels", "labels.csv", *QUICK, "--target",
               "owl", "--output", out, "--defence", "taintradar"]  # fmt: skip
    result = run(*command)
    assert result.exit_code == 0, result.output
    assert {path.name for path in out.iterdir()} == {
        *("answers", "attacks", "setting.json"),
        *("report.md", "report.json", "report.html"),
    }
    document = json.loads((out / "report.json").read_text())
    assert document["setting"]["run"]["target_class"] == 2
    assert document["setting"]["classifier_right"] == 1
    assert "partial-30" in result.stdout
    for line in (out / "report.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| partial-30"):
            assert all(cell in result.stdout for cell in cells)
    before = (out / "report.md").read_text()
    more = run(*command, "--defence", "patchcleanser")
    assert more.exit_code == 0, more.output
    after = (out / "report.md").read_text()
    assert "patchcleanser" in after
    assert "patchcleanser" not in before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--attack", "gloves"], "`attacks` must be among"),
        (["--defence", "sentry"], "`defences` must be among"),
        (["--target", "pig"], "neither a number nor the name of a class"),
        (["--labels", "photos/photo0.png"], "Error:"),
        (["--target-fpr", "2"], "`target_fpr`"),
        (["--target-fpr", "0.001"], "At least 999 are needed"),
    ],
)
def test_evaluate_errors(tmp_path, arguments, message):
    result = run("evaluate", "radar.keras", "photos", "--output", tmp_path / "new", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("model", ["radar.keras", "classifier.keras"])
def test_selftest_prints_a_table_and_what_to_do(model):
    result = run("selftest", model, "photos", "--n-attacked", 2, "--target-fpr", 0.1)
    assert result.exit_code == 1, result.output  # so few attacks say little
    own = model == "radar.keras"
    assert ("the detector's own" if own else "found on half") in result.stdout
    assert ("20.0% false positives" if own else "10.0% false positives") in result.stdout
    assert "partial patches" in result.stdout
    as_json = run("selftest", model, "photos", "--n-attacked", 2, "--target-fpr", 0.1, "--json")
    document = json.loads(as_json.stdout)
    assert document["is_calibrated"] == own
    assert document["advice"]
    for advice in document["advice"]:
        assert advice in result.stdout


@pytest.mark.parametrize(("option", "names"), [("attack", ATTACKS), ("defence", DEFENCES)])
def test_help_names_every_choice(option, names):
    options = typer.main.get_command(app).commands["evaluate"].params
    (text,) = (each.help for each in options if each.name == option)
    assert text.split(";")[0].replace(" or ", ", ").split(", ") == list(names)
