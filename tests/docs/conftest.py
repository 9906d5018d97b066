"""What the examples of the documentation take as given; see docs/index.md."""

import csv
import pathlib
import shutil
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from tf_taintradar.demo.drawn_faces import draw_face
from tf_taintradar.demo.scenes import draw_scenes
from tf_taintradar.demo.show import detector_file

sys.path.append(str(pathlib.Path(__file__).parent))


@pytest.fixture(scope="session")
def given_files(tmp_path_factory):
    """A folder of files with the names that examples use."""
    folder = tmp_path_factory.mktemp("given")
    shutil.copy(detector_file(), folder / "radar.keras")
    keras.models.load_model(detector_file()).classifier.save(folder / "classifier.keras")
    photos, labels = draw_scenes(6, seed=5)
    save_all(photos, folder / "photos", "scene")
    save_all(photos, folder / "film", "frame")
    save_all(draw_scenes(60, seed=6)[0], folder / "benign", "scene")
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = [[f"scene-{i}.png", label] for i, label in enumerate(labels)]
        csv.writer(file).writerows([["file", "label"], *rows])
    for person in range(3):
        faces = [draw_face(person, i, size=96) for i in range(14)]
        save_all(faces, folder / "people" / f"person{person}", "face")
    return folder


def save_all(pictures, folder, name):
    folder.mkdir(parents=True)
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{name}-{i}.png")


@pytest.fixture
def given_names(given_files, tmp_path, monkeypatch):
    """The variables that examples use, in a working folder with a copy of the files."""
    shutil.copytree(given_files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    images, labels = draw_scenes(8, seed=3)
    radar = keras.models.load_model("radar.keras")
    faces = [draw_face(person, 20 + i, size=96) for person in range(3) for i in range(14)]
    return {
        "classifier": radar.classifier,
        "clean_images": draw_scenes(200, seed=4)[0],
        "images": images,
        "labels": labels,
        "network": radar.classifier,
        "photographs": np.stack(faces),
        "radar": radar,
        "tagger": tagger_of(radar.classifier),
    }


def tagger_of(classifier):
    """An untrained multi-label network on a classifier's last features."""
    start = keras.initializers.GlorotUniform(seed=3)
    sigmoids = keras.layers.Dense(18, "sigmoid", kernel_initializer=start)
    return keras.Model(classifier.inputs, sigmoids(classifier.layers[-2].output))
