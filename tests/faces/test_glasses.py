"""Glasses on people of a classifier: who wears them, and what is counted."""

import numpy as np
import pytest
from drawn_people import draw_people
from small_detector import build_small_classifier, draw_images

from tf_taintradar import TaintRadarModel
from tf_taintradar.faces.glasses import Worn, framed, measure_glasses, wear
from tf_taintradar.faces.subjects import find_subjects


@pytest.fixture
def radar():
    return TaintRadarModel(build_small_classifier(), score_threshold=0.0)


def test_what_is_counted(radar):
    images = draw_images(6)
    found = radar.predict(images, verbose=0)
    radar.score_threshold = float(np.sort(found["score"])[2:4].mean())
    flags = found["score"] > radar.score_threshold
    assert flags.sum() == 3
    success = np.array([True, True, True, True, False, False])
    truth = found["recovered_label"].astype(np.int64)
    truth[np.flatnonzero(flags & success)[0]] += 1  # one that is flagged and not recovered
    benign = np.full(4, found["score"].min() - 1)
    measured = measure_glasses(radar, Worn(images, success, truth, [30, 12, 300]), benign)
    n_flagged = int((flags & success).sum())
    assert (measured.succeeded.hits, measured.succeeded.n) == (4, 6)
    assert (measured.flagged.hits, measured.flagged.n) == (n_flagged, 4)
    assert (measured.recovered.hits, measured.recovered.n) == (n_flagged - 1, n_flagged)
    assert measured.auroc == 1
    assert measured.steps == (12, 300)


def test_glasses_that_fool_nobody(radar):
    images, nobody = draw_images(3), np.zeros(3, bool)
    worn = Worn(images, nobody, np.zeros(3, np.int64), [300])
    measured = measure_glasses(radar, worn, np.array([0.5]))
    assert (measured.succeeded.hits, measured.flagged.n, measured.auroc) == (0, 0, None)


@pytest.mark.parametrize("one_each", [False, True])
@pytest.mark.parametrize("goal", ["impersonation", "dodging"])
def test_who_wears_glasses(radar, tmp_path, goal, one_each):
    shape = radar.opened.input_shape
    found = find_subjects(draw_people(tmp_path / "people", [3, 2, 4], size=64), shape)
    known = found.photographs.take(
        np.flatnonzero(found.photographs.labels != 0)
    )  # not of the first
    worn = wear(radar, known, 2, goal, one_each=one_each, steps=2, verbose=0)
    assert worn.truth.tolist() == [1] * 2 + [2] * 4
    assert len(worn.steps) == (6 if one_each else 2)
    labels = radar.predict(worn.images, verbose=0)["label"]
    if goal == "impersonation":
        np.testing.assert_array_equal(worn.success, labels == worn.truth + 1)


def test_frames_change_nothing_but_the_glasses(radar, tmp_path):
    found = find_subjects(
        draw_people(tmp_path / "people", [20, 20], size=64), radar.opened.input_shape
    )
    batches = list(framed(radar, found.photographs, seed=1))
    assert [len(batch) for batch in batches] == [32, 8]
    assert all(batch.dtype == np.uint8 for batch in batches)
