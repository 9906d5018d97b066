"""What several test modules share."""

import gc
import json
import pathlib
import zipfile

import keras
import numpy as np
import pytest
from small_detector import Exported, build_small_classifier, draw_images

from tf_taintradar import TaintRadarModel

gc.freeze()  # the libraries' own objects stay: collections need not look at them
SHARED = pathlib.Path(__file__).parents[1].parent / "shared"


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """The folder of real networks, images and reference answers beside the repository."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared beside the repository: no real networks and images to test with")
    with zipfile.ZipFile(SHARED / "models/mobilenet_v2.keras") as file:
        written = json.loads(file.read("metadata.json"))["keras_version"]
    if minor(keras.__version__) < minor(written):
        pytest.skip(f"Keras {keras.__version__} does not read the networks of Keras {written}")
    return SHARED


def minor(version: str) -> tuple[int, int]:
    """(3, 12) of "3.12.4"."""
    major, minor, *_ = version.split(".")
    return int(major), int(minor)


@pytest.fixture(autouse=True)
def _fresh_names():
    """Layer names do not depend on which tests ran before; the global policy is float32."""
    keras.utils.clear_session(free_memory=False)  # a collection takes longer than most tests
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def small_classifier() -> keras.Model:
    """A convolutional network of 5 classes on 24x16 images (not square), random but fixed weights.

    Its feature map is 6x4x8. Two fully connected layers follow, as in VGG.
    """
    return build_small_classifier()


@pytest.fixture
def images() -> np.ndarray:
    """Seven images (24, 16, 3), uint8: smooth blobs with noise, so that labels differ."""
    return draw_images(7)


def export_small(tmp_path_factory, **settings) -> Exported:
    """The small classifier's detector as a SavedModel, and 32 images."""
    names = ["cat", "dog", "owl", "fox", "bee"]
    radar = TaintRadarModel(
        build_small_classifier(), class_names=names, name="exported", **settings
    )
    folder = tmp_path_factory.mktemp("exported") / "1"
    radar.export(folder)
    return Exported(radar, folder, draw_images(32))


@pytest.fixture(scope="session")
def exported_occlusion(tmp_path_factory) -> Exported:
    return export_small(tmp_path_factory, score_threshold=0.09)


@pytest.fixture(scope="session")
def exported_paper(tmp_path_factory) -> Exported:
    return export_small(tmp_path_factory, top_k=2, rank_threshold=0)


@pytest.fixture(scope="session")
def exported_cover(tmp_path_factory) -> Exported:
    return export_small(tmp_path_factory, variant="cover", score_threshold=1.52)


@pytest.fixture(scope="session")
def exported(exported_occlusion) -> Exported:
    return exported_occlusion
