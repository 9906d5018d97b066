"""The benchmark of adversarial glasses, in a small setting."""

import numpy as np
import pytest
from PIL import Image


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
    rows = benchmark_script("faces").main(
        faces,
        patch_folder / "net.keras",
        "unit",
        held_out=2,
        crop=0.6,
        target_fpr=0.3,
        steps=3,
        epochs=5,
        output=tmp_path / "out",
    )
    kinds = ["benign", "impersonation", "dodging"]
    assert [row.images for row in rows] == 2 * kinds
    assert [row.variant for row in rows] == 3 * ["occlusion"] + 3 * ["paper"]
    for row in rows:
        whole = row.flagged.n if row.succeeded is None else row.succeeded.n
        assert whole == 6  # three people, two pictures held out of each
    assert "9 photographs to train on" in capsys.readouterr().out


def test_the_face_is_around_the_centre(benchmark_script, tmp_path):
    pixels = np.zeros((100, 60, 3), np.uint8)
    pixels[35:65, 15:45] = 255
    Image.fromarray(pixels).save(tmp_path / "face.png")
    cut = benchmark_script("faces").centre(tmp_path / "face.png", (24, 24), 0.5)
    assert cut.shape == (24, 24, 3)
    assert (cut == 255).all()
