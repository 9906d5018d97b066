"""Ranks, against counting by hand."""

import numpy as np
import tensorflow as tf

from tf_taintradar.detection.ranks import largest_increases, lead, own_and_others, rank_of


def test_the_largest_logit_has_rank_0_and_the_smallest_n_minus_1():
    logits = tf.constant([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0], [3.0, 1.0, 2.0]])
    assert rank_of(logits, tf.constant([0, 1, 2])).numpy().tolist() == [0, 2, 1]


def test_ties_count_in_the_labels_favour():
    logits = tf.constant([[5.0, 5.0, 5.0, 7.0]])
    assert rank_of(logits, tf.constant([2])).numpy().tolist() == [1]


def test_a_label_leads_the_best_other_one():
    logits = np.array([[3.0, 1.0, 2.5], [0.0, 4.0, 4.0], [1.0, 7.0, 2.0]], np.float32)
    np.testing.assert_array_equal(lead(logits, [0, 1, 2]), [0.5, 0.0, -5.0])


def test_the_lead_of_one_label_in_several_rows_of_an_image():
    logits = tf.constant([[[3.0, 1.0], [0.0, 4.0]], [[2.0, 9.0], [5.0, 5.5]]])
    np.testing.assert_array_equal(lead(logits, [0, 1]), [[2.0, -4.0], [7.0, 0.5]])


def test_the_others_are_all_but_the_label():
    own, others = own_and_others(tf.constant([[3.0, 1.0, 2.5]]), [1])
    np.testing.assert_array_equal(own, [1.0])
    np.testing.assert_array_equal(tf.reduce_max(others, axis=-1), [3.0])
    expected = np.log(np.exp(3.0) + np.exp(2.5))
    np.testing.assert_allclose(tf.reduce_logsumexp(others, axis=-1), [expected], rtol=1e-6)


def test_the_labels_that_gain_most_come_first_and_losers_take_part():
    before = tf.constant([[1.0, 1.0, 1.0, 1.0]])
    after = tf.constant([[0.0, 3.0, -5.0, 2.0]])
    labels, gains = largest_increases(before, after, 3)
    assert labels.numpy().tolist() == [[1, 3, 0]]
    np.testing.assert_array_equal(gains, [[2.0, 1.0, -1.0]])
