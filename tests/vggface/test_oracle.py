"""Our network against that of the package keras-vggface itself, on Keras 2 in another process."""

import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from tf_taintradar import TaintRadarModel
from tf_taintradar.classifier.preprocessing import make_preprocessor
from tf_taintradar.vggface import VGGFace, from_keras_vggface

ORACLE = pathlib.Path(__file__).with_name("keras_vggface_oracle.py")


def ask(folder, kind, size, classes):
    command = [sys.executable, str(ORACLE), kind, str(size), str(classes), str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    with np.load(folder / f"{kind}.npz") as found:
        return dict(found)


@pytest.fixture(scope="module")
def vgg16(tmp_path_factory):
    """The package's VGG16 for 48x48 images and 6 identities: files, and what its layers answer."""
    folder = tmp_path_factory.mktemp("oracle")
    return folder, ask(folder, "vgg16", 48, 6)


def compare(model, preprocessor, found):
    inputs = make_preprocessor(preprocessor, model.input_shape[1:])(found["pixels"])
    names = [name.removeprefix("out_") for name in found if name.startswith("out_")]
    outputs = keras.Model(model.input, [model.get_layer(name).output for name in names])(inputs)
    for name, output in zip(names, outputs, strict=True):
        expected = found[f"out_{name}"]
        np.testing.assert_allclose(
            output, expected, rtol=1e-4, atol=1e-5 * abs(expected).max(), err_msg=name
        )
    return names


def test_layer_by_layer_with_the_weights_of_its_file(vgg16):
    folder, found = vgg16
    model = VGGFace(weights=folder / "vgg16-weights.h5", classes=6, input_shape=(48, 48, 3))
    names = compare(model, "vggface", found)
    assert names == [layer.name for layer in model.layers[1:]]


def test_a_whole_model_file_as_weights_and_as_a_model(vgg16):
    folder, found = vgg16
    file = folder / "vgg16-model.h5"
    compare(VGGFace(weights=file, classes=6, input_shape=(48, 48, 3)), "vggface", found)
    taken = from_keras_vggface(file)
    compare(taken, "vggface", found)
    radar = TaintRadarModel(taken, preprocessor="vggface")
    assert radar.score(found["pixels"]).shape == (2,)
    assert radar.diagnose(found["pixels"]).coarse_layer == "conv5_3"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["resnet50", "senet50"])
def test_the_other_networks_of_the_package(tmp_path, kind):
    found = ask(tmp_path, kind, 224, 12)
    taken = from_keras_vggface(tmp_path / f"{kind}-model.h5")
    compare(taken, "vggface2", found)
    radar = TaintRadarModel(taken, preprocessor="vggface2")
    assert radar.score(found["pixels"]).shape == (2,)
