"""Bands of pixels: the pencil network once more, worked out by hand.

Its images are 4x4. The band over the eyes, from 30 % on a quarter of the height, is the second
row, where the red pixels 25 and 20 are. Without it m_r = 320 / 12 and m_g = 10 * 80 / 12 (see
pencil.py).
Without the first row m_r = 45 / 12 and m_g = 800 / 12, without two rows 0 and 80.
"""

import dataclasses
import json
import logging

import keras
import numpy as np
import pytest
import tensorflow as tf
from pencil import HEAD, attacked_image, pencil_classifier, run, strength
from small_detector import build_small_classifier, draw_images

from tf_taintradar import TaintRadarModel, export_savedmodel
from tf_taintradar.attacks import AdaptivePatch, certify
from tf_taintradar.calibration import Calibration
from tf_taintradar.classifier.opened import open_classifier
from tf_taintradar.detection.bands import EYES, FOREHEAD, MOUTH, Bands
from tf_taintradar.detection.pipeline import detect
from tf_taintradar.serving import load

UPPER = Bands(bands=[(0.0, 0.25), (0.0, 0.5)])
WITHOUT_ROWS = [[0.375, -0.1875 + 10 / 3, 5 / 3], [0.0, 4.0, 2.0]]
"""The logits without the first row, and without two."""

IMAGES = draw_images(60)


def test_the_band_over_the_eyes_by_hand():
    found = run(pencil_classifier(), attacked_image(), variant="bands")
    logits = np.array([320 / 12, 800 / 12]) @ HEAD
    np.testing.assert_allclose(found.evidence.covered_logits[0], [logits], rtol=1e-5)
    np.testing.assert_allclose(found.score, [-strength(logits)], rtol=1e-4)
    rows = np.zeros((4, 4), bool)
    rows[1] = True
    np.testing.assert_array_equal(found.tainted_region[0], rows)
    expected = attacked_image()
    expected[0, 1] = [320 / 12, 800 / 12, 0]
    np.testing.assert_allclose(found.cleaned_images, expected, rtol=1e-5)


def test_of_several_bands_the_one_that_is_furthest_out():
    found = run(pencil_classifier(), attacked_image(), variant=UPPER)
    np.testing.assert_allclose(found.evidence.covered_logits[0], WITHOUT_ROWS, rtol=1e-4, atol=1e-5)
    lacks = [-strength(logits) for logits in WITHOUT_ROWS]
    assert lacks[0] < lacks[1]
    np.testing.assert_allclose(found.evidence.covered_lacks[0], lacks, rtol=1e-4)
    np.testing.assert_allclose(found.score, [lacks[1]], rtol=1e-4)
    assert found.tainted_region[0].numpy().sum() == 8
    assert (found.recovered_label.numpy(), found.rank_shift.numpy()) == ([1], [2])


def test_each_band_has_a_scale_of_its_own():
    scales = [[-6.0, 3.0], [-6.0, 3.0], [4.0, 33.0], [4.0, 33.0]]
    rule = Bands(bands=UPPER.bands, scales=scales)
    found = run(pencil_classifier(), attacked_image(), variant=rule)
    lacks = np.array([-strength(logits) for logits in WITHOUT_ROWS])
    expected = [(lacks[0] + 6) / 10, (lacks[1] - 3) / 30]
    assert expected[0] > expected[1]
    np.testing.assert_allclose(found.evidence.scaled[0], expected, rtol=1e-4)
    np.testing.assert_allclose(found.score, expected[:1], rtol=1e-4)
    assert found.tainted_region[0].numpy().sum() == 4
    assert rule.nat == pytest.approx(1 / 10)


@pytest.mark.parametrize(
    ("band", "rows"),
    [(EYES, range(34, 62)), (FOREHEAD, range(6, 34)), (MOUTH, range(67, 101))],
)
def test_rows_of_the_named_bands(band, rows):
    down, across = Bands(bands=[band]).sides((112, 96))
    assert np.flatnonzero(down[0]).tolist() == list(rows)
    assert across.shape == (1, 96)
    assert across.all()


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (7, 3), (24, 16)], ids=str)
def test_a_band_lies_inside_any_image(size):
    for top in (0.0, 0.3, 0.75):
        windows = Bands(bands=[(top, 0.25)]).covering_windows(size)
        assert windows.shape == (1, *size)
        assert windows.any()


def test_a_batch_is_n_images():
    opened, pixels = open_classifier(build_small_classifier()), tf.constant(IMAGES, tf.float32)
    rule = Bands(bands=[EYES, MOUTH])
    together = detect(opened, pixels, variant=rule).score
    alone = [detect(opened, pixels[i : i + 1], variant=rule).score[0] for i in range(8)]
    np.testing.assert_allclose(together[:8], alone, atol=1e-4)


def test_nothing_under_the_band_is_seen():
    opened = open_classifier(build_small_classifier())
    band = Bands().covering_windows((24, 16))[0]
    other = np.where(band[..., None], 255 - IMAGES, IMAGES)
    first, second = (
        detect(opened, tf.constant(x, tf.float32), variant="bands").evidence.covered_logits
        for x in (IMAGES, other)
    )
    np.testing.assert_allclose(first, second, atol=1e-5)


# The detector


@pytest.fixture(params=[Bands(), Bands(bands=[EYES, FOREHEAD, MOUTH])], ids=["one", "three"])
def radar(request):
    radar = TaintRadarModel(build_small_classifier(), variant=request.param)
    radar.calibrate(IMAGES[:50], 0.1, verbose=0)
    return radar


def test_calibrated_it_flags_as_few_as_asked(radar):
    assert radar.predict(IMAGES[:50], verbose=0)["is_adversarial"].mean() <= 0.1
    assert radar.calibration.scales.shape == (4, len(radar.rule.bands))
    medians = radar.score(IMAGES[:50])
    assert abs(np.median(medians)) < 1  # 0 is ordinary, 1 is far out


def test_saved_and_loaded(radar, tmp_path):
    radar.save(tmp_path / "radar.keras")
    again = keras.models.load_model(tmp_path / "radar.keras")
    assert again.rule == radar.rule
    assert json.loads(again.calibration.to_json()) == json.loads(radar.calibration.to_json())
    expected = radar.predict(IMAGES, verbose=0)
    for name, values in again.predict(IMAGES, verbose=0).items():
        np.testing.assert_array_equal(values, expected[name])


@pytest.mark.parametrize("precision", ["float32", pytest.param("float16", marks=pytest.mark.slow)])
def test_exported(radar, tmp_path, precision):
    served = load(export_savedmodel(radar, tmp_path / "radar", precision=precision))
    expected = radar.predict(IMAGES, verbose=0)
    found = served.predict(IMAGES)
    tolerance = 1e-4 if precision == "float32" else 0.2
    np.testing.assert_allclose(found["score"], expected["score"], atol=tolerance)
    assert (found["is_adversarial"] == expected["is_adversarial"]).mean() > 0.9


# Certainty


def test_certain_are_those_that_lack_enough_under_the_band():
    radar = TaintRadarModel(pencil_classifier(), variant="bands", score_threshold=0.0)
    z = np.array([320 / 12, 800 / 12]) @ HEAD
    for label in (1, 2):
        lack = -strength(np.roll(z, -label))
        for threshold in (lack - 0.01, lack + 0.01):
            radar.score_threshold = threshold
            assert certify(radar, attacked_image(), target_class=label)[0] == (threshold < lack)


def test_nothing_inside_the_bands_passes_where_none_can(radar):
    """Whatever is painted inside the last band, by attackers who know it or at random."""
    images, rng = IMAGES[50:], np.random.default_rng(0)
    band = radar.rule.covering_windows((24, 16))[-1]
    scores = least_scores(radar, images, 2)
    radar.score_threshold = float(np.sort(scores)[4:6].mean())
    certain = certify(radar, images, np.tile(band, (len(images), 1, 1)), 2)
    np.testing.assert_array_equal(certain, scores > radar.threshold)
    assert certain.sum() == 5
    rows = np.flatnonzero(band[:, 0])
    whole = {"shape": np.ones((len(rows), 16)), "diameter": 1.0, "place": (int(rows[0]), 0)}
    attack = AdaptivePatch(radar, target_class=2, steps=60, learning_rate=8.0, **whole)
    tried = [attack.partial(images, verbose=0).images]
    noise = rng.integers(0, 256, (20, *images.shape))
    tried += list(np.where(band[..., None], noise, images).astype(np.uint8))
    n_passed = 0
    for painted in tried:
        np.testing.assert_array_equal(painted[:, ~band], images[:, ~band])
        found = radar.predict(painted, verbose=0)
        passed = (found["label"] == 2) & ~found["is_adversarial"]
        assert not passed[certain].any()
        n_passed += int(passed.sum())
    assert n_passed > 0, "none pass where they might: nothing is tested"


def least_scores(radar, images, label):
    """What label lacks under the last band, in units of that band's scale, in NumPy."""
    band = radar.rule.covering_windows((24, 16))[-1]
    painted = images.astype(np.float32)
    painted[:, band] = painted[:, ~band].mean(axis=1, keepdims=True)
    z = np.log(radar.classifier.predict(painted, verbose=0).astype(np.float64))
    lacks = np.array([-strength(np.roll(row, -label)) for row in z])
    low, high, near, far = np.array(radar.rule.scales)[:, -1]
    median = np.clip(lacks, low, high)
    return (lacks - median) / (np.clip(lacks, near, far) - median)


# Words and pictures


def test_the_reason_names_the_band_who_is_seen_and_by_how_much():
    names = ["ann", "bob", "cid"]
    radar = TaintRadarModel(pencil_classifier(), variant=UPPER, class_names=names)
    found = radar.explain(attacked_image()[0])
    lack = -strength(WITHOUT_ROWS[1])
    odds = np.exp([2.28125, 1.859375, 1.5])
    assert found.reason == (
        "without the band of rows 0 to 1 the classifier sees bob instead of ann; the probability "
        f"of ann goes from {odds[0] / odds.sum():.2f} to 0.02, and ann lacks {lack:.1f} nats"
    )
    scaled = dataclasses.replace(found, is_scaled=True, recovered_label=0, score=1.5)
    assert "the classifier still sees ann" in scaled.reason
    assert scaled.reason.endswith("nats: 1.50; 1 is as far out as 3 benign images in 100")
    calm = dataclasses.replace(found, covered_lacks=-found.covered_lacks)
    assert "ann has a margin of" in calm.reason


def test_the_picture_shows_the_band(radar):
    titles = [axis.get_title() for axis in radar.explain(IMAGES[0]).plot().axes]
    assert any(title.startswith("band that is painted over:") for title in titles)


# What was before


def former(radar, **settings):
    """The config of a detector whose bands were of the feature map."""
    config = radar.get_config()
    return {**config, "format": 2, "score_threshold": 0.2, "calibration": None, **settings}


@pytest.mark.parametrize("variant", ["bands", {"name": "bands", "config": {"heights": [0.25]}}])
def test_a_former_detector_is_to_be_calibrated_anew(variant, caplog):
    radar = TaintRadarModel(build_small_classifier(), variant="bands")
    with caplog.at_level(logging.WARNING):
        again = TaintRadarModel.from_config(former(radar, variant=variant))
    assert "variant 'bands' is from before 0.2" in caplog.text
    assert again.threshold is None
    assert again.rule == Bands()
    caplog.clear()
    TaintRadarModel.from_config(former(radar, variant=variant, score_threshold=None))
    assert not caplog.text, "it had no threshold to lose"


def test_a_former_record_is_refused():
    radar = TaintRadarModel(build_small_classifier(), variant="bands")
    values = json.loads(radar.calibrate(IMAGES, 0.1, verbose=0).to_json())
    values |= {"scales": None, "settings": {"heights": [0.15, 0.3]}}
    with pytest.raises(ValueError, match="calibrate variant 'bands' anew"):
        radar.calibration = Calibration.from_json(json.dumps(values))
