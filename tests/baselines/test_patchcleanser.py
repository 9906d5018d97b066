"""PatchCleanser's first round, by hand."""

import numpy as np
import pytest
from small_detector import plain

from tf_taintradar.baselines import PatchCleanser
from tf_taintradar.baselines.patchcleanser import cover


@pytest.mark.parametrize("patch_size", [0.1, 0.17, 0.4, 0.9])
@pytest.mark.parametrize("n_masks", [1, 2, 6, 30])
def test_a_mask_covers_the_patch_wherever_it_lies(patch_size, n_masks):
    size = (24, 17)
    masks = cover(size, patch_size, n_masks)
    height, width = (max(1, round(patch_size * side)) for side in size)
    for top in range(size[0] - height + 1):
        for left in range(size[1] - width + 1):
            assert masks[:, top : top + height, left : left + width].all(axis=(1, 2)).any()
    assert len(masks) <= n_masks**2


def test_masks_by_hand():
    masks = cover((10, 10), 0.3, 2)  # patch 3, stride ceil(8 / 2) = 4, mask 6: rows 0-5 and 4-9
    assert len(masks) == 4
    rows = [(0, 6), (4, 10)]
    for mask, (down, across) in zip(masks, [(a, b) for a in rows for b in rows], strict=True):
        assert mask.sum() == 36
        assert mask[slice(*down), slice(*across)].all()


def test_a_small_thing_that_decides_is_seen(brightest_colour):
    image = plain(10, 90, 20)
    image[3:5, 3:5, 0] = 240
    attacked, benign = image[None], plain(10, 90, 20)[None]
    found = PatchCleanser(brightest_colour, patch_size=0.15, n_masks=3, color=0).answer(attacked)
    assert found["label"] == 0
    np.testing.assert_allclose(found["score"], [8.0], rtol=1e-5)  # (90 - 10) / 10, red gone
    assert found["recovered_label"] == 1
    calm = PatchCleanser(brightest_colour, patch_size=0.15, n_masks=3, color=0).answer(benign)
    assert (calm["label"], calm["recovered_label"]) == (1, 1)
    np.testing.assert_allclose(calm["score"], [-7.0], rtol=1e-5)  # green leads under every mask
