"""Windows of pixels: the pencil network once more, worked out by hand.

The windows of a 4x4 image are the nine of 2x2 pixels. Its network sees the channels' means alone,
and what is painted is the mean outside: it answers what it would answer for the other 12 pixels. In
the first window are the four red ones: without them m_r = 0 and m_g = 80, as in pencil.py.
"""

import numpy as np
import pytest
import tensorflow as tf
from pencil import BEFORE, HEAD, WITHOUT, attacked_image, pencil_classifier, run, strength

from tf_taintradar import TaintRadarModel
from tf_taintradar.classifier.opened import open_classifier
from tf_taintradar.detection.by_window import WindowFalls
from tf_taintradar.detection.cover import (
    Cover,
    Covers,
    cover,
    covered_score,
    covering_windows,
    decisive,
)
from tf_taintradar.detection.pipeline import detect
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


def test_what_the_label_lacks(found):
    expected = [-strength(logits) for logits in found.evidence.covered_logits[0].numpy()]
    np.testing.assert_allclose(found.evidence.lacks[0], expected, rtol=1e-5)


def test_the_score_is_what_it_lacks_at_most(found):
    falls = [strength(BEFORE) - strength(after) for after in WITHOUT]
    np.testing.assert_allclose(found.evidence.falls[0], falls, rtol=1e-5)
    assert np.mean(falls) < -strength(WITHOUT[1])
    np.testing.assert_allclose(found.score, [-strength(WITHOUT[1])], rtol=1e-5)


def test_that_window_is_removed(found):
    expected = attacked_image()
    expected[0, :2, :2] = [0, 80, 0]
    np.testing.assert_allclose(found.cleaned_images, expected)
    np.testing.assert_array_equal(found.tainted_region[0], covering_windows((4, 4))[0])
    assert (found.recovered_label.numpy(), found.rank_shift.numpy()) == ([1], [2])


def some_covers(falls, lacks) -> Covers:
    """On an image of 4x4: windows of cells at the top left, of pixels as they are."""
    cells = np.zeros((1, 2, 4, 4), bool)
    cells[0, 0, 0, 0] = cells[0, 1, :2, :2] = True
    logits = tf.reshape(tf.range(6.0), (1, 2, 3))
    covered = tf.reshape(tf.range(27.0), (1, 9, 3))
    tensors = [tf.constant(values, tf.float32) for values in (falls, [7.0], lacks)]
    return Covers(tf.constant(cells), logits, *tensors[:2], covered, tensors[2])


def test_the_windows_of_cells_that_decide():
    found = some_covers([[2.0, 8.0]], [[0, 1, 4.9, 0, 0, 0, 0, 0, 0]])
    np.testing.assert_allclose(covered_score(found), [5.0])
    region, logits = decisive(found, Cover().sides((4, 4)), (4, 4))
    np.testing.assert_array_equal(region, found.windows[:, 1])
    np.testing.assert_array_equal(logits, found.window_logits[:, 1])


def test_the_window_of_pixels_that_decides():
    found = some_covers([[2.0, 8.0]], [[0, 1, 5.1, 0, 0, 0, 0, 0, 0]])
    np.testing.assert_allclose(covered_score(found), [5.1])
    region, logits = decisive(found, Cover().sides((4, 4)), (4, 4))
    np.testing.assert_array_equal(region[0], covering_windows((4, 4))[2])
    np.testing.assert_array_equal(logits, found.covered_logits[:, 2])


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


def test_gradients_pass_the_worst_window(small_classifier, images):
    opened, pixels = open_classifier(small_classifier), tf.constant(images, tf.float32)
    label = tf.argmax(opened.logits(pixels), axis=-1, output_type=tf.int32)
    given = opened, pixels, label, WindowFalls(*[tf.zeros((7, 1))] * 4), Cover().sides((24, 16))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(pixels)
        hard = tf.reduce_max(cover(*given).lacks, axis=-1)
        soft = tf.reduce_max(cover(*given, slope=1.0).lacks, axis=-1)
    np.testing.assert_allclose(hard, soft, atol=1e-5)
    expected = tape.gradient(hard, pixels).numpy()
    np.testing.assert_allclose(tape.gradient(soft, pixels), expected, atol=1e-6)
    assert np.abs(expected).max() > 1e-4


def test_the_picture_shows_the_worst_window(small_classifier, images):
    explained = TaintRadarModel(small_classifier, variant="cover").explain(images[0])
    titles = [axis.get_title() for axis in explained.plot().axes]
    assert f"covered\nlacks {explained.lacks.max():.1f} nats" in titles
    assert explained.covered_logits.shape == (16, 5)
