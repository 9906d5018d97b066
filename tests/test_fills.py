"""What is painted into a region."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image as Picture

from tf_taintradar.detection.regions import fill_region
from tf_taintradar.errors import ImageError
from tf_taintradar.fills import (
    Blur,
    Constant,
    Fill,
    Image,
    Noise,
    make_fill,
    mean_image,
)

SHAPE = (6, 8, 3)
FACE = np.random.RandomState(7).uniform(0, 255, SHAPE).astype("float32")
FILLS = [
    Noise(),
    Noise(seed=123456),
    Constant(127),
    Constant((1, 2.5, 255)),
    Image(FACE),
    Image(FACE.astype("uint8")),
    Blur(),
    Blur(sigma=2.0),
]
each_fill = pytest.mark.parametrize("fill", FILLS, ids=repr)


def photos(batch=3):
    return tf.constant(np.random.RandomState(0).uniform(0, 255, (batch, *SHAPE)), tf.float32)


def tolerance(fill):
    """Blurring sums in another order when compiled or batched otherwise; nothing else computes."""
    return 1e-3 if isinstance(fill, Blur) else 0.0


# Every fill


@each_fill
def test_patterns_are_raw_pixels_of_the_images_shape(fill):
    pattern = fill.pattern(photos())
    assert pattern.dtype == tf.float32
    assert tf.broadcast_static_shape(pattern.shape, photos().shape) == photos().shape
    assert np.min(pattern) >= 0
    assert np.max(pattern) <= 255 + tolerance(fill)


@each_fill
@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])
def test_eager_graph_and_xla_agree(fill, jit_compile):
    signature = [tf.TensorSpec((None if not jit_compile else 3, *SHAPE), tf.float32)]
    compiled = tf.function(fill.pattern, jit_compile=jit_compile, input_signature=signature)
    np.testing.assert_allclose(
        compiled(photos()), fill.pattern(photos()), rtol=0, atol=tolerance(fill)
    )


@each_fill
def test_no_image_sees_its_neighbours(fill):
    def whole(images):
        return tf.broadcast_to(fill.pattern(images), images.shape)

    together = whole(photos())
    for row in range(3):
        alone = whole(photos()[row : row + 1])[0]
        np.testing.assert_allclose(together[row], alone, rtol=0, atol=tolerance(fill))


@each_fill
def test_only_the_region_changes(fill):
    region = np.random.RandomState(1).rand(3, 6, 8) < 0.4
    pattern = fill.pattern(photos())
    filled = fill_region(photos(), tf.constant(region), pattern).numpy()
    assert filled.dtype == np.float32
    np.testing.assert_array_equal(filled[~region], photos().numpy()[~region])
    np.testing.assert_array_equal(filled[region], np.broadcast_to(pattern, photos().shape)[region])


def test_regions_differ_from_row_to_row():
    region = np.zeros((2, 6, 8), bool)
    region[1, 2, 5] = True
    filled = fill_region(tf.zeros((2, *SHAPE)), tf.constant(region), tf.constant(9.0)).numpy()
    assert np.argwhere(filled[..., 0]).tolist() == [[1, 2, 5]]


@each_fill
def test_the_config_survives_json_twice(fill):
    text = json.dumps(keras.saving.serialize_keras_object(fill))
    revived = keras.saving.deserialize_keras_object(json.loads(text))
    assert type(revived) is type(fill)
    assert vars(revived).keys() == vars(fill).keys()
    for name, value in vars(fill).items():
        np.testing.assert_array_equal(getattr(revived, name), value)
        assert np.asarray(getattr(revived, name)).dtype == np.asarray(value).dtype
    assert json.dumps(keras.saving.serialize_keras_object(revived)) == text
    assert repr(revived) == repr(fill)


def test_reprs_show_the_settings():
    assert [repr(fill) for fill in FILLS] == [
        "Noise(seed=1)",
        "Noise(seed=123456)",
        "Constant(color=127)",
        "Constant(color=(1.0, 2.5, 255.0))",
        "Image(float32 (6, 8, 3))",
        "Image(uint8 (6, 8, 3))",
        "Blur(sigma=0.1)",
        "Blur(sigma=2.0)",
    ]


# Noise


def test_noise_is_the_authors_pattern():
    expected = np.random.RandomState(1).randint(0, 255, (224, 224, 3))
    pattern = Noise().pattern(tf.zeros((1, 224, 224, 3))).numpy()
    np.testing.assert_array_equal(pattern, expected)
    assert pattern.max() == 254


def test_another_seed_is_another_pattern():
    assert not np.array_equal(Noise(2).pattern(photos()), Noise(3).pattern(photos()))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_have_32_bits(seed):
    with pytest.raises(ValueError, match=rf"`seed`.*2\*\*32.*{seed}"):
        Noise(seed)


# Constant


def test_a_colour_has_one_number_for_each_channel():
    np.testing.assert_array_equal(Constant((1, 2, 3)).pattern(photos()), [1, 2, 3])
    with pytest.raises(ValueError, match="`color`.*2 channels, the images have 3"):
        Constant((1, 2)).pattern(photos())


@pytest.mark.parametrize(
    "color", [-1, 255.5, (0, 0, 256), np.nan, "red", True, (), [[1, 2, 3]], None]
)
def test_colours_are_raw_pixels(color):
    with pytest.raises(ValueError, match="`color` must be a number from 0 to 255"):
        Constant(color)


# Image


def test_a_picture_is_painted_as_it_is():
    np.testing.assert_array_equal(Image(FACE).pattern(photos()), FACE)
    np.testing.assert_array_equal(Image(FACE.astype("uint8")).pattern(photos()), FACE // 1)


def test_a_picture_does_not_change_with_its_source():
    source = FACE.copy()
    fill = Image(source)
    source[:] = 0
    np.testing.assert_array_equal(fill.image, FACE)


def test_a_picture_of_another_size_names_both():
    with pytest.raises(ValueError, match=r"`image` has shape \(6, 8, 3\).*\(8, 6, 3\)"):
        tf.function(Image(FACE).pattern)(tf.zeros((1, 8, 6, 3)))


@pytest.mark.parametrize(
    "image, message",
    [
        (FACE[None], r"\(height, width, channels\).*\(1, 6, 8, 3\)"),
        (FACE[..., 0], r"\(height, width, channels\).*\(6, 8\)"),
        (FACE - 100, "`image` must be raw pixels"),
        (FACE / 255, "`image`.*multiply by 255"),
        (FACE * np.nan, "`image` must be finite"),
        (FACE > 100, "`image`.*dtype bool"),
    ],
)
def test_pictures_are_raw_pixels(image, message):
    with pytest.raises(ValueError, match=message):
        Image(image)


# Blur


@pytest.mark.parametrize("shape", [(20, 30), (30, 20), (7, 7), (1, 5)])
@pytest.mark.parametrize("sigma", [0.03, 0.1, 0.5, 3.0])
def test_blurring_equals_scipys(shape, sigma):
    ndimage = pytest.importorskip("scipy.ndimage")
    images = np.random.RandomState(0).uniform(0, 255, (2, *shape, 3)).astype("float32")
    deviation = sigma * min(shape)
    expected = ndimage.gaussian_filter(
        images.astype("float64"), (0, deviation, deviation, 0), mode="reflect"
    )
    # float32 sums of values up to 255
    np.testing.assert_allclose(Blur(sigma).pattern(tf.constant(images)), expected, atol=1e-3)


def test_an_even_image_has_nothing_to_blur():
    images = tf.fill((1, 5, 9, 3), 200.0)
    np.testing.assert_allclose(Blur().pattern(images), images, rtol=1e-6)


@pytest.mark.parametrize("sigma", [0, -0.1, np.nan])
def test_a_gaussian_has_a_width(sigma):
    with pytest.raises(ValueError, match="`sigma` must be positive"):
        Blur(sigma)


# mean_image


def test_the_mean_of_an_array_and_a_dataset():
    images = np.random.RandomState(0).randint(0, 256, (7, *SHAPE)).astype("uint8")
    mean = mean_image(images, SHAPE, batch_size=3)
    assert mean.dtype == np.float32
    np.testing.assert_array_equal(mean, images.mean(axis=0).astype("float32"))
    dataset = tf.data.Dataset.from_tensor_slices((images, range(7))).batch(4)
    np.testing.assert_array_equal(mean_image(dataset, SHAPE), mean)


def test_the_mean_of_a_folder(tmp_path):
    for value in (10, 20, 60):
        Picture.new("RGB", (5, 5), (value, 0, 255)).save(tmp_path / f"{value}.png")
    mean = mean_image(tmp_path, SHAPE, batch_size=2)
    np.testing.assert_array_equal(mean, np.broadcast_to([30, 0, 255], SHAPE))


def test_the_mean_of_many_bright_images_keeps_its_precision():
    images = np.full((3000, 1, 1, 3), 254, "uint8")
    images[0] = 255
    np.testing.assert_allclose(mean_image(images, (1, 1, 3)), 254 + 1 / 3000, rtol=1e-7)


# make_fill


@pytest.mark.parametrize(
    "spec, expected",
    [
        ("noise", "Noise(seed=1)"),
        ("blur", "Blur(sigma=0.1)"),
        (127, "Constant(color=127)"),
        (0.5, "Constant(color=0.5)"),
        (np.float32(12), "Constant(color=12.0)"),
        ((1, 2, 3), "Constant(color=(1, 2, 3))"),
        ([1, 2, 3], "Constant(color=(1, 2, 3))"),
        (np.array([1, 2, 3]), "Constant(color=(1, 2, 3))"),
        (FACE, "Image(float32 (6, 8, 3))"),
        (tf.constant(FACE), "Image(float32 (6, 8, 3))"),
    ],
    ids=str,
)
def test_short_descriptions(spec, expected):
    assert repr(make_fill(spec)) == expected


def test_fills_are_used_as_they_are():
    class Stripes(Fill):
        def pattern(self, images):
            return tf.zeros(images.shape[1:])

    for fill in [*FILLS, Stripes()]:
        assert make_fill(fill) is fill


@pytest.mark.parametrize("spec", ["gauss", None, True, Noise, FACE[0], FACE[None], b"noise", {}])
def test_anything_else_lists_what_is_possible(spec):
    with pytest.raises(
        ValueError, match="`fill` must be 'noise', 'blur', a number.*array.*Fill. Received: "
    ):
        make_fill(spec)


def test_descriptions_are_checked_as_fills_are():
    with pytest.raises(ValueError, match="`color`"):
        make_fill(256)
    with pytest.raises(ImageError, match="`image`"):
        make_fill(FACE + 100)
