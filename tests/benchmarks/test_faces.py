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


SMALL = {"epochs": 3, "target_fpr": 0.4, "n_wearers": 3, "steps": 3}


@pytest.mark.slow
def test_few_photographs(benchmark_script, patch_folder, faces, capsys, tmp_path):
    made = benchmark_script("faces").main(
        faces,
        patch_folder / "net.keras",
        "unit",
        kept="last",
        n_train=3,
        head=["dense"],
        variant=["bands", "paper"],
        output=tmp_path / "out",
        **SMALL,
    )
    assert [detector.radar.variant for detector in made] == ["bands", "paper"]
    for detector in made:
        assert detector.benign.n == 6  # three people, two pictures held out of each
        assert detector.radar.calibration.n_images == 9
        assert {found.succeeded.n for found in detector.glasses.values()} == {6}
    assert "| - | the paper: 2,622 | - | paper | 5.5% |" in capsys.readouterr().out


def test_a_table_divides_them_and_strangers(
    benchmark_script, patch_folder, faces, capsys, tmp_path
):
    lines = [
        f"person{i}/{k}.png,{'train' if k < 1 else 'test'}" for i in range(3) for k in range(5)
    ]
    faces.with_suffix(".csv").write_text("\n".join(["file,split", *lines]) + "\n")
    (made,) = benchmark_script("faces").main(
        faces,
        patch_folder / "net.keras",
        "unit",
        kept="last",
        head=["prototypes"],
        n_strangers=1,
        output=tmp_path / "out",
        **SMALL,
    )
    assert made.transfer.subjects.names == ["person0", "person1"]
    assert (len(made.transfer.train.files), len(made.transfer.test.files)) == (2, 8)
    assert made.radar.calibration.n_images + made.benign.n == 8
    assert made.strangers.taken.n == 5
    assert "prototypes: Strangers(confidence=" in capsys.readouterr().out


def test_the_face_is_around_the_centre(benchmark_script, tmp_path):
    pixels = np.zeros((100, 60, 3), np.uint8)
    pixels[35:65, 15:45] = 255
    (tmp_path / "faces" / "ann").mkdir(parents=True)
    Image.fromarray(pixels).save(tmp_path / "faces" / "ann" / "face.png")
    benchmark_script("faces").cut_all(tmp_path / "faces", tmp_path / "cut", 0.5)
    with Image.open(tmp_path / "cut" / "train" / "ann" / "face.png") as cut:
        assert cut.size == (30, 30)
        assert (np.asarray(cut) == 255).all()
