"""The overview of the command line, which is answered without TensorFlow, and `doctor`."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
from command import run

import tf_taintradar
from tf_taintradar.demo import show
from tf_taintradar.support.extras import EXTRAS

ROOT = pathlib.Path(__file__).parents[2]
MEASURED = """
import json, sys, time
sys.argv = ["taintradar", *sys.argv[1:]]
import taintradar
try:
    taintradar.main()
except SystemExit as end:
    heavy = sorted({"tensorflow", "keras", "numpy", "tf_taintradar"} & set(sys.modules))
    print(json.dumps([end.code, time.process_time(), heavy]), file=sys.stderr)
"""


def fresh(*command, **environment):
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run([sys.executable, *command], env=env, capture_output=True, text=True)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_the_overview_takes_less_than_half_a_second_of_processor_time(arguments):
    done = fresh("-c", MEASURED, *arguments)
    status, seconds, heavy = json.loads(done.stderr.splitlines()[-1])
    assert (status, heavy) == (0, [])
    assert seconds < 0.5
    assert "taintradar" in done.stdout


def test_the_overview_is_the_help_of_the_program():
    assert fresh("-m", "taintradar", "--help", COLUMNS="80").stdout == run("--help").stdout
    shown = fresh("-m", "taintradar", "--version").stdout
    assert shown == run("--version").stdout == f"taintradar {tf_taintradar.__version__}\n"


def test_a_command_is_handed_to_the_program():
    done = fresh("-m", "taintradar", "detect", "gone.keras", "gone/")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()  # nothing of TensorFlow's own notes
    assert line.startswith("Error: ")
    assert "gone.keras" in line


@pytest.mark.parametrize(("command", "status"), [("detect", 2), ("doctor", 1)])
def test_a_package_that_cannot_be_imported_is_one_line(command, status):
    done = fresh("-m", "taintradar", command, KERAS_BACKEND="jax")
    assert (done.returncode, done.stdout) == (status, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: tf_taintradar needs Keras on TensorFlow.")


def test_doctor_tells_versions_and_extras_and_tries_a_detector():
    result = run("doctor")
    assert result.exit_code == 0
    assert f"tf_taintradar {tf_taintradar.__version__}, Python" in result.stdout
    assert "GPU: " in result.stdout
    assert all(f" {extra} " in result.stdout for extra in EXTRAS)
    assert "8 drawn scenes flagged; patches fool the classifier on" in result.stdout
    assert result.stdout.endswith("The installation works.\n")


def test_doctor_fails_without_the_demo_detector(monkeypatch, tmp_path):
    monkeypatch.setattr(show, "_PLACES", (tmp_path, tmp_path))
    result = run("doctor")
    assert result.exit_code == 1
    assert "self-check: FileNotFoundError: The demo's detector is missing" in result.stdout
    assert result.stderr.startswith("Error: The self-check failed.")
