"""The demo: what it counts, draws and prints."""

import json
import pathlib
import re
import zipfile

import pytest
from PIL import Image

from tf_taintradar.cli import tables
from tf_taintradar.demo.show import Outcome, detector_file, show
from tf_taintradar.opening import load_detector


@pytest.fixture
def demo_detector():
    try:
        return load_detector(str(detector_file()))
    except FileNotFoundError as error:
        pytest.skip(str(error))


def test_every_keras_that_the_package_runs_with_reads_the_demo():
    project = (pathlib.Path(__file__).parents[2] / "pyproject.toml").read_text()
    oldest = re.search(r'"keras>=(\d+)\.(\d+)', project).groups()
    with zipfile.ZipFile(detector_file()) as file:
        written = json.loads(file.read("metadata.json"))["keras_version"]
    assert tuple(map(int, written.split(".")[:2])) <= tuple(map(int, oldest))


def test_the_demo_in_small(demo_detector, tmp_path):
    outcomes = show(demo_detector, tmp_path / "demo", n_images=12, n_partial=2, steps=3)
    benign, universal, partial = outcomes
    assert (benign.kind, benign.n_images, benign.judged) == ("benign", 12, 12)
    assert 4 <= benign.right <= 12
    assert universal.n_images <= benign.right
    assert partial.n_images == 2
    for outcome in outcomes:
        assert outcome.recovered <= outcome.flagged <= outcome.judged <= outcome.n_images
    pictures = sorted((tmp_path / "demo").iterdir())
    kinds = ("benign", "partial", "universal")
    assert [picture.name for picture in pictures] == sorted(
        ["contact-sheet.png"]
        + [f"{kind}-{i}{what}.png" for kind in kinds for i in (1, 2) for what in ("", "-steps")]
    )
    assert list(universal.verdicts) == ["universal-1.png", "universal-2.png"]
    assert all(": the classifier sees" in sentence for sentence in universal.verdicts.values())
    for picture in pictures:
        Image.open(picture).verify()


@pytest.mark.slow
def test_the_demo_catches_patches(demo_detector, tmp_path):
    benign, *attacked = show(demo_detector, tmp_path)
    assert benign.right > 0.5 * benign.n_images
    assert benign.flagged < 0.2 * benign.n_images
    for outcome in attacked:
        assert outcome.judged > 0.5 * outcome.n_images
        assert outcome.flagged > 2 * benign.flagged / benign.n_images * outcome.judged


def test_the_table_of_the_demo(capsys):
    tables.print_outcomes(
        [
            Outcome("benign", n_images=64, right=60, judged=64, flagged=4, recovered=4),
            Outcome("universal patch", n_images=50, right=1, judged=40, flagged=32, recovered=8),
            Outcome("partial patches", n_images=8, right=8, judged=0, flagged=0, recovered=0),
        ]
    )
    lines = [line.strip("│ ").split("│") for line in capsys.readouterr().out.splitlines()[3:6]]
    assert [[cell.strip() for cell in line] for line in lines] == [
        ["benign", "64", "60/64 94%", "", "4/64 6%"],
        ["universal patch", "50", "1/50 2%", "40/50 80%", "32/40 80%", "8/32 25%"],
        ["partial patches", "8", "8/8 100%", "0/8 0%", "-", "-"],
    ]
