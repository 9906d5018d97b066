"""The benchmark of adversarial glasses, in a small setting."""

import numpy as np
import pytest
from PIL import Image

from tf_taintradar.detection.rules import RULES


@pytest.fixture
def faces(tmp_path):
    """Three people, five pictures each, mostly of one colour."""
    rng = np.random.default_rng(0)
    for person, colour in enumerate([(200, 40, 40), (40, 200, 40), (40, 40, 200)]):
        folder = tmp_path / "faces" / f"person{person}"
        folder.mkdir(parents=True)
        for i in range(5):
            pixels = np.clip(np.array(colour) + rng.integers(-30, 30, (60, 60, 3)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
    return tmp_path / "faces"


def test_a_small_run(benchmark_script, patch_folder, faces, capsys, tmp_path):
    made = benchmark_script("faces").main(
        faces,
        patch_folder / "net.keras",
        "unit",
        kept="last",
        n_train=3,
        epochs=3,
        target_fpr=0.4,
        n_wearers=3,
        steps=3,
        output=tmp_path / "out",
    )
    assert [detector.radar.variant for detector in made] == list(RULES)
    for detector in made:
        assert detector.benign.n == 6  # three people, two pictures held out of each
        assert detector.radar.calibration.n_images == 9
        assert {found.succeeded.n for found in detector.glasses.values()} == {6}
    printed = capsys.readouterr().out
    assert "9 photographs to train on" in printed
    assert "| the paper: VGG-Face, 2,622 names, 1,000 attempts | paper | 5.5% |" in printed


def test_the_face_is_around_the_centre(benchmark_script, tmp_path):
    pixels = np.zeros((100, 60, 3), np.uint8)
    pixels[35:65, 15:45] = 255
    (tmp_path / "faces" / "ann").mkdir(parents=True)
    Image.fromarray(pixels).save(tmp_path / "faces" / "ann" / "face.png")
    benchmark_script("faces").cut_all(tmp_path / "faces", tmp_path / "cut", 0.5)
    with Image.open(tmp_path / "cut" / "ann" / "face.png") as cut:
        assert cut.size == (30, 30)
        assert (np.asarray(cut) == 255).all()
