"""Glasses on real faces: what is done to photographs, and a small run."""

import numpy as np
import pytest


@pytest.fixture
def image():
    """A white bar of rows 40 to 49 and columns 20 to 89."""
    image = np.zeros((112, 112, 3), np.uint8)
    image[40:50, 20:90] = 255
    return image


def bar(image):
    """The first and the last row and column of the bar."""
    inside = image[..., 0] > 127
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    return rows[0], rows[-1], columns[0], columns[-1]


@pytest.mark.parametrize(
    ("how", "place"),
    [
        ({}, (40, 49, 20, 89)),
        ({"down": 0.05}, (46, 55, 20, 89)),
        ({"right": 3 / 112}, (40, 49, 23, 92)),
        ({"scale": 1.1}, (38, 48, 16, 92)),
        ({"angle": 180}, (62, 71, 22, 91)),
    ],
)
def test_faces_move(benchmark_script, image, how, place):
    moved = benchmark_script("face_wear").moved(image, **how)
    np.testing.assert_allclose(bar(moved), place, atol=1)
    assert moved.shape == image.shape
    assert moved.dtype == np.uint8


def test_the_edge_goes_on(benchmark_script):
    image = np.full((20, 20, 3), 77, np.uint8)
    for change in benchmark_script("face_wear").WEAR.values():
        assert len(np.unique(change(image))) == 1


def test_both_groups_are_within_the_target(benchmark_script):
    """Frames add 2 to the lack: the threshold is theirs, the bare are flagged less often."""
    sets = benchmark_script("face_sets")
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(40), 25)
    faces = sets.FaceSet(np.zeros((1000, 1), np.uint8), people)
    bare = rng.normal(size=(1000, 1)).astype(np.float32)
    known = {sets.BARE: bare, sets.PLAIN: bare + 2, "attack": bare + 9}

    class Bench:
        def __init__(self):
            self.faces = faces
            self.benign = {sets.BARE: faces, sets.PLAIN: faces}

        def answers(self, rules, name, faces):
            return [{"numbers": known[name], "label": people} for _ in rules]

    every = dict.fromkeys(known, faces)
    rates = sets.measure(Bench(), [benchmark_script("face_bands").EYES], every, 10)
    for rate, target in zip(rates[sets.PLAIN], sets.TARGETS, strict=True):
        assert rate == pytest.approx(target, abs=0.02)
    assert rates[sets.BARE] < rates[sets.PLAIN]
    assert rates["attack"] == [1.0] * 3


@pytest.mark.slow
def test_a_small_run(benchmark_script, shared, capsys, tmp_path):
    script = benchmark_script("face_bands")
    given = {"divisions": 2, "attacked": 0, "limit": 300, "output": tmp_path / "out.json"}
    found = script.main(["rates", "certain"], cache=tmp_path / "cache", **given)
    assert [line.n for line in found["rates"]] == [300, 300, 49, 49]
    assert found["rates"][2].flagged[0] > 0.8
    runner_up, drawn, any_name = (line.flagged[0] for line in found["certain"])
    assert drawn > runner_up > any_name
    assert "| plain frames | 300 |" in capsys.readouterr().out
    assert (tmp_path / "out.json").exists()
