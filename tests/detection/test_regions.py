"""Regions that gradients can pass: the same answers, and gradients worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from tf_taintradar.classifier.opened import open_classifier
from tf_taintradar.detection.cam import binarize
from tf_taintradar.detection.pipeline import detect
from tf_taintradar.detection.regions import choose, intersect, is_inside, weight, where_reached
from tf_taintradar.detection.rules import RULES
from tf_taintradar.detection.windows import most_critical
from tf_taintradar.fills import Noise

RNG = np.random.default_rng(0)


def gradient_of(function, *values):
    values = [tf.constant(value, tf.float32) for value in values]
    with tf.GradientTape() as tape:
        tape.watch(values)
        result = tf.reduce_sum(function(*values))
    return [np.asarray(gradient) for gradient in tape.gradient(result, values)]


def test_a_region_is_bool_or_the_same_zeros_and_ones():
    values = np.array([0.0, 0.9, 1.0, 2.0], np.float32)
    hard, soft = where_reached(values, 1.0, None), where_reached(values, 1.0, 3.0)
    np.testing.assert_array_equal(hard, [False, False, True, True])
    assert soft.dtype == tf.float32
    np.testing.assert_array_equal(soft, [0, 0, 1, 1])
    np.testing.assert_array_equal(is_inside(soft), hard)
    np.testing.assert_array_equal(weight(hard), soft)


def test_the_gradient_of_a_cut_is_that_of_a_sigmoid():
    # values as fractions of the level 2: sigmoid(3 (v - 2) / 2), whose slope at v = 2 is 3 / 2 / 4
    (to_values,) = gradient_of(lambda v: where_reached(v, tf.constant(2.0), 3.0), [2.0, 3.0])
    at_3 = 1 / (1 + np.exp(-1.5))
    np.testing.assert_allclose(to_values, [0.375, 1.5 * at_3 * (1 - at_3)], rtol=1e-5)


def test_a_map_of_zeros_gives_the_whole_image_and_finite_gradients():
    maps = np.zeros((1, 1, 2, 2), np.float32)
    np.testing.assert_array_equal(binarize(tf.constant(maps), 0.15, 2.0), np.ones((1, 1, 2, 2)))
    (gradient,) = gradient_of(lambda m: binarize(m, 0.15, 2.0), maps)
    assert np.isfinite(gradient).all()


def test_choosing_is_exact_for_both_kinds():
    region = RNG.random((2, 5, 5, 1)) < 0.5
    inside, outside = (RNG.uniform(0, 255, (2, 5, 5, 3)).astype(np.float32) for _ in range(2))
    expected = np.where(region, inside, outside)
    np.testing.assert_array_equal(choose(tf.constant(region), inside, outside), expected)
    np.testing.assert_array_equal(choose(weight(region), inside, outside), expected)
    to_region, _, _ = gradient_of(choose, region, inside, outside)
    np.testing.assert_allclose(to_region[..., 0], (inside - outside).sum(-1), rtol=1e-4, atol=1e-3)


def test_the_intersection_of_both_kinds():
    regions = RNG.random((3, 4, 5, 5)) < 0.7
    expected = regions.all(axis=1)
    np.testing.assert_array_equal(intersect(tf.constant(regions)), expected)
    np.testing.assert_array_equal(intersect(weight(regions)), expected)
    # the gradient reaches a region where all others are
    (gradient,) = gradient_of(intersect, regions)
    others = [np.delete(regions, i, axis=1).all(axis=1) for i in range(4)]
    np.testing.assert_array_equal(gradient, np.stack(others, axis=1))


def test_the_gradient_of_a_window_is_that_of_the_softmax_mean():
    critical = RNG.uniform(0.1, 1, (2, 4, 5)).astype(np.float32)
    size, slope = (2, 3), 4.0
    hard = most_critical(tf.constant(critical), size)
    window = most_critical(tf.constant(critical), size, slope)
    np.testing.assert_array_equal(window, weight(hard))

    weights = RNG.normal(size=(2, 4, 5)).astype(np.float32)

    def by_hand(maps):  # all six places, each with its own window
        places = [(r, c) for r in range(3) for c in range(3)]
        covered = tf.stack(
            [tf.reduce_mean(maps[:, r : r + 2, c : c + 3], axis=(1, 2)) for r, c in places], axis=1
        )
        windows = np.zeros((9, 4, 5), np.float32)
        for window, (r, c) in zip(windows, places, strict=True):
            window[r : r + 2, c : c + 3] = 1
        shares = tf.nn.softmax(slope * covered / tf.reduce_max(covered, axis=1, keepdims=True))
        return tf.einsum("bp,phw->bhw", shares, windows) * weights

    (expected,) = gradient_of(by_hand, critical)
    (found,) = gradient_of(lambda maps: most_critical(maps, size, slope) * weights, critical)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    assert np.abs(found).max() > 1e-3


@pytest.mark.parametrize("variant", RULES)
def test_a_slope_changes_no_answer_and_lets_gradients_pass(small_classifier, images, variant):
    classifier = open_classifier(small_classifier)
    pixels = tf.constant(images, tf.float32)
    settings = {"variant": variant, "fill": Noise(seed=1), "top_k": 2}

    @tf.function
    def soft(pixels, slope):
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            found = detect(classifier, pixels, slope=slope, **settings)
            logits = found.cleaned_logits
            if variant != "paper":  # what is removed may be a window whose place is fixed
                evidence = found.evidence._asdict()
                names = ("window_logits", "removed_logits", "covered_logits")
                logits = next(evidence[name] for name in names if name in evidence)[:, -1]
            of_label = tf.gather(logits, found.prediction.label, batch_dims=1)
        return found, tape.gradient(of_label, pixels)

    hard = tf.function(lambda pixels: detect(classifier, pixels, **settings))(pixels)
    found, gradient = soft(pixels, tf.constant(2.0))
    for one, other in zip(tf.nest.flatten(hard), tf.nest.flatten(found), strict=True):
        np.testing.assert_allclose(weight(one), weight(other), rtol=1e-4, atol=1e-4)
    assert found.tainted_region.dtype == tf.bool
    assert np.isfinite(gradient).all()
    if variant == "bands":
        return  # its places are fixed
    # another slope: other gradients, the same answers; so they do pass through the regions
    again, other_gradient = soft(pixels, tf.constant(10.0))
    np.testing.assert_array_equal(again.cleaned_logits, found.cleaned_logits)
    assert np.abs(gradient - other_gradient).max() > 1e-3 * np.abs(gradient).max()
