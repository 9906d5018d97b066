"""Where an attacker may paint, worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from tf_taintradar.attacks.placement import corner_range, make_mask, paste

RNG = np.random.default_rng(0)
DISK_6 = [
    [0, 1, 1, 1, 1, 0],
    [1, 1, 1, 1, 1, 1],
    [1, 1, 1, 1, 1, 1],
    [1, 1, 1, 1, 1, 1],
    [1, 1, 1, 1, 1, 1],
    [0, 1, 1, 1, 1, 0],
]


def noise(*shape):
    return RNG.uniform(0, 255, shape).astype(np.float32)


def test_a_disk_of_six_lacks_its_corners():
    # centres lie at +-0.5, 1.5, 2.5: only the corners, 2.5^2 + 2.5^2 = 12.5 > 3^2, are outside
    np.testing.assert_array_equal(make_mask("disk", 6), DISK_6)


@pytest.mark.parametrize("diameter, painted", [(1, 1), (2, 4), (3, 9), (4, 12), (5, 21)])
def test_pixels_of_small_disks(diameter, painted):
    mask = make_mask("disk", diameter)
    assert mask.dtype == np.uint8
    assert mask.sum() == painted
    np.testing.assert_array_equal(mask, mask[::-1])
    np.testing.assert_array_equal(mask, mask.T)


def test_a_square_is_painted_everywhere():
    np.testing.assert_array_equal(make_mask("square", 3), np.ones((3, 3)))


def test_an_unknown_shape_names_the_known_ones():
    with pytest.raises(ValueError, match=r'`shape` must be "disk" or "square"; received \'star\''):
        make_mask("star", 3)


@pytest.mark.parametrize(
    "place, first, last",
    [
        ("random", (0, 0), (4, 7)),
        ("bottom_right", (4, 7), (4, 7)),
        ((0, 7), (0, 7), (0, 7)),
        (np.array([4, 0]), (4, 0), (4, 0)),
    ],
)
def test_corners_of_a_2x3_patch_on_a_6x10_image(place, first, last):
    assert corner_range(place, (2, 3), (6, 10)) == (first, last)


def test_a_patch_as_large_as_the_image_has_one_place():
    assert corner_range("random", (6, 10), (6, 10)) == ((0, 0), (0, 0))


@pytest.mark.parametrize("place", ["top_left", "", None, 3, (1,), (1, 2, 3), (0.5, 1)])
def test_what_is_no_place(place):
    with pytest.raises(ValueError, match='`place` must be "random", "bottom_right" or'):
        corner_range(place, (2, 3), (6, 10))


@pytest.mark.parametrize("corner", [(-1, 0), (0, -1), (5, 0), (0, 8)])
def test_a_place_outside_the_image_names_the_last_one_inside(corner):
    with pytest.raises(ValueError, match=r"from \(0, 0\) to \(4, 7\); received"):
        corner_range(corner, (2, 3), (6, 10))


@pytest.mark.parametrize("patch_size", [(7, 3), (2, 11)])
def test_a_patch_larger_than_the_image(patch_size):
    with pytest.raises(ValueError, match="larger than the image of 6x10"):
        corner_range("random", patch_size, (6, 10))


@pytest.mark.parametrize("n_patches", [1, 3])
def test_pasted_pixels_are_the_patch_and_the_others_the_image(n_patches):
    images, patches = noise(3, 6, 10, 3), noise(n_patches, 4, 4, 3)
    top_left = np.array([[0, 0], [2, 6], [1, 3]], np.int32)  # the second touches the last corner
    mask = make_mask("disk", 4)
    expected = images.copy()
    for i, (row, column) in enumerate(top_left):
        for r, c in np.argwhere(mask):
            expected[i, row + r, column + c] = patches[i % n_patches, r, c]
    np.testing.assert_array_equal(paste(images, patches, mask, top_left), expected)


def test_what_lies_outside_the_mask_never_shows():
    images, patches = noise(1, 6, 10, 1), noise(1, 4, 4, 1)
    mask = make_mask("disk", 4)
    corners = patches.copy()
    corners[:, mask == 0] = 99
    place = np.array([[1, 2]], np.int32)
    np.testing.assert_array_equal(
        paste(images, corners, mask, place), paste(images, patches, mask, place)
    )


def test_gradients_reach_the_patch_under_the_mask_and_the_image_around_it():
    images, patches = tf.constant(noise(2, 6, 10, 3)), tf.constant(noise(2, 4, 4, 3))
    weights = noise(2, 6, 10, 3)
    top_left = np.array([[2, 6], [1, 3]], np.int32)
    mask = make_mask("disk", 4)
    with tf.GradientTape() as tape:
        tape.watch([images, patches])
        total = tf.reduce_sum(paste(images, patches, mask, top_left) * weights)
    to_images, to_patches = tape.gradient(total, [images, patches])
    outside = weights.copy()
    for i, (row, column) in enumerate(top_left):
        window = (i, slice(row, row + 4), slice(column, column + 4))
        np.testing.assert_array_equal(to_patches[i], weights[window] * mask[..., None])
        outside[window] *= 1 - mask[..., None]
    np.testing.assert_array_equal(to_images, outside)


def test_a_shared_patch_gathers_the_gradients_of_all_images():
    patch = tf.constant(noise(1, 2, 2, 1))
    weights = noise(3, 5, 5, 1)
    top_left = np.array([[0, 0], [3, 3], [1, 2]], np.int32)
    with tf.GradientTape() as tape:
        tape.watch(patch)
        pasted = paste(tf.zeros((3, 5, 5, 1)), patch, np.ones((2, 2)), top_left)
        total = tf.reduce_sum(pasted * weights)
    windows = [weights[i, r : r + 2, c : c + 2] for i, (r, c) in enumerate(top_left)]
    np.testing.assert_allclose(tape.gradient(total, patch)[0], sum(windows), rtol=1e-6)
