"""Jujutsu's first stage, by hand."""

import numpy as np
import pytest
import tensorflow as tf
from small_detector import plain

from tf_taintradar.baselines import Jujutsu
from tf_taintradar.baselines.smoothgrad import smooth_gradients
from tf_taintradar.classifier.opened import open_classifier


def attacked():
    image = plain(10, 90, 20)
    image[4:8, 4:8, 0] = 250
    return image


def hosts():
    return np.array([plain(10, 90, 20), plain(10, 20, 90), plain(60, 20, 90)])


def test_without_noise_it_is_the_gradient(brightest_colour):
    image = plain(10, 20, 30)
    image[5, 7] = (200, 0, 0)
    opened = open_classifier(brightest_colour)
    _, seen = smooth_gradients(opened, tf.constant(image[None]), n_samples=2, noise=0.0, seed=0)
    expected = np.zeros((24, 16))
    expected[5, 7] = 0.1 / 3  # the mean over the channels
    np.testing.assert_allclose(seen[0], expected, atol=1e-6)


def test_noise_of_one_seed_is_the_same_for_all_images(small_classifier, images):
    opened, twice = open_classifier(small_classifier), np.stack([images[0]] * 2).astype(np.float32)
    common = {"n_samples": 3, "noise": 0.2}
    _, seen = smooth_gradients(opened, tf.constant(twice), seed=1, **common)
    np.testing.assert_allclose(seen[0], seen[1], rtol=1e-5, atol=1e-9)
    _, other = smooth_gradients(opened, tf.constant(twice), seed=2, **common)
    assert not np.allclose(seen, other)


def test_a_patch_takes_its_label_along(brightest_colour):
    rival = Jujutsu(brightest_colour, window=0.5, n_hosts=3, noise=0.02).fit(hosts())
    score = rival.score(np.array([attacked(), plain(10, 90, 20)]))
    # red 250 against the hosts' own 90: (250 - 90) / 10 on each, as no host is red itself
    np.testing.assert_allclose(score[0], 16.0, rtol=1e-5)
    # a plain green window on the two blue hosts: 90 and 90 are level
    np.testing.assert_allclose(score[1], 0.0, atol=1e-5)


def test_hosts_with_the_label_itself_do_not_count(brightest_colour):
    red = np.array([plain(200, 0, 0), plain(10, 90, 20)])
    rival = Jujutsu(brightest_colour, window=0.5, n_hosts=2, noise=0.0).fit(red)
    np.testing.assert_allclose(rival.score(attacked()[None]), [16.0], rtol=1e-5)


def test_hosts_of_different_labels_come_first(brightest_colour):
    many = np.array([plain(10, 90, 20)] * 5 + [plain(10, 20, 90)])
    rival = Jujutsu(brightest_colour, window=0.5, n_hosts=2).fit(many)
    red = rival.score(attacked()[None])
    np.testing.assert_allclose(red, [16.0], rtol=1e-5)
    np.testing.assert_array_equal(np.sort(rival._hosts.labels), [1, 2])


def test_the_window_lies_where_the_host_shows_least(brightest_colour):
    host = plain(60, 80, 20)
    host[0:3, 0:3, 1] = 200  # what its label rests on
    rival = Jujutsu(brightest_colour, window=0.5, n_hosts=1, noise=0.0).fit(host[None])
    window = attacked()
    window[4:8, 4:8, 0] = 190  # less than the host's own 200, if that stays uncovered
    np.testing.assert_allclose(rival.score(window[None]), [(190 - 200) / 10], rtol=1e-4)


@pytest.mark.parametrize("size", [0.2, 0.5, 0.9])
def test_windows_stay_inside(small_classifier, images, size):
    rival = Jujutsu(small_classifier, window=size, n_hosts=3).fit(images)
    assert np.isfinite(rival.score(images)).all()
