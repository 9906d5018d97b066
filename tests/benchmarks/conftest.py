"""The benchmarks are scripts: they import their shared module from their own folder."""

import csv
import importlib
import pathlib

import numpy as np
import pytest
from PIL import Image

BENCHMARKS = pathlib.Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark_script(monkeypatch):
    """Imports a benchmark by its name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def patch_folder(tmp_path, small_classifier):
    """A network, 16 images of 28x20 and a set of three attacks, in the format of ../shared."""
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    with (tmp_path / "images.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "label", "name"])
        for i in range(16):
            rows.writerow([f"{i}.png", i % 5, "a name"])
            pixels = rng.integers(0, 256, (28, 20, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / f"{i}.png")
    small_classifier.save(tmp_path / "net.keras")
    (tmp_path / "attacks/net").mkdir(parents=True)
    np.savez(
        tmp_path / "attacks/net/corner.npz",
        patches=rng.integers(0, 256, (2, 6, 6, 3), np.uint8),
        mask=np.ones((6, 6), np.uint8),
        patch_of=[0, 1, 1],
        image=[0, 9, 15],
        top_left=np.full((3, 1, 2), 8),
        target=4,
    )
    return tmp_path


@pytest.fixture
def patch_arguments(patch_folder):
    """Where a benchmark finds the images and attacks of `patch_folder`."""
    return {
        "preprocessor": "unit",
        "images": patch_folder / "images",
        "labels": patch_folder / "images.csv",
        "attacks": patch_folder / "attacks",
    }
