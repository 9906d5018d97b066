"""143 real people: the features of a real face network, with both heads."""

import csv
import time

import keras
import pytest
from PIL import Image

from tf_taintradar import faces

MARGIN, SIDE = 16, 160


@pytest.fixture(scope="module")
def people(shared, tmp_path_factory):
    """The faces of the photographs, in `train` and `test`; the network takes their centre."""
    folder = tmp_path_factory.mktemp("people")
    with (shared / "data/faces143.csv").open(newline="") as rows:
        for row in csv.DictReader(rows):
            target = (folder / row["split"] / row["file"]).with_suffix(".png")
            target.parent.mkdir(parents=True, exist_ok=True)
            with Image.open(shared / "data/faces143" / row["file"]) as picture:
                picture.crop((MARGIN, MARGIN, SIDE - MARGIN, SIDE - MARGIN)).save(target)
    return folder


@pytest.mark.slow
def test_both_heads_know_them(people, shared, tmp_path):
    network = keras.models.load_model(shared / "models/face143_mobilefacenet.keras", compile=False)
    for head in ("prototypes", "dense"):  # the features are computed for the first
        started = time.process_time()
        learnt = faces.transfer(
            people / "train",
            network,
            held_out=people / "test",
            head=head,
            preprocessor="tf",
            cache=tmp_path,
            verbose=0,
        )
        assert len(learnt.predicted) == 987
        assert learnt.accuracy >= 0.99
    assert time.process_time() - started < 240  # of two cores: two minutes
