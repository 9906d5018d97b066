"""Checks of raw pixels."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_taintradar.errors import ImageError
from tf_taintradar.images.pixels import (
    as_batch,
    as_pixels,
    as_whole_pixels,
    check_shape,
)

SHAPE = (5, 4, 3)


def pixels(batch=2, dtype="float32"):
    return np.random.RandomState(0).randint(0, 256, (batch, *SHAPE)).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float32", "float64"])
def test_values_pass_unchanged_as_float32(dtype):
    images = pixels(dtype=dtype)
    checked = as_pixels(images, SHAPE)
    assert checked.dtype == np.float32
    np.testing.assert_array_equal(checked, images)


def test_float32_is_not_copied():
    images = pixels()
    assert as_pixels(images, SHAPE) is images


def test_a_batch_keeps_its_dtype_and_is_not_copied():
    images = pixels(dtype="uint8")
    assert as_batch(images, SHAPE) is images


@pytest.mark.parametrize(
    "convert",
    [
        *(tf.constant, tf.Variable, keras.Variable, list, tuple, np.ndarray.tolist),
        lambda images: [tf.constant(image) for image in images],
        lambda images: [Image.fromarray(image) for image in images],
        lambda images: tf.cast(images // 2 * 2, tf.bfloat16),
    ],
)
def test_tensors_and_lists_are_images_too(convert):
    images = pixels(dtype="uint8")
    np.testing.assert_allclose(as_pixels(convert(images), SHAPE), images, atol=1)


def test_a_list_in_keras_shape_is_an_input_shape():
    images = pixels()
    assert as_pixels(images, list(SHAPE)) is images


@pytest.mark.parametrize(
    "images",
    [np.zeros((1, *SHAPE)), np.ones((1, *SHAPE), "uint8"), np.full((1, *SHAPE), 255.0)],
    ids=["black floats", "dark integers", "white floats"],
)
def test_extreme_images_are_images(images):
    np.testing.assert_array_equal(as_pixels(images, SHAPE), images)


def with_value(value):
    images = pixels()
    images[1, 2, 3, 0] = value
    return images


BROKEN = {
    "one image": (pixels()[0], r"shape \(batch, 5, 4, 3\).*\(5, 4, 3\).*images\[None\]"),
    "one image of another size": (np.zeros((9, 8, 3)), r"images\[None\].*9x8.*5x4"),
    "one grey image": (np.zeros((5, 4)), r"np\.repeat\(images\[None, \.\.\., None\], 3, axis=-1\)"),
    "one RGBA image": (np.zeros((5, 4, 4)), r"images\[None\]\[\.\.\., :3\]"),
    "one image, channels first": (np.zeros((3, 5, 4)), r"np\.transpose\(images, \(1, 2, 0\)\)"),
    "grey without channels": (
        np.zeros((7, 5, 4)),
        r"channel axis: np\.repeat\(images\[\.\.\., None\], 3, axis=-1\)\.$",
    ),
    "grey of another size": (np.zeros((7, 28, 28)), r"channel axis.*28x28.*5x4.*resize"),
    "flat": (np.zeros((7, 60)), r"images\.reshape\(-1, 5, 4, 3\)"),
    "two axes": (np.zeros((7, 9)), r"rank 2"),
    "batches": ([pixels(), pixels()], r"np\.concatenate\(images\)"),
    "one row": (np.zeros(7), r"rank 1"),
    "one number": (7, r"rank 0"),
    "video": (np.zeros((1, 2, *SHAPE)), r"rank 5"),
    "empty batch": (np.zeros((0, *SHAPE)), r"\(0, 5, 4, 3\).*at least one"),
    "empty list": ([], r"at least one"),
    "RGBA": (np.zeros((1, 5, 4, 4)), r"alpha.*images\[\.\.\., :3\]"),
    "grey": (np.zeros((1, 5, 4, 1)), r"np\.repeat\(images, 3, axis=-1\)"),
    "two channels": (np.zeros((1, 5, 4, 2)), r"2 channels, the classifier takes 3"),
    "channels first": (np.zeros((1, 3, 5, 4)), r"np\.transpose\(images, \(0, 2, 3, 1\)\)"),
    "wrong size": (
        np.zeros((1, 4, 5, 3)),
        r"4x5.*5x4.*tf\.image\.resize\(images, \(5, 4\).*folder",
    ),
    "ragged": ([np.zeros(SHAPE), np.zeros((6, 4, 3))], r"one size.*tf\.image\.resize"),
    "ragged tensor": (tf.ragged.constant([[1.0], [2.0, 3.0]]), r"a RaggedTensor.*`to_tensor`"),
    "sparse tensor": (tf.sparse.from_dense(np.eye(3)), r"a SparseTensor.*`tf\.sparse\.to_dense`"),
    "masked": (np.ma.masked_greater(pixels(), 250), r"masked array.*filled\(0\)"),
    "text": (["a.jpg"], r"dtype <U5.*one list.*read_image"),
    "bytes": ([b"\xff\xd8\xff"], r"bytes.*as text"),
    "object": (np.full((1, *SHAPE), None), r"None\. Some readers"),
    "nothing": (None, r"None\. Some readers"),
    "no file": ([None, None], r"None\..*cv2\.imread.*missing file"),
    "a dict": ({"image": pixels(), "label": [0, 1]}, r"a dict of 'image', 'label'\. Pick"),
    "a set": ({1, 2}, r"dtype object of set"),
    "boolean": (np.zeros((1, *SHAPE), bool), r"dtype bool\. Multiply by 255"),
    "complex": (np.zeros((1, *SHAPE), complex), r"dtype complex128\. Convert"),
    "paths and arrays": (["a.jpg", pixels()[0]], r"paths and arrays"),
    "grey and RGB": ([np.zeros(SHAPE), np.zeros((5, 4))], r"shapes \(5, 4\), \(5, 4, 3\).*axes"),
    "NaN": (with_value(np.nan), r"finite.*NaN"),
    "infinite": (with_value(np.inf), r"finite.*infinite"),
    "negative": (with_value(-103.5), r"from -103\.5 to 25\d.*`preprocessor`"),
    "too bright": (with_value(300), r"from \d to 300.*`preprocessor`"),
    "16 bits": (pixels().astype(np.uint16) * 257, r"to 6\d+\. If they have 16 bits.* by 257"),
    "negative integers": (np.full((1, *SHAPE), -1), r"from -1 to -1"),
}


@pytest.mark.parametrize("images, message", BROKEN.values(), ids=BROKEN.keys())
def test_broken_images_are_refused_with_the_remedy(images, message):
    with pytest.raises(ImageError, match=message) as caught:
        as_pixels(images, SHAPE)
    assert "`images`" in str(caught.value)


def test_colour_for_a_grey_classifier_names_the_conversion():
    with pytest.raises(ImageError, match="rgb_to_grayscale"):
        as_pixels(pixels(), (5, 4, 1))


def test_pixels_from_0_to_1_are_refused_by_the_first_such_row():
    images = np.stack([np.zeros(SHAPE), pixels(1)[0], np.full(SHAPE, 0.5), np.ones(SHAPE)])
    with pytest.raises(ImageError, match=r"Received: 0\.5 as the .* of image 2, .*multiply by 255"):
        as_pixels(images, SHAPE)


def test_grey_images_for_a_grey_classifier_need_their_channel_axis():
    message = (
        r"`images` must have shape \(batch, 28, 28, 1\). Received: \(7, 28, 28\)\. Grey images "
    )
    message += r"need a channel axis: images\[\.\.\., None\]\.$"
    with pytest.raises(ImageError, match=message):
        as_pixels(np.zeros((7, 28, 28)), (28, 28, 1))
    with pytest.raises(ImageError, match=r"images\[None, \.\.\., None\]"):
        as_pixels(np.zeros((28, 28)), (28, 28, 1))


def test_the_error_uses_the_callers_name():
    with pytest.raises(ImageError, match=r"`clean_images`.*clean_images\[None\]"):
        as_pixels(pixels()[0], SHAPE, argument="clean_images")


@pytest.mark.parametrize("shape", [(2, *SHAPE), (None, *SHAPE), tf.TensorShape((None, *SHAPE))])
def test_the_right_shape_passes_also_before_the_batch_is_known(shape):
    check_shape(shape, SHAPE)
    with pytest.raises(ImageError, match=r"`photos` .*\(batch, 5, 4, 1\).*grayscale\(photos\)"):
        check_shape(shape, (5, 4, 1), argument="photos")


# Kind: rounding. Within a thousandth of [0, 255] is inside, everywhere.


def overshot(dtype="float32"):
    """Black and white that a resize left a little outside."""
    images = pixels(dtype=dtype)
    images[0, 0, 0] = 255.00006, -0.0005, 255.0009
    return images


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_outside_by_rounding_is_clipped(dtype):
    images = overshot(dtype)
    before = images.copy()
    checked = as_pixels(images, SHAPE)
    np.testing.assert_array_equal(checked, np.clip(images, 0, 255).astype("float32"))
    np.testing.assert_array_equal(images, before)  # the caller's array stays as it is
    assert as_whole_pixels(images, SHAPE)[0, 0, 0].tolist() == [255, 0, 255]


@pytest.mark.parametrize("value", [255.002, -0.002, 255.5, -1])
def test_what_is_outside_by_more_is_named_as_outside(value):
    with pytest.raises(ImageError, match="from") as caught:
        as_pixels(np.full((1, *SHAPE), value), SHAPE)
    assert f"{value:g}" in str(caught.value)
    assert "from 255 to 255" not in str(caught.value)


def test_the_least_excess_is_not_printed_as_the_limit():
    value = np.float32(255.001) + np.float32(2e-5)
    with pytest.raises(ImageError, match=r"from 255\.001.* to 255\.001"):
        as_pixels(np.full((1, *SHAPE), value), SHAPE)


def test_pixels_from_0_to_1_with_an_overshoot_are_pixels_from_0_to_1():
    with pytest.raises(ImageError, match="multiply by 255"):
        as_pixels(np.full((1, *SHAPE), 1.000001), SHAPE)


def test_a_resize_as_the_message_recommends_it_is_accepted():
    white = np.full((1, 97, 89, 3), 255, np.float32)
    resized = tf.image.resize(white, (17, 23), antialias=True).numpy()
    assert resized.max() > 255
    assert as_pixels(resized, (17, 23, 3)).max() == 255
