"""Arrays, files, folders, datasets and generators as batches of raw pixels.

Kind: errors that do not help. What the `predict` of Keras takes is taken, and
the rest is refused with what to do.
"""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_taintradar.errors import ImageError
from tf_taintradar.images import iterate_batches
from tf_taintradar.images.files import fit
from tf_taintradar.images.sources import count_images

SHAPE = (6, 8, 3)


def picture(height=6, width=8, seed=0):
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype(np.uint8)


def saved(path, array):
    Image.fromarray(array).save(path)


@pytest.fixture
def folder(tmp_path):
    for index in range(5):
        saved(tmp_path / f"{index}.png", picture(seed=index))
    return tmp_path


@pytest.fixture
def images():
    return np.stack([picture(seed=index) for index in range(5)])


def sources(images, folder):
    dataset = tf.data.Dataset.from_tensor_slices(images)
    labelled = tf.data.Dataset.from_tensor_slices((images, range(5)))
    return {
        "array": images,
        "tensor": tf.constant(images),
        "list": list(images),
        "dataset": dataset.batch(2),
        "labelled dataset": labelled.batch(2),
        "dataset of large batches": dataset.batch(4).map(lambda x: tf.cast(x, tf.float32)),
        "folder": folder,
        "folder as text": str(folder),
        "files": sorted(folder.iterdir()),
        "files as text": tuple(str(path) for path in sorted(folder.iterdir())),
        "array of text": np.array([str(path) for path in sorted(folder.iterdir())]),
        "array of paths": np.array(sorted(folder.iterdir()), dtype=object),
        "tensor of text": tf.constant([str(path) for path in sorted(folder.iterdir())]),
        "variable": tf.Variable(images),
        "Keras variable": keras.Variable(images, dtype="uint8"),
        "list of tensors": [tf.constant(image) for image in images],
        "list of pictures": [Image.fromarray(image) for image in images],
        "stream: generator": (images[i : i + 2] for i in (0, 2, 4)),
        "stream: labelled": ((images[i : i + 2], [0]) for i in (0, 2, 4)),
        "stream: listed": ([images[i : i + 2], [0]] for i in (0, 2, 4)),
        "stream: weighted": iter([(images, np.zeros(5), np.ones(5))]),
        "stream: map": map(np.asarray, [images[:2], images[2:]]),
        "stream: iterated dataset": iter(dataset.batch(2)),
        "stream: PyDataset": Batches(),
    }


def test_every_source_yields_the_same_images(images, folder):
    for name, source in sources(images, folder).items():
        batches = list(iterate_batches(source, SHAPE, 2))
        assert all(batch.dtype == np.float32 and 1 <= len(batch) <= 2 for batch in batches), name
        np.testing.assert_array_equal(np.concatenate(batches), images, err_msg=name)
        assert [len(batch) for batch in batches] == [2, 2, 1], name


def test_images_are_counted_but_not_those_of_a_dataset(images, folder):
    for name, source in sources(images, folder).items():
        assert count_images(source) == (None if "dataset" in name or "stream" in name else 5), name


def test_one_file_is_one_image(folder, images):
    (batch,) = iterate_batches(folder / "3.png", SHAPE, 8)
    np.testing.assert_array_equal(batch, images[3:4])
    assert count_images(str(folder / "3.png")) == 1


def test_a_dataset_keeps_its_smaller_batches(images):
    dataset = tf.data.Dataset.from_tensor_slices(images).batch(3)
    assert [len(batch) for batch in iterate_batches(dataset, SHAPE, 100)] == [3, 2]


def test_files_are_read_when_their_turn_comes(folder, images):
    (folder / "4.png").write_bytes(b"broken")
    batches = iterate_batches(folder, SHAPE, 2)
    np.testing.assert_array_equal(next(batches), images[:2])
    np.testing.assert_array_equal(next(batches), images[2:4])
    with pytest.raises(ImageError, match=r"4\.png"):
        next(batches)


def test_files_of_any_size_are_fitted(tmp_path):
    saved(tmp_path / "a.png", picture(12, 30))
    (batch,) = iterate_batches(tmp_path, SHAPE, 1)
    np.testing.assert_array_equal(batch[0], fit(picture(12, 30), (6, 8)))


def test_a_broken_row_is_named_by_its_batch(images):
    images = images.astype("float32")
    images[3] /= 255
    with pytest.raises(ImageError, match=r"`images\[2:4\]`.*image 1"):
        list(iterate_batches(images, SHAPE, 2))


class Batches(keras.utils.PyDataset):
    """Two of `images` in each batch, with labels; without end for n = None."""

    def __init__(self, n=3):
        super().__init__()
        self.n = n

    @property
    def num_batches(self):
        return self.n

    def __getitem__(self, i):
        images = np.stack([picture(seed=index % 5) for index in (2 * i, 2 * i + 1)])
        return images[: 1 if i == 2 else 2], np.zeros(2)


def test_a_stream_of_batches_is_cut_by_its_own_batches(images):
    repeated = tf.data.Dataset.from_tensor_slices(images).batch(2).repeat()
    endless = [itertools.cycle([images[:2], images[2:4]]), Batches(None), repeated]
    for source in endless:
        batches = list(iterate_batches(source, SHAPE, 1, steps=2))
        assert [len(batch) for batch in batches] == [1] * 4
        np.testing.assert_array_equal(np.concatenate(batches), images[:4])


def test_rows_are_cut_by_the_batch_size(images, folder):
    for source in (images, folder, list(images)):
        batches = list(iterate_batches(source, SHAPE, 2, steps=2))
        np.testing.assert_array_equal(np.concatenate(batches), images[:4])


@pytest.mark.parametrize("steps", [0, -1, 1.5])
def test_a_step_is_one_at_least(images, steps):
    with pytest.raises(ValueError, match=f"`steps` must be an integer of at least 1.*{steps}"):
        iterate_batches(images, SHAPE, 2, steps=steps)


def endless():
    return tf.data.Dataset.from_tensors(np.zeros((1, *SHAPE))).repeat()


@pytest.mark.parametrize(
    "source, message",
    [
        (np.zeros(SHAPE), r"images\[None\]"),
        ([], "at least one"),
        (np.zeros((2, 9, 9, 3)), "9x9.*6x8"),
        (tf.data.Dataset.from_tensor_slices(np.zeros((2, *SHAPE))), r"batch\(32\)"),
        (tf.data.Dataset.from_tensor_slices((np.zeros((2, *SHAPE)), [0, 1])), r"batch\(32\)"),
        (tf.data.Dataset.from_tensors({"image": np.zeros((2, *SHAPE))}), r"map\(lambda"),
        (tf.data.Dataset.from_tensors(np.zeros((2, 9, 9, 3))), "9x9.*6x8"),
        (tf.data.Dataset.from_tensors(np.zeros((2, *SHAPE))).take(0), "dataset is empty"),
        (endless(), r"for ever.*take\("),
        ("nowhere/a.jpg", r"a\.jpg.*No such file"),
        ((row for row in np.zeros((2, *SHAPE))), r"single image \(6, 8, 3\).*image\[None\]"),
        ((row for row in []), "empty.*new one"),
        (iter([{"image": 1}]), r"dict of \['image'\].*Pick"),
        (iter(["a.png"]), "text or paths"),
        (iter([()]), "at least one"),
        (iter([np.zeros((2, 6, 8))]), r"np\.repeat\(images\[\.\.\., None\], 3"),
        (Batches(None), "never ends: pass `steps`"),
        (np.array([["a.png"], ["b.png"]]), "a single axis"),
        (np.array([b"a.png"]), "as text"),
        (["a.png", np.zeros(SHAPE)], "paths and arrays"),
        ({"image": np.zeros((2, *SHAPE))}, "a dict of 'image'"),
        (None, "None"),
        (7, "rank 0"),
    ],
)
def test_broken_sources_are_refused_with_the_remedy(source, message):
    with pytest.raises(ImageError, match=message):
        list(iterate_batches(source, SHAPE, 2))


def test_an_empty_folder_is_refused_at_once(tmp_path):
    with pytest.raises(ImageError, match="holds no image"):
        iterate_batches(tmp_path, SHAPE, 2)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_holds_an_image_at_least(images, batch_size):
    with pytest.raises(ValueError, match=f"`batch_size`.*at least 1.*{batch_size}"):
        iterate_batches(images, SHAPE, batch_size)
