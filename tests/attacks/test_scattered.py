"""A patch in many pieces."""

import numpy as np
import pytest
from small_detector import build_small_classifier, draw_images

from tf_taintradar.attacks import ScatteredPatch
from tf_taintradar.attacks.masks import scattered_mask
from tf_taintradar.classifier import open_classifier


def n_pieces_of(mask):
    """Connected pieces, counted by filling them one after another."""
    left, count = {tuple(place) for place in np.argwhere(mask)}, 0
    while left:
        count, front = count + 1, [left.pop()]
        while front:
            row, column = front.pop()
            near = {(row + i, column + j) for i, j in ((0, 1), (1, 0), (0, -1), (-1, 0))} & left
            left -= near
            front += near
    return count


@pytest.mark.parametrize(("n", "area"), [(1, 0.1), (4, 0.07), (12, 0.07)])
def test_pieces_cover_the_area_without_overlap(n, area):
    mask = scattered_mask((96, 120), n_pieces=n, area=area, seed=3)
    assert mask.shape == (96, 120)
    assert mask.mean() == pytest.approx(area, rel=0.1)
    assert n_pieces_of(mask) <= n  # two may touch
    other = scattered_mask((96, 120), n_pieces=n, area=area, seed=4)
    assert (mask != other).any()
    np.testing.assert_array_equal(mask, scattered_mask((96, 120), n_pieces=n, area=area, seed=3))


def test_it_fools_a_classifier_and_paints_nothing_else():
    classifier, images = build_small_classifier(), draw_images(7)
    attack = ScatteredPatch(classifier, target_class=2, n_pieces=4, area=0.3, steps=60)
    result = attack.partial(images, verbose=0)
    assert result.success.mean() >= 0.5
    outside = scattered_mask((24, 16), n_pieces=4, area=0.3, seed=0) == 0
    np.testing.assert_array_equal(result.images[:, outside], images[:, outside])
    again = ScatteredPatch(
        open_classifier(classifier), target_class=2, n_pieces=4, area=0.3, steps=60
    )
    np.testing.assert_array_equal(again.partial(images, verbose=0).patches, result.patches)
    assert repr(attack) == (
        "ScatteredPatch(target_class=2, n_pieces=4, area=0.3, steps=60, learning_rate=16.0, seed=0)"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_pieces": 0}, "`n_pieces` must be an integer of at least 1"),
        ({"area": 0.6}, r"`area` must be a fraction in \(0, 0.5\]"),
        ({"n_pieces": 3, "area": 0.5}, "patches of .* pixels"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        ScatteredPatch(build_small_classifier(), target_class=2, **settings)
