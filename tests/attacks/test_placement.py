"""Where patches lie, worked out by hand."""

import numpy as np
import pytest

from tf_taintradar.attacks.placement import Placement, corner_range


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
    with pytest.raises(ValueError, match=r"from \(0, 0\) to \(4, 7\)\. Received:"):
        corner_range(corner, (2, 3), (6, 10))


@pytest.mark.parametrize("patch_size", [(7, 3), (2, 11)])
def test_a_patch_larger_than_the_image(patch_size):
    with pytest.raises(ValueError, match="larger than the image of 6x10"):
        corner_range("random", patch_size, (6, 10))


def draw(place, n_patches=1, n_images=500, patch_size=(2, 3), image_size=(6, 10)):
    placement = Placement(place, n_patches, patch_size, image_size)
    return placement.draw(n_images, np.random.default_rng(0))


def test_random_places_cover_the_image_and_stay_inside():
    places = draw("random", n_images=2000)
    assert places.shape == (2000, 1, 2) and places.dtype == np.int32
    np.testing.assert_array_equal(np.unique(places[..., 0]), np.arange(5))
    np.testing.assert_array_equal(np.unique(places[..., 1]), np.arange(8))


@pytest.mark.parametrize("place, corner", [("bottom_right", (4, 7)), ((1, 2), (1, 2))])
def test_a_fixed_place_is_the_same_on_all_images(place, corner):
    assert (draw(place, n_images=3) == corner).all()


@pytest.mark.parametrize("n_patches", [2, 4])
def test_several_patches_do_not_overlap(n_patches):
    places = draw("random", n_patches)
    assert places.shape == (500, n_patches, 2)
    for corners in places:
        painted = np.zeros((6, 10), int)
        for row, column in corners:
            painted[row : row + 2, column : column + 3] += 1
        assert painted.max() == 1 and painted.sum() == 6 * n_patches
    assert len(np.unique(places.reshape(500, -1), axis=0)) > 100


def test_several_fixed_places():
    places = draw([(0, 0), (4, 7)], n_patches=2, n_images=3)
    np.testing.assert_array_equal(places, [[(0, 0), (4, 7)]] * 3)


@pytest.mark.parametrize("place", [(0, 0), [(0, 0)], [(0, 0), (1, 4), (3, 5)]], ids=str)
def test_as_many_places_as_patches(place):
    with pytest.raises(ValueError, match="`place` must be one place for each of 2 patches"):
        draw(place, n_patches=2)


@pytest.mark.parametrize(
    "place, n_patches", [("random", 10), ("bottom_right", 2), ([(0, 0), (1, 2)], 2)], ids=str
)
def test_patches_that_overlap(place, n_patches):
    with pytest.raises(ValueError, match="patches of 2x3 pixels overlap on images of 6x10, which"):
        draw(place, n_patches)


def test_patches_that_hardly_fit_are_given_up():
    with pytest.raises(ValueError, match="No places for 9 patches of 2x3 pixels without overlap"):
        draw("random", n_patches=9, n_images=50)
