"""The shapes of patches, worked out by hand."""

import numpy as np
import pytest
from PIL import Image

from tf_taintradar.attacks.masks import SHAPES, eyeglasses_mask, make_mask
from tf_taintradar.errors import ImageError

DISK_6 = [
    [0, 1, 1, 1, 1, 0],
    [1, 1, 1, 1, 1, 1],
    [1, 1, 1, 1, 1, 1],
    [1, 1, 1, 1, 1, 1],
    [1, 1, 1, 1, 1, 1],
    [0, 1, 1, 1, 1, 0],
]


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


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("diameter", [1, 2, 7, 50])
def test_every_shape_has_every_size(shape, diameter):
    if shape in ("star", "lightning") and diameter < 7:
        return  # may paint nothing: see below
    mask = make_mask(shape, diameter)
    assert mask.shape == (diameter, diameter)
    assert set(np.unique(mask)) <= {0, 1} and mask.any()


def test_a_star_has_five_points_and_mirror_symmetry():
    star = make_mask("star", 100)
    assert (star != star[:, ::-1]).mean() < 0.005  # the drawing rounds at the edges
    angles = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    row, column = (np.rint(49.5 + 38 * f(angles)).astype(int) for f in (np.sin, np.cos))
    ring = star[row, column].astype(int)  # between the inner and the outer radius
    assert (np.diff(ring, append=ring[0]) == 1).sum() == 5
    # area of a five-pointed star with radii 50 and 20: 5 * 50 * 20 * sin(36 degrees)
    assert star.sum() == pytest.approx(5 * 50 * 20 * np.sin(np.pi / 5), rel=0.01)


def test_a_bolt_of_lightning_is_one_piece_from_top_to_bottom():
    bolt = make_mask("lightning", 64)
    assert bolt[1:-1].any(axis=1).all()  # its tips are thinner than half a pixel
    assert 0.1 < bolt.mean() < 0.4
    for row in bolt[1:-1]:
        assert (np.diff(row.astype(int), prepend=0) == 1).sum() == 1  # one run in each row


def test_an_array_is_painted_where_it_is_not_zero():
    np.testing.assert_array_equal(make_mask(np.array([[0, 0.5], [255, 0]]), 2), [[0, 1], [1, 0]])
    np.testing.assert_array_equal(make_mask([[[True], [False]]], 2), [[1, 0]])


def test_an_array_is_resized_to_the_diameter_along_its_longer_side():
    np.testing.assert_array_equal(make_mask(np.eye(2), 4), np.kron(np.eye(2), np.ones((2, 2))))
    assert make_mask(np.ones((10, 30)), 6).shape == (2, 6)
    assert make_mask(np.ones((300, 1)), 6).shape == (6, 1)


def test_a_picture_is_painted_where_it_is_opaque(tmp_path):
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[..., 3] = [[255, 255], [0, 1]]
    pixels[..., 0] = [[0, 9], [9, 9]]
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(make_mask(tmp_path / "mask.png", 2), [[1, 1], [0, 1]])
    np.testing.assert_array_equal(make_mask(str(tmp_path / "mask.png"), 2), [[1, 1], [0, 1]])


def test_a_picture_without_transparency_is_painted_where_it_is_not_black(tmp_path):
    Image.fromarray(np.array([[0, 9], [255, 0]], np.uint8)).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(make_mask(tmp_path / "mask.png", 2), [[0, 1], [1, 0]])


@pytest.mark.parametrize("shape", ["circle", "", None, 3, np.ones(4), np.ones((2, 2, 3)), [["a"]]])
def test_what_is_no_shape(shape):
    with pytest.raises(ValueError, match="`shape` must be one of disk, square, star, lightning,"):
        make_mask(shape, 3)


@pytest.mark.parametrize("shape", ["star", np.zeros((4, 4))], ids=str)
def test_a_shape_that_paints_nothing(shape):
    with pytest.raises(ValueError, match="`shape` must paint a pixel at a diameter of 1\\."):
        make_mask(shape, 1)


def test_a_file_that_is_no_picture(tmp_path):
    (tmp_path / "mask.png").write_text("no picture")
    with pytest.raises(ImageError, match=r"`shape`: .*mask.png' cannot be read as a picture"):
        make_mask(tmp_path / "mask.png", 3)


@pytest.mark.parametrize("size", [224, 96, 160])
def test_glasses_cover_6_to_7_per_cent_as_in_the_paper(size):
    mask = eyeglasses_mask((size, size))
    assert 0.06 < mask.mean() < 0.07
    assert (mask != mask[:, ::-1]).mean() < 0.005  # the drawing rounds at the edges


def test_glasses_have_two_holes_where_the_eyes_are():
    mask = eyeglasses_mask((200, 200))
    row = mask[84]  # the eye line, at 0.42
    runs = np.flatnonzero(np.diff(row.astype(int), prepend=0) == 1)
    assert len(runs) == 4  # left rim, its inner side (one with the bridge), and so on
    for column in (62, 138):  # the eyes
        assert not mask[74:96, column - 15 : column + 15].any()


def test_glasses_follow_the_eye_line_and_the_width():
    mask = eyeglasses_mask((100, 200), eye_line=0.6, width=0.5)
    rows, columns = np.nonzero(mask)
    assert columns.min() == pytest.approx(50, abs=1) and columns.max() == pytest.approx(149, abs=1)
    assert rows.mean() == pytest.approx(60, abs=3)


@pytest.mark.parametrize("settings", [{"eye_line": 0.05}, {"eye_line": 0.95}, {"width": 1.1}])
def test_glasses_outside_the_image(settings):
    with pytest.raises(ValueError, match="`eye_line` and `width` must leave the glasses inside"):
        eyeglasses_mask((100, 100), **settings)


def test_glasses_too_small_to_draw():
    with pytest.raises(ValueError, match="`width` must be large enough"):
        eyeglasses_mask((8, 8), width=0.01)


def test_thick_rims_hold_the_usual_ones_which_hold_thin_ones():
    thin, usual, thick = (eyeglasses_mask((112, 112), thickness=t) for t in (0.02, 0.032, 0.1))
    assert (thin <= usual).all()
    assert (usual <= thick).all()
    assert thin.sum() < usual.sum() < thick.sum()
    np.testing.assert_array_equal(usual, eyeglasses_mask((112, 112)))
    for thickness in (0.0, 0.2):
        with pytest.raises(ValueError, match="`thickness` must be a fraction in"):
            eyeglasses_mask((112, 112), thickness=thickness)
