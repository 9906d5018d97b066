"""What the package imports, and what it says where an extra is missing."""

import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys

import pytest
from without_extras import EXTRAS

import tf_taintradar
from tf_taintradar.support.extras import MissingExtraError, import_extra

ROOT = pathlib.Path(__file__).parents[1]

IMPORTS = f"""
import json, sys
import keras, tensorflow
extras = {sorted(EXTRAS)!r}
for name in [name for name in sys.modules if name.partition(".")[0] in extras]:
    del sys.modules[name]  # TensorFlow and Keras have imported it for themselves
before = set(sys.modules)
import tf_taintradar
print(json.dumps(sorted(set(sys.modules) - before)))
"""

ERRORS = {
    "RestClient": "RestClient needs requests: [serving]",
    "GrpcClient": "GrpcClient needs grpcio: [serving]",
    "Calibration.plot, by score": "Drawing needs matplotlib: [plot]",
    "Calibration.plot, by rank": "Drawing needs matplotlib: [plot]",
    "Explanation.plot": "Drawing needs matplotlib: [plot]",
    "Evaluation.to_html": "Drawing needs matplotlib: [plot]",
    "show": "Drawing needs matplotlib: [plot]",
    "train_face_detector": "Drawing needs matplotlib: [plot]",
    "align": "Alignment, for photographs that are no aligned faces yet, needs mtcnn: [align]",
    "read_frames": "Reading a video needs OpenCV: [video]",
    "Monitor.serve": "Monitor.serve needs prometheus_client: [monitor]",
    "OnnxLayer": "Running an ONNX file needs ONNX Runtime: [onnx]",
    "DigitalWatermarking": "The inpainting of DigitalWatermarking needs OpenCV: [baselines]",
    "scan, Parquet": "A table of findings in Parquet or Arrow needs pyarrow: [scan]",
    "scan, an address": "The address 'memory://photos' needs fsspec: [scan]",
    "scan, Ray": "A scan on Ray needs ray: [ray]",
    "SentiNet": "The selective search of SentiNet needs OpenCV: [baselines]",
}


def run(*arguments):
    """The JSON document that a fresh process prints."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """What `without_extras.py` prints, and the folder it worked in."""
    folder = tmp_path_factory.mktemp("bare")
    return run(ROOT / "tests" / "without_extras.py", folder), folder


def test_the_package_imports_no_extra():
    brought = run("-c", IMPORTS)
    assert {"tf_taintradar", "tf_taintradar.model", "tf_taintradar.plot"} <= set(brought)
    assert not EXTRAS & {name.partition(".")[0] for name in brought}


@pytest.mark.parametrize("feature", ERRORS)
def test_without_its_extra_a_feature_says_how_to_install_it(feature, bare):
    needs, extra = ERRORS[feature].split(": ")
    assert bare[0]["errors"][feature] == f'{needs}: pip install "tf_taintradar{extra}"'


def test_every_feature_is_tried(bare):
    found, folder = bare
    assert found["errors"].keys() == ERRORS.keys()
    assert [path.name for path in folder.iterdir()] == ["served"]  # no picture, no half of one


def test_an_export_goes_on_without_warmup_requests(bare):
    found = bare[0]["export"]
    (line,) = found["log"].splitlines()
    assert line.startswith("Exported without warm-up requests")
    assert line.endswith('needs tensorflow-serving-api: pip install "tf_taintradar[serving]"')
    assert not found["warm-up"]
    assert found["off"] < 1e-5
    assert "models.config" in found["files"]


def test_the_command_line_ends_with_one_line(bare):
    line = 'Error: The command line needs typer: pip install "tf_taintradar[cli]"\n'
    assert bare[0]["cli"] == {"status": 2, "stdout": "", "stderr": line}


def test_a_module_that_is_installed_but_broken_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "broken_module.py").write_text("raise ImportError('libGL.so.1 is missing')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="libGL") as caught:
        import_extra("broken_module", feature="This", extra="video")
    assert not isinstance(caught.value, MissingExtraError)


def test_the_version_is_the_installed_one():
    assert tf_taintradar.__version__ == importlib.metadata.version("tf_taintradar")
