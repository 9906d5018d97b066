"""The average face, and when it is computed again."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_taintradar.errors import ImageError
from tf_taintradar.vggface import average_face


@pytest.fixture
def people(tmp_path):
    """Two people, of one colour each."""
    for name, red in (("ann", 10), ("bob", 21)):
        (tmp_path / "people" / name).mkdir(parents=True)
        Image.new("RGB", (30, 20), (red, 100, 200)).save(tmp_path / "people" / name / "1.png")
    return tmp_path / "people"


def test_the_mean_of_a_folder_of_files_of_a_dataset(people):
    found = average_face(people, (8, 6, 3))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.full((8, 6, 3), (16, 100, 200)))  # 15.5, to even
    one = average_face([people / "ann" / "1.png"], (8, 6, 3))
    np.testing.assert_array_equal(one, np.full((8, 6, 3), (10, 100, 200)))
    dataset = tf.data.Dataset.from_tensor_slices(np.stack([found, one])).batch(1)
    np.testing.assert_array_equal(average_face(dataset, (8, 6, 3))[0, 0], (13, 100, 200))


def test_it_is_kept_as_long_as_the_files_are_the_same(people, tmp_path):
    cache = tmp_path / "kept"
    first = average_face(people, (8, 6, 3), cache=cache)
    (kept,) = cache.glob("*.npz")
    written = kept.stat().st_mtime_ns
    np.testing.assert_array_equal(average_face(people, (8, 6, 3), cache=cache), first)
    assert kept.stat().st_mtime_ns == written
    assert average_face(people, (4, 4, 3), cache=cache).shape == (4, 4, 3)
    Image.new("RGB", (30, 20), (90, 100, 200)).save(people / "ann" / "1.png")
    assert average_face(people, (8, 6, 3), cache=cache)[0, 0, 0] == 56


def test_what_cannot_be_averaged(people, tmp_path):
    with pytest.raises(
        ValueError, match="`cache` must be .* a folder or a list of files.*Received.*ndarray"
    ):
        average_face(np.zeros((2, 8, 6, 3), np.uint8), (8, 6, 3), cache=tmp_path / "kept")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError):
        average_face(tmp_path / "empty")
    with pytest.raises(ImageError, match="none.png"):
        average_face([people / "none.png"], cache=tmp_path / "kept")
