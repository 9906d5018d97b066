"""Digital watermark removal, by hand."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from small_detector import plain

from tf_taintradar.baselines import DigitalWatermarking
from tf_taintradar.baselines.watermarking import guided_saliency
from tf_taintradar.classifier.opened import open_classifier


def saliency(model, images):
    opened = open_classifier(model)
    step = tf.function(lambda x: guided_saliency(opened, x)[1], autograph=False)
    return step(tf.constant(images)).numpy()


def test_guided_backpropagation_passes_only_what_is_positive_both_ways(brightest_colour):
    # maximum over places: one place of the winning channel carries all; its kernel is 1, Dense 0.1
    image = plain(10, 20, 30)
    image[5, 7] = (200, 0, 0)
    expected = np.zeros((24, 16))
    expected[5, 7] = 0.1
    np.testing.assert_allclose(saliency(brightest_colour, image[None])[0], expected, atol=1e-6)
    weights = brightest_colour.get_weights()
    brightest_colour.set_weights([weights[0], -weights[1]])  # now a gradient below 0
    assert not saliency(brightest_colour, image[None]).any()


def test_it_shows_less_than_the_plain_gradient(small_classifier, images):
    shown = saliency(small_classifier, images.astype(np.float32))
    with tf.GradientTape() as tape:
        pixels = tf.constant(images, tf.float32)
        tape.watch(pixels)
        own = tf.reduce_max(open_classifier(small_classifier).logits(pixels), axis=-1)
    plain_gradient = np.abs(tape.gradient(own, pixels)).max(axis=-1)
    assert not np.allclose(shown, plain_gradient)
    assert (shown >= 0).all()


def test_dense_clusters_are_repainted_from_around(mean_colour):
    # mean colour: every pixel is as salient; all of the image is one cluster, nothing is repainted
    image = plain(200, 100, 50)
    rival = DigitalWatermarking(mean_colour)
    assert rival.clusters(image[None]).all()
    np.testing.assert_allclose(rival.score(image[None]), [(100 - 200) / 10], rtol=1e-5)


def test_a_cluster_goes_and_its_label_with_it(brightest_colour):
    image = plain(0, 100, 0)
    image[4:7, 4:7] = (250, 0, 0)
    settings = {"cluster": 1, "density": 1.0, "margin": 3, "radius": 2}
    rival = DigitalWatermarking(brightest_colour, **settings)
    found = rival.answer(image[None])
    clusters = rival.clusters(image[None])[0]
    assert clusters[4:7, 4:7].all()
    assert not clusters[12:].any()
    assert (found["label"], found["recovered_label"]) == (0, 1)
    np.testing.assert_allclose(found["score"], [10.0], atol=0.5)


def test_single_pixels_are_no_cluster(brightest_colour):
    image = plain(0, 100, 0)
    image[5, 5] = (250, 0, 0)
    rival = DigitalWatermarking(brightest_colour, cluster=5, density=0.5)
    assert not rival.clusters(image[None]).any()
    np.testing.assert_allclose(rival.score(image[None]), [(100 - 250) / 10], rtol=1e-5)


def test_without_opencv_it_says_how_to_get_it(brightest_colour, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match=r'pip install "tf_taintradar\[baselines\]"'):
        DigitalWatermarking(brightest_colour)
