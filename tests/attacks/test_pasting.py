"""How patches get into images, worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from tf_taintradar.attacks import Transformations
from tf_taintradar.attacks.masks import make_mask
from tf_taintradar.attacks.pasting import Pasting, TransformedPasting
from tf_taintradar.attacks.placement import Placement

RNG = np.random.default_rng(0)


def noise(*shape):
    return RNG.uniform(0, 255, shape).astype(np.float32)


def pasting(mask, n_patches=1, image_size=(6, 10)):
    return Pasting(mask, Placement("random", n_patches, mask.shape, image_size))


@pytest.mark.parametrize("n_given", [1, 3])
def test_pasted_pixels_are_the_patch_and_the_others_the_image(n_given):
    images, patches = noise(3, 6, 10, 3), noise(n_given, 4, 4, 3)
    top_left = np.array([[0, 0], [2, 6], [1, 3]], np.int32)  # the second touches the last corner
    mask = make_mask("disk", 4)
    expected = images.copy()
    for i, (row, column) in enumerate(top_left):
        for r, c in np.argwhere(mask):
            expected[i, row + r, column + c] = patches[i % n_given, r, c]
    np.testing.assert_array_equal(
        pasting(mask).paste(images, patches, (top_left[:, None],)), expected
    )


def test_what_lies_outside_the_mask_never_shows():
    images, patches = noise(1, 6, 10, 1), noise(1, 4, 4, 1)
    mask = make_mask("disk", 4)
    corners = patches.copy()
    corners[:, mask == 0] = 99
    pose = (np.array([[[1, 2]]], np.int32),)
    np.testing.assert_array_equal(
        pasting(mask).paste(images, corners, pose), pasting(mask).paste(images, patches, pose)
    )


def test_gradients_reach_the_patch_under_the_mask_and_the_image_around_it():
    images, patches = tf.constant(noise(2, 6, 10, 3)), tf.constant(noise(2, 4, 4, 3))
    weights = noise(2, 6, 10, 3)
    top_left = np.array([[2, 6], [1, 3]], np.int32)
    mask = make_mask("disk", 4)
    with tf.GradientTape() as tape:
        tape.watch([images, patches])
        total = tf.reduce_sum(pasting(mask).paste(images, patches, (top_left[:, None],)) * weights)
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
    square = pasting(np.ones((2, 2), np.uint8), image_size=(5, 5))
    with tf.GradientTape() as tape:
        tape.watch(patch)
        pasted = square.paste(tf.zeros((3, 5, 5, 1)), patch, (top_left[:, None],))
        total = tf.reduce_sum(pasted * weights)
    windows = [weights[i, r : r + 2, c : c + 2] for i, (r, c) in enumerate(top_left)]
    np.testing.assert_allclose(tape.gradient(total, patch)[0], sum(windows), rtol=1e-6)


def test_two_copies_of_a_patch_on_one_image():
    images, patches, mask = noise(1, 6, 10, 3), noise(1, 2, 2, 3), np.ones((2, 2), np.uint8)
    pasted = pasting(mask, n_patches=2).paste(
        images, patches, (np.array([[[0, 0], [3, 8]]], np.int32),)
    )
    expected = images.copy()
    expected[0, 0:2, 0:2] = expected[0, 3:5, 8:10] = patches[0]
    np.testing.assert_array_equal(pasted, expected)


def transformed(mask, transformations=None, place="random", sizes=(1.0,), n=1):
    placement = Placement(place, n, mask.shape, (12, 16))
    return TransformedPasting(mask, placement, transformations or Transformations(), sizes)


def test_without_transformations_nothing_differs_from_plain_pasting():
    mask = make_mask("disk", 5)
    images, patches = noise(4, 12, 16, 3), noise(4, 5, 5, 3)
    warped = transformed(mask)
    pose = warped.draw(4, np.random.default_rng(3), None)
    corner = np.rint(pose[0] - 2).astype(np.int32)  # the centre of 5 pixels is the third
    plain = Pasting(mask, Placement("random", 1, mask.shape, (12, 16)))
    np.testing.assert_allclose(
        warped.paste(images, patches, pose), plain.paste(images, patches, (corner,)), atol=1e-3
    )


def test_a_quarter_turn_turns_the_patch():
    mask = np.ones((4, 4), np.uint8)
    patch = noise(1, 4, 4, 1)
    angle = np.pi / 2
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], np.float32)
    pose = (
        np.array([[[5.5, 7.5]]], np.float32),
        turn[None, None],
        np.zeros(1, np.float32),
        np.zeros(2, np.int32),
    )
    pasted = transformed(mask).paste(tf.zeros((1, 12, 16, 1)), patch, pose)[0, 4:8, 6:10, 0]
    turned = [np.rot90(patch[0, ..., 0], k) for k in (1, 3)]
    assert min(np.abs(pasted - one).max() for one in turned) < 1e-3


def test_a_patch_at_half_its_size_covers_a_quarter_and_keeps_its_colour():
    mask = np.ones((8, 8), np.uint8)
    half = transformed(mask, Transformations(scale=(0.5, 0.5)))
    pose = half.draw(3, np.random.default_rng(0), None)
    pasted = half.paste(tf.zeros((3, 12, 16, 1)), tf.fill((1, 8, 8, 1), 200.0), pose).numpy()
    assert pasted.max() == pytest.approx(200, abs=1e-3)
    np.testing.assert_allclose(pasted.sum(axis=(1, 2, 3)) / 200, 16, atol=4)


@pytest.mark.parametrize(
    "place, corner", [("bottom_right", (8, 12)), ((4, 8), (4, 8)), ((2, 3), (2, 3))]
)
def test_a_smaller_patch_keeps_its_corner(place, corner):
    half = transformed(np.ones((8, 8), np.uint8), place=place, sizes=(0.5,))
    pose = half.draw(1, np.random.default_rng(0), None)
    pasted = half.paste(tf.zeros((1, 12, 16, 1)), tf.fill((1, 8, 8, 1), 255.0), pose)
    rows, columns = np.nonzero(np.asarray(pasted[0, ..., 0]) > 128)
    assert (rows.min(), columns.min()) == corner
    assert (rows.max(), columns.max()) == (corner[0] + 3, corner[1] + 3)


def test_each_copy_has_one_of_the_sizes():
    several = transformed(np.ones((4, 4), np.uint8), sizes=(0.5, 1.0), n=2)
    _, matrix, _, _ = several.draw(100, np.random.default_rng(0), None)
    factors = 1 / np.sqrt(np.linalg.det(matrix))
    np.testing.assert_allclose(np.unique(factors.round(3)), [0.5, 1.0])
    assert (factors[:, 0] != factors[:, 1]).any()


def test_poses_stay_in_their_ranges_and_use_them():
    settings = Transformations(scale=(0.6, 0.9), rotation=20, brightness=30)
    _, matrix, brightness, _ = transformed(np.ones((4, 4), np.uint8), settings).draw(
        2000, np.random.default_rng(0), None
    )
    scale = 1 / np.sqrt(np.linalg.det(matrix))
    angle = np.rad2deg(np.arctan2(matrix[..., 0, 1], matrix[..., 0, 0]))
    for values, low, high in ((scale, 0.6, 0.9), (angle, -20, 20), (brightness, -30, 30)):
        assert values.min() == pytest.approx(low, abs=0.02 * (high - low))
        assert values.max() == pytest.approx(high, abs=0.02 * (high - low))
        assert low - 1e-4 <= values.min() and values.max() <= high + 1e-4


def test_brightness_and_noise_change_the_patch_and_not_the_image():
    mask = make_mask("disk", 5)
    lit = transformed(mask, Transformations(brightness=20, noise=5), place=(3, 4))
    images = noise(50, 12, 16, 3)
    pasted = lit.paste(
        images,
        np.full((1, 5, 5, 3), 120.0, np.float32),
        lit.draw(50, np.random.default_rng(0), None),
    ).numpy()
    painted = np.zeros((12, 16), bool)
    painted[3:8, 4:9] = mask
    np.testing.assert_array_equal(pasted[:, ~painted], images[:, ~painted])
    means = pasted[:, painted].mean(axis=(1, 2))
    assert 8 < means.std() < 15  # uniform to either side by 20: 11.5
    assert 4 < (pasted[:, painted] - means[:, None, None]).std() < 6
    # the grain differs from image to image
    grain = pasted[:, painted] - means[:, None, None]
    assert abs(np.corrcoef(grain[0].ravel(), grain[1].ravel())[0, 1]) < 0.5


def test_gradients_reach_a_turned_patch_and_only_under_the_mask():
    mask = make_mask("disk", 6)
    turned = transformed(mask, Transformations(rotation=45, scale=(0.7, 1.0)))
    patch = tf.constant(noise(1, 6, 6, 3))
    pose = turned.draw(8, np.random.default_rng(0), None)
    with tf.GradientTape() as tape:
        tape.watch(patch)
        total = tf.reduce_sum(turned.paste(tf.zeros((8, 12, 16, 3)), patch, pose))
    gradient = tape.gradient(total, patch).numpy()[0]
    assert (gradient[mask == 1] > 0).all()
    np.testing.assert_array_equal(gradient[mask == 0], 0)


def test_no_image_depends_on_another():
    mask = make_mask("disk", 5)
    settings = Transformations(rotation=30, scale=(0.5, 1.0), brightness=20)
    turned = transformed(mask, settings)
    images, patches = noise(4, 12, 16, 3), noise(4, 5, 5, 3)
    centre, matrix, brightness, seed = turned.draw(4, np.random.default_rng(0), None)
    together = turned.paste(images, patches, (centre, matrix, brightness, seed))
    alone = turned.paste(
        images[2:3], patches[2:3], (centre[2:3], matrix[2:3], brightness[2:3], seed)
    )
    np.testing.assert_allclose(together[2:3], alone, atol=1e-4)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"scale": (0.0, 1.0)}, r"`scale` must be \(least, most\) with 0 < least .*\(0.0, 1.0\)"),
        ({"scale": (0.9, 0.5)}, r"`scale` must be"),
        ({"scale": (0.5, 1.5)}, r"`scale` must be"),
        ({"scale": (0.5,)}, r"`scale` must be"),
        ({"rotation": -1}, "`rotation` must be 0 or more. Received: -1"),
        ({"brightness": -0.1}, "`brightness` must be 0 or more"),
        ({"noise": float("nan")}, "`noise` must be 0 or more. Received: nan"),
    ],
    ids=str,
)
def test_transformations_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        Transformations(**settings)
