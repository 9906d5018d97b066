"""Local gradients smoothing, by hand."""

import numpy as np
import pytest
import tensorflow as tf
from small_detector import plain

from tf_taintradar.baselines import LocalGradientsSmoothing
from tf_taintradar.baselines.local_gradients_smoothing import edges


def test_edges_of_a_step():
    image = plain(0, 0, 0)
    image[:, 8:] = 200
    found = edges(tf.constant(image[None]))[0, ..., 0].numpy()
    assert (found[:, 7] == 1).all()
    assert (np.delete(found, 7, axis=1) == 0).all()


def test_a_plain_image_has_no_edges_and_stays_as_it_is(mean_colour):
    image = plain(10, 20, 30)[None]
    assert not edges(tf.constant(image)).numpy().any()
    np.testing.assert_array_equal(LocalGradientsSmoothing(mean_colour).smooth(image), image)


def test_only_blocks_with_many_edges_are_darkened(mean_colour):
    image = plain(100, 100, 100)
    image[2:6, 2:6] = 255 * ((np.indices((4, 4)).sum(axis=0) % 2)[..., None])  # a chequered patch
    image[20, 12] = 255  # a single bright pixel
    lgs = LocalGradientsSmoothing(mean_colour, block=8, overlap=4, threshold=0.1)
    smooth = lgs.smooth(tf.constant(image[None]))[0].numpy()
    assert (smooth[2:6, 2:6].sum(axis=(0, 1)) < 0.2 * image[2:6, 2:6].sum(axis=(0, 1))).all()
    np.testing.assert_array_equal(smooth[9:], image[9:])


@pytest.mark.parametrize(("block", "overlap"), [(15, 5), (5, 0), (16, 3), (24, 8), (40, 1)])
def test_every_pixel_lies_in_a_block(mean_colour, block, overlap):
    noise = np.random.default_rng(0).integers(0, 256, (1, 24, 16, 3)).astype(np.float32)
    lgs = LocalGradientsSmoothing(
        mean_colour, block=block, overlap=overlap, threshold=0.0, smoothing=1.0
    )
    expected = noise * (1 - edges(tf.constant(noise)))
    np.testing.assert_allclose(lgs.smooth(tf.constant(noise)), expected, rtol=1e-5, atol=1e-3)


def test_the_score_is_the_lead_of_the_other_label_on_the_smoothed_image(mean_colour):
    image = plain(0, 60, 0)
    image[4:12, 2:10] = 255 * np.array([1, 0, 0]) * (np.indices((8, 8)).sum(0) % 2)[..., None]
    image[4:12, 2:10] += 255 * np.array([1, 0, 1]) * (np.indices((8, 8)).sum(0) % 2 == 0)[..., None]
    image = np.minimum(image, 255)
    image[4:12, 2:10, 0] = 255 * (1 + (np.indices((8, 8)).sum(0) % 2)) / 2
    lgs = LocalGradientsSmoothing(mean_colour, block=6, overlap=2)
    found = lgs.answer(image[None])
    logits = lgs.smooth(tf.constant(image[None])).numpy().mean(axis=(1, 2))[0] / 10
    label = int(image.mean(axis=(0, 1)).argmax())
    others = np.delete(logits, label)
    assert found["label"] == label
    np.testing.assert_allclose(found["score"], [others.max() - logits[label]], rtol=1e-4)
    assert found["recovered_label"] == logits.argmax()


def test_overlapping_blocks_see_what_lies_across_a_border(mean_colour):
    image = plain(100, 100, 100)
    image[6:10, 6:10] = 255 * ((np.indices((4, 4)).sum(axis=0) % 2)[..., None])
    gradients = edges(tf.constant(image[None]))[0, ..., 0].numpy()
    whole, quarters = gradients[4:12, 4:12].mean(), gradients[:8, :8].mean()
    between = (whole + max(quarters, gradients[8:16, 8:16].mean())) / 2
    for overlap, changes in ((4, True), (0, False)):
        lgs = LocalGradientsSmoothing(mean_colour, block=8, overlap=overlap, threshold=between)
        smooth = lgs.smooth(tf.constant(image[None]))[0].numpy()
        assert (smooth != image).any() == changes
