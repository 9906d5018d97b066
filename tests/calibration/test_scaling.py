"""Scales that count an image in with itself, and the promise that they keep."""

import numpy as np
import pytest
import tensorflow as tf

from tf_taintradar.calibration.by_score import smallest_threshold
from tf_taintradar.calibration.scaling import find_bounds, highest_scaled, scale


def draw(rng, n, m=3):
    """Skewed numbers of different units, with ties."""
    return np.round(rng.lognormal(size=(n, m)) * [1, 50, 0.2], 2)


@pytest.mark.parametrize("n", [2, 20, 33, 34, 200])
def test_an_image_gets_the_scales_of_all_images_and_itself(n):
    rng = np.random.default_rng(n)
    known, further = draw(rng, n), draw(rng, 40)
    bounds = find_bounds(known)
    found = scale(tf.constant(further, tf.float32), tf.constant(bounds, tf.float32))
    for image, ours in zip(further, found.numpy(), strict=True):
        together = np.sort(np.vstack([known, image]), axis=0)
        median = together[int(np.ceil((n + 1) / 2)) - 1]
        high = together[min(int(np.ceil(0.97 * (n + 1))), n) - 1]
        expected = (image - median) / np.maximum(high - median, 1e-6)
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-3)


def test_no_calibration_image_can_be_further_out_than_its_highest():
    rng = np.random.default_rng(0)
    known = draw(rng, 100)
    bounds = find_bounds(known)
    highest = highest_scaled(known, bounds)
    for further in draw(rng, 50):
        others = find_bounds(np.vstack([known[1:], further]))  # of an image counted in with itself
        ours = scale(tf.constant(known[:1], tf.float32), tf.constant(others, tf.float32)).numpy()
        assert (ours <= highest[:1] + 1e-4).all()


@pytest.mark.parametrize(("n", "target"), [(20, 0.1), (50, 0.06), (100, 0.03)])
def test_the_promise_holds_where_scales_and_threshold_share_their_images(n, target):
    """A further image is flagged with a probability of at most the target."""
    rng = np.random.default_rng(1)
    flags, naive = [], []
    for _ in range(3000):
        known, further = draw(rng, n), draw(rng, 5)
        bounds = find_bounds(known)
        threshold = smallest_threshold(highest_scaled(known, bounds).max(axis=1), target)
        scaled = scale(tf.constant(further, tf.float32), tf.constant(bounds, tf.float32)).numpy()
        flags += list(scaled.max(axis=1) > threshold)
        median, high = np.median(known, axis=0), np.quantile(known, 0.97, axis=0)
        own, others = ((x - median) / (high - median) for x in (known, further))
        naive += list(others.max(axis=1) > smallest_threshold(own.max(axis=1), target))
    spread = 2 * np.sqrt(target / len(flags)) * 2  # of five images that share a calibration
    assert np.mean(flags) <= target + spread
    assert np.mean(flags) >= target / 2
    assert np.mean(naive) > target + spread, "the plain way keeps it too: nothing is tested"
