"""The examples run, in a small setting."""

import pathlib
import runpy

import pytest
from PIL import Image

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


def test_quickstart(tmp_path, capsys):
    caught = runpy.run_path(str(EXAMPLES / "quickstart.py"))["main"](tmp_path, benign=40, steps=5)
    assert 0 <= caught <= 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["radar.keras", "why.png"]
    assert "threshold" in capsys.readouterr().out


def test_video(tmp_path, capsys):
    run = runpy.run_path(str(EXAMPLES / "video.py"))["main"]
    assert 0 <= run(tmp_path, frames=12, tracks=3, steps=4) <= 1
    with Image.open(tmp_path / "video.gif") as film:
        assert film.n_frames == 12
        assert film.size == (288, 288)
    assert "flagged" in capsys.readouterr().out


@pytest.mark.slow
def test_vggface_transfer(tmp_path, capsys):
    run = runpy.run_path(str(EXAMPLES / "vggface_transfer.py"))["main"]
    small = {"width": 1 / 32, "subjects": 3, "photographs": 26, "n_train": 2, "n_wearers": 1}
    assert 0 <= run(tmp_path, **small, steps=2, fine_tune="fc7") <= 1
    written = {path.name for path in tmp_path.iterdir()}
    assert {"faces", "detector.keras", "served", "glasses.png", "tuning.csv"} <= written
    assert "impersonation: glasses succeed on" in capsys.readouterr().out
