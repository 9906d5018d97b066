"""Ordinary glasses on photographs."""

import numpy as np
import pytest
from small_detector import draw_images

from tf_taintradar.attacks.masks import eyeglasses_mask
from tf_taintradar.attacks.plain import COLORS, THICKNESSES
from tf_taintradar.errors import ImageError
from tf_taintradar.faces import plain_glasses

FACES = np.full((300, 64, 48, 3), 128, np.uint8)


def test_each_photograph_wears_one_frame_of_one_color():
    frames = [eyeglasses_mask((64, 48), thickness=t) > 0 for t in THICKNESSES]
    assert frames[0].sum() < frames[1].sum() < frames[2].sum()
    drawn = set()
    for image in plain_glasses(FACES):
        painted = (image != 128).any(axis=-1)
        thickness = next(i for i, frame in enumerate(frames) if (frame == painted).all())
        (color,) = np.unique(image[painted], axis=0)
        drawn.add((COLORS.index(tuple(color.tolist())), thickness))
    assert len(drawn) == len(COLORS) * len(THICKNESSES)


def test_the_seed_decides_and_the_photographs_stay():
    first, again, other = (plain_glasses(FACES, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (FACES == 128).all()
    assert first.dtype == np.uint8


def test_floats_are_rounded():
    images = draw_images(3).clip(1, 254)
    np.testing.assert_array_equal(plain_glasses(images + 0.25), plain_glasses(images))


def test_the_eye_line_and_the_width_place_them():
    low = plain_glasses(FACES[:1], eye_line=0.6, width=0.5)[0]
    rows, columns = np.nonzero((low != 128).any(axis=-1))
    assert rows.min() > 0.45 * 64
    assert columns.max() - columns.min() == pytest.approx(24, abs=2)


def test_what_are_no_photographs():
    with pytest.raises(ValueError, match=r"`images` must be photographs of shape \(n, H, W, 3\)"):
        plain_glasses(FACES[0])
    with pytest.raises(ImageError):
        plain_glasses(FACES.astype(np.float32) * 3)
    with pytest.raises(ValueError, match="`eye_line` and `width` must leave the glasses inside"):
        plain_glasses(FACES, eye_line=0.05)
