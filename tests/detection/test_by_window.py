"""Windows out of the feature map: the pencil network again, worked out by hand.

Its critical map is largest in the two brightest red pixels, top left (see pencil.py). The
windows of a 4x4 map are 1x1 and 2x2 cells. Without the pixel top left, the 15 others have
m_r = (365 - 160) / 15 = 41 / 3 and m_g = 960 / 15 = 64; without the four red ones m_r = 0 and
m_g = 80.
"""

import numpy as np
import pytest
import tensorflow as tf
from pencil import BEFORE, WITHOUT, attacked_image, pencil_classifier, run, strength

from tf_taintradar.classifier.opened import open_classifier
from tf_taintradar.detection.by_window import worst_falls
from tf_taintradar.detection.pipeline import detect
from tf_taintradar.detection.ranks import strength as strength_of
from tf_taintradar.detection.windows import average_outside, most_critical, take_out, to_pixels
from tf_taintradar.fills import Constant


@pytest.fixture(scope="module")
def found():
    return run(pencil_classifier(), attacked_image(), variant="windows")


def test_the_windows_lie_where_the_map_is_largest(found):
    windows = found.evidence.windows.numpy()
    assert windows.shape == (1, 2, 4, 4)
    one, four = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    one[0, 0] = four[:2, :2] = True
    np.testing.assert_array_equal(windows[0], [one, four])


def test_the_head_sees_the_mean_of_the_rest_in_their_place(found):
    np.testing.assert_allclose(found.evidence.window_logits[0], WITHOUT, rtol=1e-5)


def test_the_label_falls_by_its_log_probability_and_its_lead(found):
    falls = [strength(BEFORE) - strength(after) for after in WITHOUT]
    np.testing.assert_allclose(found.evidence.falls[0], falls, rtol=1e-5)
    np.testing.assert_allclose(found.score, [np.mean(falls)], rtol=1e-5)


def test_the_score_is_the_mean_of_the_two_deepest_falls():
    falls = tf.constant([[1.0, 7.0, 2.0, 3.0], [-4.0, -1.0, -2.0, -8.0]])
    np.testing.assert_allclose(worst_falls(falls), [5.0, -1.5])
    np.testing.assert_allclose(worst_falls(falls[:, :1]), [1.0, -4.0])


def test_what_is_removed_is_the_window_without_which_it_falls_furthest(found):
    np.testing.assert_array_equal(found.tainted_region[0], found.evidence.windows[0, 1])
    np.testing.assert_allclose(found.cleaned_logits[0], WITHOUT[1], atol=1e-6)
    assert (found.recovered_label.numpy(), found.rank_shift.numpy()) == ([1], [2])
    expected = attacked_image()
    expected[0, :2, :2] = [0, 80, 0]
    np.testing.assert_allclose(found.cleaned_images, expected)


def test_fill_and_top_k_have_no_part_in_it(small_classifier, images):
    opened, x = open_classifier(small_classifier), tf.constant(images, tf.float32)
    scores = [
        detect(opened, x, variant="windows", fill=Constant(colour), top_k=k).score
        for colour, k in ((0, 1), (255, 5))
    ]
    np.testing.assert_array_equal(*scores)


def test_a_constant_added_to_all_logits_does_not_change_the_strength():
    logits, label = tf.random.stateless_normal((3, 4, 7), (0, 1)), tf.constant([0, 3, 6])
    np.testing.assert_allclose(
        strength_of(logits + 9, label), strength_of(logits, label), atol=1e-5
    )


def test_of_equal_windows_the_first_one():
    window = most_critical(tf.zeros((1, 3, 5)), (2, 1))[0].numpy()
    assert np.argwhere(window).tolist() == [[0, 0], [1, 0]]


def test_a_window_at_the_lower_right_border():
    critical = np.zeros((1, 3, 5), np.float32)
    critical[0, 2, 4] = 1
    window = most_critical(tf.constant(critical), (2, 3))[0].numpy()
    assert np.argwhere(window)[[0, -1]].tolist() == [[1, 2], [2, 4]]


def test_a_window_over_the_whole_map_leaves_nothing():
    rest = take_out(tf.ones((1, 1, 1, 2)), tf.ones((1, 1, 1, 1), tf.bool))
    np.testing.assert_array_equal(rest, np.zeros((1, 1, 1, 1, 2)))


def test_cells_spread_over_the_image():
    window = tf.constant([[[True, False, False], [False, False, True]]])
    expected = np.zeros((4, 6), bool)
    expected[:2, :2] = expected[2:, 4:] = True
    np.testing.assert_array_equal(to_pixels(window, (4, 6))[0], expected)


def test_the_colour_outside():
    images = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)
    region = np.array([[[True, False], [False, False]]])
    np.testing.assert_allclose(average_outside(images, region), [[[[6, 7, 8]]]])
