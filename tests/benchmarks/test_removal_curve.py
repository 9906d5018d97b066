import numpy as np
import pytest
from pencil import BEFORE, WITHOUT, attacked_image, pencil_classifier, strength

from tf_taintradar.classifier.opened import open_classifier


@pytest.fixture
def removal_curve(benchmark_script):
    return benchmark_script("removal_curve")


def test_a_small_run(removal_curve, patch_folder, patch_arguments, capsys, tmp_path):
    benign, corner = removal_curve.main(
        patch_folder / "net.keras",
        **patch_arguments,
        limit=5,
        batch_size=2,
        output=tmp_path / "out",
    )
    assert (benign.images, corner.images) == ("benign", "corner")
    assert (len(benign.ranks), len(corner.ranks)) == (5, 3)
    assert benign.falls.shape == benign.ranks.shape == (5, len(benign.areas))
    assert np.all(np.diff(benign.areas) > 0)
    assert 0 < benign.areas[0] < benign.areas[-1] < 1
    assert "| net | corner | 3 |" in capsys.readouterr().out
    written = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert written == ["removal-net.png", "removal_curve.json"]


def test_ranks_and_falls_are_those_of_the_head(removal_curve):
    """The pencil network of pencil.py: without one cell, four, nine of the 16."""
    opened, image = open_classifier(pencil_classifier()), np.uint8(attacked_image())
    areas, ranks, falls = removal_curve.remove(opened, image, batch_size=1)
    np.testing.assert_allclose(areas, [1 / 16, 4 / 16, 9 / 16])
    np.testing.assert_array_equal(ranks[0, :2], [2, 2])
    expected = [strength(BEFORE) - strength(after) for after in WITHOUT]
    np.testing.assert_allclose(falls[0, :2], expected, rtol=1e-4)
