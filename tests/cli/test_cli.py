"""The command line: what it prints where, what it writes, and how it ends."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import typer
from command import run
from PIL import Image
from typer.testing import CliRunner

from tf_taintradar import TaintRadarModel
from tf_taintradar.cli import quiet
from tf_taintradar.cli.program import Program

ROOT = pathlib.Path(__file__).parents[2]
COMMANDS = ["detect", "calibrate", "explain", "diagnose", "demo"]
NAMES = ["cat", "dog", "owl", "fox", "bee", "ant"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`classifier.keras` of six classes, random but fixed; `radar.keras` around it; `photos/`."""
    folder = tmp_path_factory.mktemp("cli")
    keras.utils.set_random_seed(11)
    classifier = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Conv2D(8, 3, strides=4, activation="relu", name="last"),
            keras.layers.GlobalMaxPooling2D(),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(6, activation="softmax"),
        ]
    )
    classifier.save(folder / "classifier.keras")
    radar = TaintRadarModel(
        classifier, preprocessor="unit", top_k=2, rank_threshold=0, class_names=NAMES
    )
    radar.save(folder / "radar.keras")
    rng = np.random.default_rng(5)
    (folder / "photos" / "more").mkdir(parents=True)
    for i in range(20):
        blobs = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
        place = folder / "photos" / ("more" if i % 2 else ".")
        blobs.resize((40, 32), Image.Resampling.BICUBIC).save(place / f"{i:02}.png")
    return folder


@pytest.fixture(autouse=True)
def _inside(folder, monkeypatch):
    monkeypatch.chdir(folder)


def run_process(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "tf_taintradar.cli", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
    )


def assert_one_line_error(result, *words):
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert all(word in line for word in words)


# detect


@pytest.mark.parametrize("batch_size", [3, 32])
def test_json_says_what_predict_answers(batch_size, folder):
    result = run("detect", "radar.keras", "photos", "--json", "--batch-size", batch_size)
    assert (result.exit_code, result.stderr) == (0, "")
    document = json.loads(result.stdout)
    rows = document.pop("images")
    settings = {"model": "radar.keras", "variant": "paper", "top_k": 2, "threshold": 0}
    assert document == {**settings, "skipped": []}
    expected = keras.saving.load_model("radar.keras").predict(folder / "photos", verbose=0)
    assert [row["file"] for row in rows] == [
        *(f"photos/{i:02}.png" for i in range(0, 20, 2)),
        *(f"photos/more/{i:02}.png" for i in range(1, 20, 2)),
    ]
    predictions = expected.pop("predictions")
    for key, values in expected.items():
        assert [row[key] for row in rows] == values.tolist(), key
    assert len(set(expected["is_adversarial"])) == 2  # both verdicts are among them
    for row, probabilities in zip(rows, predictions, strict=True):
        assert row["probability"] == pytest.approx(probabilities.max(), rel=1e-5)
        assert row["name"] == NAMES[row["label"]]
        assert row["recovered_name"] == NAMES[row["recovered_label"]]


@pytest.fixture
def album(tmp_path):
    """Twelve numbered pictures, one of them behind a link, beside what is no picture."""
    for folder in ("album", "elsewhere"):
        (tmp_path / folder).mkdir()
    for i in range(1, 13):
        place = tmp_path / ("elsewhere" if i == 12 else "album") / f"frame{i}.png"
        shutil.copy(f"photos/{'more' if i % 2 else '.'}/{i:02}.png", place)
    (tmp_path / "album" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "album" / "notes.txt").touch()
    (tmp_path / "album" / ".hidden.png").touch()
    return tmp_path / "album"


def test_every_file_of_a_folder_is_answered_or_counted(album):
    """Kinds: files nobody looked at; order of frames."""
    result = run("detect", "radar.keras", album, "--json")
    assert result.exit_code == 0  # notes.txt is no image
    document = json.loads(result.stdout)
    names = [f"frame{i}.png" for i in range(1, 12)] + ["linked/frame12.png"]
    assert [row["file"] for row in document["images"]] == [str(album / name) for name in names]
    assert document["skipped"] == [str(album / name) for name in (".hidden.png", "notes.txt")]
    (line,) = result.stderr.splitlines()
    assert line.startswith("Warning: Skipped 2 entries in")
    assert "notes.txt" in line
    (album / "linked" / "gone.png").symlink_to("nowhere")
    (album / "ring").symlink_to(album / "ring")
    result = run("detect", "radar.keras", album)
    assert result.exit_code == 1
    assert "of 14, unreadable: 2" in result.stdout
    assert [line.split(":")[0] for line in result.stderr.splitlines()].count("Error") == 2
    assert "gone.png" in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["diagnose", "radar.keras", "{}"],
        ["calibrate", "radar.keras", "{}", "--target-fpr", "0.5", "--output", "again.keras"],
    ],
    ids=["diagnose", "calibrate"],
)
def test_what_a_command_could_not_read_is_its_exit_status(album, command):
    arguments = [argument.format(album) for argument in command]
    result = run(*arguments)
    assert (result.exit_code, "notes.txt" in result.stderr) == (0, True)
    (album / "gone.png").symlink_to("nowhere")
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stdout != ""
    assert "Warning: Could not read 1 entry" in result.stderr
    assert result.stderr.count("gone.png") == 1


def test_a_file_that_cannot_be_read_does_not_stop_the_others(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    files = ["photos/00.png", tmp_path / "broken.png", tmp_path / "gone.jpg", "photos/02.png"]
    result = run("detect", "radar.keras", *files, "--json")
    assert result.exit_code == 1
    rows = json.loads(result.stdout)["images"]
    assert [row["file"] for row in rows] == [str(file) for file in files]
    assert ["error" in row for row in rows] == [False, True, True, False]
    assert rows[1].keys() == {"file", "error"}
    alone = json.loads(run("detect", "radar.keras", "photos/02.png", "--json").stdout)["images"]
    assert rows[3] == alone[0]
    assert len(result.stderr.splitlines()) == 2
    table = run("detect", "radar.keras", *files)
    assert table.exit_code == 1
    assert table.stdout.count("unreadable") == 3
    assert "of 4, unreadable: 2" in table.stdout
    assert "broken.png" in table.stderr


def test_the_table_holds_whole_names(tmp_path):
    long = tmp_path / ("x" * 150 + "[red].png")
    Image.new("RGB", (32, 32), "teal").save(long)
    result = run("detect", "radar.keras", long, "photos")
    assert result.exit_code == 0
    assert str(long) in result.stdout
    assert "ADVERSARIAL" in result.stdout
    assert "benign" in result.stdout
    assert any(name in result.stdout for name in NAMES)


def test_a_classifier_needs_a_threshold():
    classifier = ["detect", "classifier.keras", "photos", "--preprocessor", "unit"]
    assert_one_line_error(run(*classifier), "taintradar calibrate", "--rank-threshold")
    result = run(*classifier, "--top-k", 2, "--rank-threshold", 0, "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert (document["variant"], document["top_k"], document["threshold"]) == ("paper", 2, 0)
    named = json.loads(run("detect", "radar.keras", "photos", "--json").stdout)["images"]
    for row, with_name in zip(document["images"], named, strict=True):
        assert row == {**with_name, "name": None, "recovered_name": None}


def test_logits_become_probabilities(tmp_path):
    softmax = keras.saving.load_model("classifier.keras")
    softmax.layers[-1].activation = keras.activations.linear
    softmax.save(tmp_path / "logits.keras")
    options = ["photos/00.png", "--rank-threshold", 0, "--preprocessor", "unit", "--json"]
    answers = [
        json.loads(run("detect", model, *options).stdout)["images"][0]["probability"]
        for model in ("classifier.keras", tmp_path / "logits.keras")
    ]
    assert answers[0] == pytest.approx(answers[1], rel=1e-5)
    assert answers[0] < 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["VGG61", "photos"], ["VGG61", "Did you mean"]),
        (["gone.keras", "photos"], ["gone.keras", "no file"]),
        (["photos/00.png", "photos"], ["no Keras model"]),
        (["radar.keras", "photos", "--top-k", 7], ["`top_k`", "1 to 6"]),
        (["radar.keras", "photos", "--preprocessor", "tf"], ["`preprocessor`", "finished"]),
        (["classifier.keras", "photos", "--feature-layer", "x"], ["`feature_layer`"]),
    ],
)
def test_what_a_person_can_mend_is_said_in_one_line(arguments, words):
    assert_one_line_error(run("detect", *arguments), *words)


@pytest.mark.parametrize(
    "arguments",
    [
        ["explain", "radar.keras", "gone", "--output", "why.png"],
        ["diagnose", "radar.keras", "gone"],
        ["calibrate", "radar.keras", "gone", "--output", "new.keras"],
        ["detect", "classifier.keras", "photos", "--class-names", "gone"],
    ],
)
def test_what_is_missing_is_named(arguments):
    assert_one_line_error(run(*arguments), "'gone'")


def test_an_empty_folder_is_an_error(tmp_path):
    assert_one_line_error(run("detect", "radar.keras", tmp_path), "holds no image")


# calibrate, explain, diagnose


def test_diagnose_says_which_maps_are_looked_at():
    found = run("diagnose", "classifier.keras", "photos")
    assert "this map alone" in found.stdout
    found = run("diagnose", "radar.keras", "photos")
    assert found.exit_code == 0
    twice = ["--feature-layer", "last", "--feature-layer", "last"]
    assert_one_line_error(
        run("diagnose", "classifier.keras", "photos", *twice), "`feature_layer`", "order"
    )


@pytest.mark.parametrize("variant", ["paper", "occlusion", "bands", "cover"])
def test_calibrate_then_detect(tmp_path, variant):
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    output, surface, report = (
        tmp_path / "new" / name for name in ("radar.keras", "surface.png", "report.json")
    )
    options = ["--target-fpr", 0.07, "--preprocessor", "unit"]
    options += ["--k-max", 4] if variant == "paper" else []
    files = ["--plot", surface, "--report", report, "--class-names", tmp_path / "names.txt"]
    options += ["--variant", variant]
    result = run("calibrate", "classifier.keras", "photos", "--output", output, *options, *files)
    assert result.exit_code == 0
    assert sorted(output.parent.iterdir()) == [output, report, surface]  # no partial file is left
    calibration = json.loads(report.read_text())
    if variant == "paper":
        assert f"K = {calibration['top_k']}, rank threshold" in result.stdout
    assert "on 20 images" in result.stdout
    assert "Warning: 20 images leave the false positive rate uncertain" in result.stderr
    Image.open(surface).verify()
    document = json.loads(run("detect", output, "photos", "--json").stdout)
    assert document["variant"] == variant
    assert document["top_k"] == calibration.get("top_k")
    threshold = "rank_threshold" if variant == "paper" else "score_threshold"
    assert document["threshold"] == calibration[threshold]
    flagged = np.mean([row["is_adversarial"] for row in document["images"]])
    assert flagged == pytest.approx(calibration["fpr"])
    assert document["images"][0]["name"] in NAMES


def test_a_calibration_that_fails_writes_nothing(tmp_path):
    output = tmp_path / "radar.keras"
    result = run("calibrate", "radar.keras", "photos", "--output", output, "--target-fpr", 0.01)
    assert_one_line_error(result, "20 benign images")
    assert list(tmp_path.iterdir()) == []
    result = run("calibrate", "radar.keras", "photos", "--output", tmp_path / "radar.h5")
    assert result.exit_code == 2
    assert ".keras" in result.stderr


def test_calibrate_by_sub_folders(tmp_path):
    for i, file in enumerate(sorted(pathlib.Path("photos").rglob("*.png"))):
        (tmp_path / f"people/{'bare' if i < 12 else 'glasses'}/deeper").mkdir(
            parents=True, exist_ok=True
        )
        shutil.copy(file, tmp_path / f"people/{'bare' if i < 12 else 'glasses'}/deeper")
    output = tmp_path / "radar.keras"
    given = ["calibrate", "classifier.keras", tmp_path / "people", "--groups", "--output", output]
    given += ["--preprocessor", "unit", "--variant", "bands"]
    result = run(*given, "--target-fpr", 0.2)
    assert result.exit_code == 0
    assert "group 'bare': " in result.stdout
    assert "on 8 images" in result.stdout.split("group 'glasses': ")[1]
    few = run(*given, "--target-fpr", 0.1)
    assert_one_line_error(few, "Group 'glasses' of `groups`: 8 benign images")
    shutil.copy("photos/00.png", tmp_path / "people")
    assert_one_line_error(run(*given), "every image must be in a sub-folder", "'00.png'")


def test_explain_draws_a_picture(tmp_path):
    output = tmp_path / "pictures" / "why.png"
    result = run("explain", "radar.keras", "photos/00.png", "--output", output)
    assert result.exit_code == 0
    assert any(f"{name}: " in result.stdout for name in NAMES)
    with Image.open(output) as picture:
        assert picture.width > picture.height > 100


def test_explain_writes_a_page(tmp_path):
    output = tmp_path / "verdict.html"
    result = run("explain", "radar.keras", "photos/00.png", "--output", output)
    assert result.exit_code == 0
    assert output.read_text().startswith("<!doctype html>")


def test_explain_needs_no_threshold(tmp_path):
    options = ["--output", tmp_path / "why.png", "--preprocessor", "unit"]
    result = run("explain", "classifier.keras", "photos/00.png", *options)
    assert result.exit_code == 0
    assert "no threshold set" in result.stdout


def test_explain_refuses_a_format_that_is_none(tmp_path):
    result = run("explain", "radar.keras", "photos/00.png", "--output", tmp_path / "why.xyz")
    assert_one_line_error(result, "xyz")
    assert list(tmp_path.iterdir()) == []


def test_diagnose_names_the_layer():
    result = run("diagnose", "radar.keras", "photos")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "feature layer `last`, 8 x 8 x 8; 20 images, variant paper, K = 2" in result.stdout


@pytest.mark.parametrize(
    "command",
    [
        ["calibrate", "radar.keras", "photos", "--output", "{}.keras", "--plot", "{}.png"],
        ["explain", "radar.keras", "photos/00.png", "--output", "{}.png"],
        ["evaluate", "radar.keras", "photos", "--output", "{}"],
        ["demo", "--output", "{}"],
    ],
    ids=lambda command: command[0],
)
def test_a_command_that_draws_names_the_extra(command, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = run(*(part.format(tmp_path / "new") for part in command))
    assert_one_line_error(result, 'matplotlib: pip install "tf_taintradar[plot]"')
    assert list(tmp_path.iterdir()) == []


# The program


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"Example: taintradar {command}" in result.stdout


def test_help_and_version():
    result = run("--help")
    assert result.exit_code == 0
    assert all(command in result.stdout for command in COMMANDS)
    version = run("--version")
    assert version.exit_code == 0
    assert version.stdout.startswith("taintradar ")


def test_commands_are_listed_without_tensorflow():
    code = f"""
import sys, types
package = types.ModuleType("tf_taintradar")  # stands for the package, whose entrance imports it
package.__path__ = [{str(ROOT / "tf_taintradar")!r}]
sys.modules["tf_taintradar"] = package
import tf_taintradar.cli
sys.exit(any(name in sys.modules for name in ("tensorflow", "keras", "numpy", "matplotlib")))
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("error", "exit_code", "stderr"),
    [
        (KeyboardInterrupt(), 130, ""),
        (OSError(28, "No space left\non device"), 2, "Error: [Errno 28] No space left on device\n"),
        (ValueError("`k`\n  must be"), 2, "Error: `k` must be\n"),
    ],
)
def test_how_the_program_ends(error, exit_code, stderr):
    result = CliRunner().invoke(_raising(error), ["fail"])
    assert (result.exit_code, result.stdout, result.stderr) == (exit_code, "", stderr)


def test_an_unexpected_error_keeps_its_traceback():
    result = CliRunner().invoke(_raising(RuntimeError("a bug")), ["fail"])
    assert isinstance(result.exception, RuntimeError)


def _raising(error):
    program = typer.Typer(cls=Program, pretty_exceptions_enable=False)

    @program.callback()
    def _program():
        pass

    @program.command()
    def fail():
        raise error

    return program


def test_as_a_process_only_answers_are_on_stdout():
    done = run_process("detect", "radar.keras", "photos/00.png", "gone.png", "--json")
    assert done.returncode == 1
    assert [row["file"] for row in json.loads(done.stdout)["images"]] == [
        "photos/00.png",
        "gone.png",
    ]
    assert "Error: Cannot read 'gone.png'" in done.stderr
    assert "Traceback" not in done.stderr


def test_as_a_process_without_a_network(tmp_path):
    done = run_process(
        *("detect", "mobilenetv2", "photos", "--rank-threshold", "2"),
        KERAS_HOME=str(tmp_path),
        https_proxy="http://127.0.0.1:9",
        no_proxy="",
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "Error: Cannot get the ImageNet weights of MobileNetV2: " in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


# Progress


def test_a_log_file_gets_a_line_now_and_then(monkeypatch):
    """Kind: progress bars in a log file."""
    monkeypatch.setattr(quiet, "_PATIENCE", -1.0)
    lines = run("detect", "radar.keras", "photos", "--batch-size", 1).stderr.splitlines()
    assert lines == [f"{i}/20 files" for i in range(1, 21)]
    lines = run("diagnose", "radar.keras", "photos", "--batch-size", 1).stderr.splitlines()
    assert lines == [f"{i}/20 images" for i in range(1, 21)]
    monkeypatch.setattr(quiet, "_PATIENCE", 60.0)
    assert run("diagnose", "radar.keras", "photos", "--batch-size", 1).stderr == ""
