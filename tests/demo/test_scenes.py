import numpy as np
import pytest

from tf_taintradar.demo.scenes import CLASS_NAMES, draw_scenes


def test_a_scene_depends_on_its_seed_and_number_only():
    images, labels = draw_scenes(4, seed=3, size=48)
    fewer, their_labels = draw_scenes(2, seed=3, size=48)
    others, _ = draw_scenes(4, seed=4, size=48)
    np.testing.assert_array_equal(images[:2], fewer)
    np.testing.assert_array_equal(labels[:2], their_labels)
    assert not np.array_equal(images, others)
    assert not np.array_equal(images[0], images[1])


@pytest.mark.parametrize("size", [48, 96])
def test_images_and_labels_are_what_the_docstring_says(size):
    images, labels = draw_scenes(3, seed=0, size=size)
    assert images.shape == (3, size, size, 3)
    assert images.dtype == np.uint8
    assert labels.dtype == np.int32
    assert images.std() > 20


def test_every_class_is_drawn_about_as_often():
    _, labels = draw_scenes(1440, seed=0, size=16)
    counts = np.bincount(labels, minlength=len(CLASS_NAMES))
    assert len(counts) == len(set(CLASS_NAMES)) == 72
    assert 5 <= counts.min() <= counts.max() <= 40  # 20 on average
