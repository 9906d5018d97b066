"""Windows of pixels: the pencil network once more, worked out by hand.

The windows of a 4x4 image are the nine of 2x2 pixels. Its network sees the channels' means alone,
and what is painted is the mean outside: it answers what it would answer for the other 12 pixels. In
the first window are the four red ones: without them m_r = 0 and m_g = 80, as in pencil.py.
"""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from pencil import BEFORE, HEAD, WITHOUT, attacked_image, pencil_classifier, run, strength
from small_detector import draw_images

from tf_taintradar import TaintRadarModel
from tf_taintradar.classifier.opened import open_classifier
from tf_taintradar.detection.cover import Cover, covering_windows
from tf_taintradar.detection.covering import Covers, decisive, lacks_and_others, logits_under
from tf_taintradar.detection.pipeline import detect
from tf_taintradar.detection.ranks import largest_of_others, strengths
from tf_taintradar.fills import Noise


@pytest.fixture(scope="module")
def found():
    return run(pencil_classifier(), attacked_image(), variant="cover")


def test_the_classifier_sees_the_mean_of_the_rest_under_each_window(found):
    for logits, window in zip(
        found.evidence.covered_logits[0], covering_windows((4, 4)), strict=True
    ):
        mean = attacked_image()[0, ~window].mean(axis=0)
        np.testing.assert_allclose(logits, mean[:2] @ HEAD, atol=1e-5)
    np.testing.assert_allclose(found.evidence.covered_logits[0, 0], WITHOUT[1], atol=1e-5)


def test_what_the_label_lacks_and_how_strong_another_is(found):
    for logits, lack, other in zip(
        found.evidence.covered_logits[0].numpy(),
        found.evidence.covered_lacks[0].numpy(),
        found.evidence.covered_others[0].numpy(),
        strict=True,
    ):
        assert lack == pytest.approx(-strength(logits), rel=1e-5)
        swapped = [strength(np.roll(logits, -label)) for label in (1, 2)]
        assert other == pytest.approx(max(swapped), rel=1e-5)


def test_before_a_calibration_the_score_is_the_larger_of_fall_and_lack(found):
    parts = found.evidence.parts[0].numpy()
    assert parts[0] == pytest.approx(float(found.evidence.falls[0, 0]))
    assert parts[1] == pytest.approx(-strength(WITHOUT[1]), rel=1e-5)
    assert parts[2] == pytest.approx(strength([4.0, 0.0, 2.0]), rel=1e-5)
    assert parts[0] < parts[1]
    np.testing.assert_allclose(found.score, [-strength(WITHOUT[1])], rtol=1e-5)
    assert strength(BEFORE) < 0 < found.score[0]


def test_that_window_is_removed(found):
    expected = attacked_image()
    expected[0, :2, :2] = [0, 80, 0]
    np.testing.assert_allclose(found.cleaned_images, expected)
    np.testing.assert_array_equal(found.tainted_region[0], covering_windows((4, 4))[0])
    assert (found.recovered_label.numpy(), found.rank_shift.numpy()) == ([1], [2])


def measured(lack=(4, 5, 10, 11), other=(0, 1, 6, 7), removed=1e3) -> Cover:
    """The bounds of the median and of the quantile by hand; the fall's and the like's are far."""
    columns = [(0, 0, removed, removed)] * 4 + [lack, (3, 4, *lack[2:]), other]
    return Cover(scales=np.transpose(columns), centre=(1.0, 2.0, 3.0))


@pytest.mark.parametrize(
    ("quantile", "median"), [((10, 11), 5), ((6, 7), 4)], ids=["below", "beyond the quantile"]
)
def test_the_parts_by_hand(quantile, median):
    """Label 0 lacks 8.143 nats under the first window, label 1 has -0.143 + 2 there."""
    lack, other = -strength(WITHOUT[1]), strength([4.0, 0.0, 2.0])
    rule = measured(lack=(4, 5, *quantile))
    parts = run(pencil_classifier(), attacked_image(), variant=rule).evidence.parts[0].numpy()
    high = float(np.clip(lack - 1, *quantile))  # label 0 lacks 1 at large
    assert parts[1] == pytest.approx((lack - 1 - median) / (high - median), rel=1e-4)
    assert parts[2] == pytest.approx(0.6 * (other - 1) / (6 - 1), rel=1e-4)
    assert parts[0] == pytest.approx(0, abs=1e-3)


def test_a_power_of_what_the_cells_say():
    found = run(pencil_classifier(), attacked_image(), variant=measured(removed=1.0))
    w = np.max(found.evidence.scaled[0, :2])
    assert found.evidence.parts[0, 0] >= (w / 1.5) ** 4 > 1
    np.testing.assert_allclose(found.score, found.evidence.parts[:, 0])


def some_covers(parts) -> Covers:
    """On an image of 4x4: one depth, and windows of pixels as they are."""
    region = np.zeros((1, 1, 4, 4), bool)
    region[0, 0, :3, 0] = True
    one, covered = tf.ones((1, 1)), tf.reshape(tf.range(27.0), (1, 9, 3))
    lacks, others = tf.one_hot([2], 9), tf.one_hot([7], 9)
    removed = tf.constant(region), tf.reshape(tf.range(3.0), (1, 1, 3))
    seen = covered, lacks, others, tf.constant([parts], tf.float32)
    return Covers(*removed, one, one, one, one, tf.ones((1, 4, 1)), *seen)


@pytest.mark.parametrize(("parts", "window"), [((1, 2, 0), 2), ((1, 2, 3), 7), ((3, 2, 1), None)])
def test_what_decides_is_removed(parts, window):
    found = some_covers(parts)
    region, logits = decisive(found, Cover().sides((4, 4)))
    cells = found.regions[0, 0].numpy(), found.removed_logits[0, 0]
    of_window = (covering_windows((4, 4))[window], found.covered_logits[0, window or 0])
    expected = cells if window is None else of_window
    np.testing.assert_array_equal(region[0], expected[0])
    np.testing.assert_array_equal(logits[0], expected[1])


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (4, 4), (16, 24), (96, 96), (227, 224)], ids=str)
def test_one_window_covers_whatever_patch(size):
    windows = covering_windows(size)
    assert len(windows) <= 16
    height, width = (max(1, round(0.3 * side)) for side in size)
    tops, lefts = range(size[0] - height + 1), range(size[1] - width + 1)
    for top in tops[:: max(1, len(tops) // 20)]:
        for left in lefts[:: max(1, len(lefts) // 20)]:
            assert windows[:, top : top + height, left : left + width].all(axis=(1, 2)).any()


def test_nothing_under_a_window_is_seen(small_classifier, images):
    opened, window = open_classifier(small_classifier), covering_windows((24, 16))[5]
    other = np.where(window[..., None], 255 - images, images)
    settings = {"variant": "cover", "fill": Noise()}
    first, second = (
        detect(opened, tf.constant(x, tf.float32), **settings).evidence.covered_logits.numpy()
        for x in (images, other)
    )
    np.testing.assert_allclose(first[:, 5], second[:, 5], atol=1e-5)
    assert np.abs(first - second).max() > 1e-3


def test_strengths_of_every_label_with_ties():
    logits = np.array([[3.0, 1.0, 3.0, -2.0], [0.5, 0.2, -1.0, 0.1]], np.float32)
    found = strengths(tf.constant(logits)).numpy()
    for row, z in zip(found, logits, strict=True):
        expected = [strength(np.roll(z, -label)) for label in range(4)]
        np.testing.assert_allclose(row, expected, rtol=1e-5)
    others = largest_of_others(tf.constant(logits)).numpy()
    np.testing.assert_allclose(others, [[3, 3, 3, 3], [0.2, 0.5, 0.5, 0.5]])


@pytest.mark.parametrize("which", [0, 1], ids=["the label", "another label"])
def test_gradients_pass_the_worst_window(small_classifier, images, which):
    opened, pixels = open_classifier(small_classifier), tf.constant(images, tf.float32)
    label = tf.argmax(opened.logits(pixels), axis=-1, output_type=tf.int32)
    given = opened, pixels, Cover().sides((24, 16)), label
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(pixels)
        hard, soft = (
            tf.reduce_max(lacks_and_others(logits_under(*given, slope), label)[which], axis=-1)
            for slope in (None, 1.0)
        )
    np.testing.assert_allclose(hard, soft, atol=1e-5)
    expected = tape.gradient(hard, pixels).numpy()
    np.testing.assert_allclose(tape.gradient(soft, pixels), expected, atol=1e-6)
    assert np.abs(expected).max() > 1e-4


# Calibrated


@pytest.fixture(scope="module")
def radar():
    radar = TaintRadarModel(pencil_classifier(), variant="cover")
    images = np.random.default_rng(0).integers(0, 256, (60, 4, 4, 3))
    radar.calibrate(images, 0.1, verbose=0)
    return radar


def test_calibrate_finds_scales_a_centre_and_a_threshold(radar):
    record = radar.calibration
    assert (record.scales.shape, record.centre.shape) == ((4, 7), (3,))
    np.testing.assert_array_equal(radar.rule.scales, record.scales)
    np.testing.assert_array_equal(radar.rule.centre, record.centre)
    assert record.settings == {
        "largest_patch": 0.3,
        "per_side": 4,
        "depths": 3,
        "scales": None,
        "centre": None,
    }
    with pytest.raises(
        ValueError, match="`calibration` must be one with centre: calibrate variant"
    ):
        radar.calibration = dataclasses.replace(record, centre=None)
    assert radar.calibration is record


def test_a_calibrated_detector_is_calibrated_anew(radar):
    images = draw_images(40)[:, :4, :4]
    twice = TaintRadarModel(radar.classifier, variant=radar.rule)
    fresh = TaintRadarModel(radar.classifier, variant="cover")
    found, expected = (one.calibrate(images, 0.1, verbose=0) for one in (twice, fresh))
    assert found.to_json() == expected.to_json()


def test_no_row_depends_on_the_others(radar):
    images = np.random.default_rng(1).integers(0, 256, (9, 4, 4, 3))
    expected = radar.score(images)
    np.testing.assert_allclose(radar.score(images[::-1], batch_size=2)[::-1], expected, rtol=1e-4)
    assert len(set(expected)) == 9


def test_a_centre_of_other_labels_is_refused(small_classifier, radar):
    with pytest.raises(ValueError, match="`centre` must be of 5 labels, .* calibrate it anew"):
        TaintRadarModel(small_classifier, variant=radar.rule)


# Words and pictures


def explained(radar, part, **changes):
    found = radar.explain(attacked_image()[0])
    parts = np.full(3, -1, np.float32)
    parts[part] = 1.25
    return dataclasses.replace(found, parts=parts, score=1.25, **changes)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (0, "; counted as 1.25"),
        (1, "the label lacks much under the window of rows 0 to 1, columns 0 to 1: 1.25; 1 is as"),
        (2, "label 1 is strong under the window of rows 0 to 1, columns 0 to 1: 1.25; 0.6 is as"),
    ],
)
def test_the_reason_says_what_decided_and_where(radar, part, words):
    assert words in explained(radar, part).reason


def test_the_reason_before_a_calibration():
    found = TaintRadarModel(pencil_classifier(), variant="cover").explain(attacked_image()[0])
    assert found.reason.endswith(f"columns 0 to 1: {found.score:.1f} nats")


def test_the_picture_shows_the_worst_window(small_classifier, images):
    found = TaintRadarModel(small_classifier, variant="cover").explain(images[0])
    worst = found.covered_lacks.argmax()
    lack, other = found.covered_lacks[worst], found.covered_others[worst]
    titles = [axis.get_title() for axis in found.plot().axes]
    assert f"covered: lacks {lack:.1f},\nother {other:.1f} nats" in titles
    assert found.covered_logits.shape == (16, 5)
