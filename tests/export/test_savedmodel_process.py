"""A SavedModel in other processes, without this package: plain TensorFlow, a session, C++."""

import pathlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from small_detector import Exported

from tf_taintradar import TaintRadarModel
from tf_taintradar.classifier.preprocessing import PixelScaling
from tf_taintradar.images.folders import find_images

HERE = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope="module")
def squeezenet(shared, tmp_path_factory):
    """A real network: 8 photographs, and the same with a patch that fools it."""
    radar = TaintRadarModel(
        keras.models.load_model(shared / "models" / "squeezenet_v1_1.keras"),
        preprocessor=PixelScaling(reverse_channels=True, mean=(104, 117, 123)),
        score_threshold=10.0,
    )
    folder = tmp_path_factory.mktemp("squeezenet") / "1"
    radar.export(folder)
    files = find_images(shared / "data" / "imagenet_dev")
    with np.load(shared / "data/attacks/squeezenet_v1_1/universal_rb20.npz") as attack:
        (patch,), (top, left) = attack["patches"], attack["top_left"][0, 0]
        inside, photographs = attack["mask"].astype(bool), [files[i] for i in attack["image"][:8]]
    images = np.stack([np.asarray(Image.open(path))[14:241, 14:241] for path in photographs] * 2)
    for image in images[8:]:
        image[top:, left:][: len(patch), : len(patch)][inside] = patch[inside]
    return Exported(radar, folder, images)


CASES = {"exported_paper": (1, 2, 7, 32), "squeezenet": (1, 2, 7, 16)}  # batch sizes


@pytest.fixture(scope="module", params=CASES)
def case(request):
    """A SavedModel with its images, what the detector answers for them, and batch sizes."""
    found = request.getfixturevalue(request.param)
    expected = found.radar.predict(found.images, verbose=0)
    assert 0 < expected["is_adversarial"].sum() < len(found.images)
    expected["valid"] = np.ones(len(found.images), bool)  # what only a SavedModel says
    return found, expected, CASES[request.param]


def check(answers, expected, n):
    """Labels, scores and flags are equal, probabilities within 1e-5."""
    assert answers.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(answers[name], values[:n], rtol=0, atol=1e-5, err_msg=name)


def test_plain_tensorflow_answers_as_the_detector(case, tmp_path):
    found, expected, batches = case
    np.save(tmp_path / "images.npy", found.images)
    script = [sys.executable, HERE / "load_saved_model.py", found.folder]
    files = [tmp_path / "images.npy", tmp_path / "out.npz"]
    subprocess.run([*script, *files, *map(str, batches)], check=True)
    with np.load(tmp_path / "out.npz") as file:
        out = dict(file)
    assert len(out) == 2 * len(batches) * len(expected)
    for loader in ("load", "session"):
        for n in batches:
            check({name: out[f"{loader} {n} {name}"] for name in expected}, expected, n)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """load_saved_model.cc, compiled against this TensorFlow."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++")
    library = tf.sysconfig.get_lib()
    if not (pathlib.Path(library) / "libtensorflow_cc.so.2").exists():
        pytest.skip("this TensorFlow has no libtensorflow_cc.so.2")
    path = tmp_path_factory.mktemp("program") / "load_saved_model"
    linked = ["-Wl,--no-as-needed", "-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2"]
    options = [*tf.sysconfig.get_compile_flags(), f"-L{library}", f"-Wl,-rpath,{library}", *linked]
    subprocess.run([compiler, HERE / "load_saved_model.cc", "-o", path, *options], check=True)
    return path


@pytest.mark.slow
@pytest.mark.cpp
def test_the_loader_of_tensorflow_serving_answers_as_the_detector(program, case, tmp_path):
    found, expected, batches = case
    (tmp_path / "images").write_bytes(found.images.tobytes())
    sizes = [str(size) for size in (*found.images.shape, *batches)]
    command = [program, found.folder, tmp_path / "images", *sizes]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answers = {n: {} for n in batches}
    for line in done.stdout.splitlines():
        n, name, *values = line.split()
        shape = expected[name][: int(n)].shape
        answers[int(n)][name] = np.array(values, float).reshape(shape)
    for n in batches:
        check(answers[n], expected, n)
