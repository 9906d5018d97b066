"""What makes a patch printable, worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from tf_taintradar.attacks import Penalties
from tf_taintradar.attacks.penalties import PRINTABLE, non_printability, total_variation

SQUARE = np.ones((2, 2), np.uint8)


def test_a_plain_patch_has_no_variation():
    assert total_variation(np.full((1, 4, 4, 3), 90.0), np.ones((4, 4), np.uint8))[0] < 2e-4


def test_an_edge_from_black_to_white():
    # of the four pixels one has both neighbours: black, white to its right, black below
    patch = np.array([[0, 255], [0, 255]], float)[None, ..., None]
    np.testing.assert_allclose(total_variation(patch, SQUARE), [1], atol=1e-6)
    # white on both sides: the square root of 1 + 1
    patch = np.array([[0, 255], [255, 0]], float)[None, ..., None]
    np.testing.assert_allclose(total_variation(patch, SQUARE), [np.sqrt(2)], atol=1e-6)


def test_edges_to_pixels_that_are_not_painted_are_free():
    mask = np.array([[1, 1, 0], [1, 1, 0], [1, 1, 0]], np.uint8)
    patch = np.full((1, 3, 3, 3), 255.0)
    patch[..., 2, :] = 0
    assert total_variation(patch, mask)[0] < 2e-4


def test_printable_colors_cost_nothing_and_others_their_distance():
    colors = ((0.0, 0.0, 0.0), (255.0, 0.0, 0.0))
    patch = np.zeros((2, 2, 2, 3))
    patch[0, 0] = (255, 0, 0)
    patch[1, 0] = (0, 51, 0)  # 0.2 from black, on half of the pixels
    cost = non_printability(patch.astype(np.float32), SQUARE, colors)
    np.testing.assert_allclose(cost, [0, 0.1], atol=2e-4)


def test_pixels_that_are_not_painted_need_not_be_printable():
    mask = np.array([[1, 0], [0, 0]], np.uint8)
    patch = np.full((1, 2, 2, 3), 115, np.float32)
    patch[0, 1] = 255
    assert non_printability(patch, mask, PRINTABLE)[0] < 2e-4


def test_weights_add_up_and_are_off_by_default():
    patch = tf.constant(np.random.default_rng(0).uniform(0, 255, (3, 2, 2, 3)), tf.float32)
    np.testing.assert_array_equal(Penalties().of(patch, SQUARE), np.zeros(3))
    both = 2 * total_variation(patch, SQUARE) + 3 * non_printability(patch, SQUARE, PRINTABLE)
    found = Penalties(smoothness=2, printability=3).of(patch, SQUARE)
    np.testing.assert_allclose(found, both, rtol=1e-6)


def test_gradients_are_finite_on_a_plain_printable_patch():
    patch = tf.constant(115.0, shape=(1, 3, 3, 3))
    with tf.GradientTape() as tape:
        tape.watch(patch)
        cost = Penalties(smoothness=1, printability=1).of(patch, np.ones((3, 3), np.uint8))
    assert np.isfinite(tape.gradient(cost, patch)).all()


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"smoothness": -1}, "`smoothness` must be 0 or more. Received: -1"),
        ({"printability": float("nan")}, "`printability` must be 0 or more. Received: nan"),
        ({"colors": ()}, "`colors` must be RGB colors"),
        ({"colors": ((0, 0),)}, "`colors` must be RGB colors"),
        ({"colors": ((0, 0, 256),)}, "`colors` must be RGB colors"),
    ],
    ids=str,
)
def test_penalties_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        Penalties(**settings)
