"""Finished patches on images, worked out by hand."""

import numpy as np
import pytest

from tf_taintradar.attacks.apply_and_classify import apply_and_classify, classify, groups_of
from tf_taintradar.attacks.pasting import Pasting
from tf_taintradar.attacks.placement import Placement
from tf_taintradar.classifier import open_classifier

MASK = np.array([[1, 1], [1, 0]], np.uint8)


@pytest.fixture
def opened(small_classifier):
    return open_classifier(small_classifier)


@pytest.mark.parametrize("batch_size", [2, 16])
@pytest.mark.parametrize("n_patches", [1, 3])
def test_each_image_gets_its_patch_where_the_mask_paints(
    opened, small_classifier, images, batch_size, n_patches
):
    images = images[:3].astype(np.float32)
    patches = np.arange(n_patches * 12, dtype=np.uint8).reshape(n_patches, 2, 2, 3)
    corners = np.array([[[0, 0]], [[3, 4]], [[22, 14]]], np.int32)
    pasting = Pasting(MASK, Placement("random", 1, MASK.shape, images.shape[1:3]))
    attacked, labels = apply_and_classify(
        opened, pasting, patches, images, corners, batch_size=batch_size
    )
    expected = images.copy()
    for i, (row, column) in enumerate(corners[:, 0]):
        patch = patches[i % n_patches]
        expected[i, row, column : column + 2] = patch[0]
        expected[i, row + 1, column] = patch[1, 0]
    np.testing.assert_array_equal(attacked, expected)
    assert attacked.dtype == np.uint8
    np.testing.assert_array_equal(labels, small_classifier(expected).numpy().argmax(axis=1))
    assert labels.dtype == np.int32


def test_labels_do_not_depend_on_the_batches(opened, small_classifier, images):
    pixels = images.astype(np.float32)
    expected = small_classifier(pixels).numpy().argmax(axis=1)
    for batch_size in (1, 3, 7, 100):
        np.testing.assert_array_equal(classify(opened, pixels, batch_size=batch_size), expected)


def test_groups_cover_all_images():
    assert groups_of(7, 3) == [slice(0, 3), slice(3, 6), slice(6, 9)]
    assert groups_of(6, 3) == [slice(0, 3), slice(3, 6)]
