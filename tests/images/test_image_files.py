"""Image files as raw pixels. Kind: two decoders."""

import concurrent.futures
import struct
import warnings
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_taintradar.errors import ImageError
from tf_taintradar.images.files import fit, read_image, read_upright

SHAPE = (6, 8, 3)


def picture(height=6, width=8, channels=3, seed=0):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


def saved(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


# Reading one file


def test_the_contents_of_a_file_are_read_as_the_file(tmp_path):
    path = saved(tmp_path / "a.png", picture())
    np.testing.assert_array_equal(read_upright("a.png", contents=path.read_bytes()), picture())
    path.write_bytes(b"no image")
    for arguments in ({}, {"contents": b"no image"}):
        with pytest.raises(ImageError) as caught:
            read_upright(path, **arguments)
        told = f"Cannot read {str(path)!r} as an image: cannot identify image file {str(path)!r}"
        assert str(caught.value) == told


def test_threads_refuse_large_files_and_leave_the_filters_of_warnings(tmp_path):
    (tmp_path / "a.png").write_bytes(huge_png(10_000))
    saved(tmp_path / "b.png", picture())

    def read(name):
        try:
            return read_image(tmp_path / name, SHAPE).shape
        except ImageError:
            return "refused"

    filters = list(warnings.filters)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(read, ["a.png", "b.png"] * 40))
    assert found == ["refused", SHAPE] * 40
    assert warnings.filters == filters


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_an_rgb_file_of_the_right_size_is_read_unchanged(tmp_path, suffix):
    path = saved(tmp_path / f"a{suffix}", picture())
    image = read_image(path, SHAPE)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, picture())


def test_paths_may_be_text(tmp_path):
    path = saved(tmp_path / "a.png", picture())
    np.testing.assert_array_equal(read_image(str(path), SHAPE), picture())


def test_jpeg_is_read_as_tensorflow_reads_it(tmp_path):
    smooth = np.linspace(0, 255, 6 * 8 * 3).reshape(SHAPE).astype(np.uint8)
    path = saved(tmp_path / "a.jpg", smooth, quality=95)
    content = tf.io.read_file(str(path))
    expected = tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE").numpy()
    # two builds of the JPEG decoder may round differently
    np.testing.assert_allclose(read_image(path, SHAPE).astype(int), expected.astype(int), atol=1)


def test_grey_is_repeated(tmp_path):
    grey = picture(channels=1)
    image = read_image(saved(tmp_path / "a.png", grey), SHAPE)
    np.testing.assert_array_equal(image, np.stack([grey] * 3, axis=-1))


def test_alpha_is_dropped_and_hidden_colours_stay_as_in_tensorflow(tmp_path):
    rgba = picture(channels=4)
    rgba[:3, :, 3] = 0
    path = saved(tmp_path / "a.png", rgba)
    image = read_image(path, SHAPE)
    np.testing.assert_array_equal(image, rgba[..., :3])
    np.testing.assert_array_equal(
        image, tf.io.decode_png(tf.io.read_file(str(path)), channels=3).numpy()
    )


def test_grey_with_alpha(tmp_path):
    both = picture(channels=2)
    image = read_image(saved(tmp_path / "a.png", both), SHAPE)
    np.testing.assert_array_equal(image, np.repeat(both[..., :1], 3, axis=-1))


@pytest.mark.parametrize("transparency", [None, 3, bytes([0, 128, 255, 7])])
def test_a_palette_becomes_its_colours(tmp_path, transparency):
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 8, 7]], np.uint8)
    indices = np.arange(48, dtype=np.uint8).reshape(6, 8) % 4
    indexed = Image.fromarray(indices)
    indexed.putpalette(colours.tobytes())
    options = {} if transparency is None else {"transparency": transparency}
    indexed.save(tmp_path / "a.png", **options)
    with Image.open(tmp_path / "a.png") as check:
        assert check.mode == "P"
        assert ("transparency" in check.info) == (transparency is not None)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", SHAPE), colours[indices])


@pytest.mark.parametrize(
    "ink, colour",
    [((0, 255, 255, 0), (255, 0, 0)), ((0, 0, 0, 255), (0, 0, 0)), ((0, 0, 0, 0), (255,) * 3)],
    ids=["red", "black", "white"],
)
def test_cmyk_jpeg_becomes_rgb(tmp_path, ink, colour):
    Image.new("CMYK", (8, 6), ink).save(tmp_path / "a.jpg")
    image = read_image(tmp_path / "a.jpg", SHAPE).astype(int)
    np.testing.assert_allclose(image, np.broadcast_to(colour, SHAPE), atol=2)  # JPEG loses a little


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_keep_their_high_byte_as_in_tensorflow(tmp_path, suffix):
    deep = np.linspace(0, 65535, 48).reshape(6, 8).astype(np.uint16)
    path = saved(tmp_path / f"a{suffix}", deep)
    image = read_image(path, SHAPE)
    np.testing.assert_array_equal(image, np.stack([deep // 256] * 3, axis=-1))
    if suffix == ".png":
        decoded = tf.io.decode_png(tf.io.read_file(str(path)), channels=3).numpy()
        np.testing.assert_array_equal(image, decoded)


def test_a_rotated_photograph_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate clockwise to see it upright
    lying = picture(8, 6)
    image = read_image(saved(tmp_path / "a.png", lying, exif=exif), SHAPE)
    np.testing.assert_array_equal(image, np.rot90(lying, -1))


def test_the_first_frame_of_an_animation_counts(tmp_path):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    image = read_image(tmp_path / "a.gif", SHAPE)
    np.testing.assert_array_equal(image, np.broadcast_to([255, 0, 0], SHAPE))


def test_webp_is_read(tmp_path):
    path = saved(tmp_path / "a.webp", picture(), lossless=True)
    np.testing.assert_array_equal(read_image(path, SHAPE), picture())


def test_a_grey_classifier_gets_one_channel_of_luma(tmp_path):
    image = read_image(saved(tmp_path / "a.png", picture()), (6, 8, 1))
    luma = picture() @ [0.299, 0.587, 0.114]  # ITU-R 601
    assert image.shape == (6, 8, 1)
    np.testing.assert_allclose(image[..., 0], luma, atol=1)  # Pillow rounds its weights


def test_one_pixel_fills_the_image(tmp_path):
    path = saved(tmp_path / "a.png", np.array([[[9, 8, 7]]], np.uint8))
    np.testing.assert_array_equal(read_image(path, SHAPE), np.broadcast_to([9, 8, 7], SHAPE))


def huge_png(side):
    """A file of a few bytes that promises an image of side x side pixels."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def half_a_file(tmp_path, suffix):
    content = saved(tmp_path / f"whole{suffix}", picture(64, 64)).read_bytes()
    return content[: len(content) // 2]


BROKEN = {
    "text": (lambda tmp_path: b"hello", "cannot identify image file"),
    "nothing": (lambda tmp_path: b"", "cannot identify image file"),
    "half a JPEG": (lambda tmp_path: half_a_file(tmp_path, ".jpg"), "truncated"),
    "half a PNG": (lambda tmp_path: half_a_file(tmp_path, ".png"), "truncated"),
    "large": (lambda tmp_path: huge_png(10_000), r"100000000 pixels.*limit of 89478485"),
    "huge": (lambda tmp_path: huge_png(30_000), r"900000000 pixels.*limit of 178956970"),
}


@pytest.mark.parametrize("content, reason", BROKEN.values(), ids=BROKEN.keys())
def test_broken_files_are_refused_with_path_and_reason(tmp_path, content, reason):
    path = tmp_path / "broken.jpg"
    path.write_bytes(content(tmp_path))
    with pytest.raises(ImageError, match=f"broken.jpg.*{reason}"):
        read_image(path, SHAPE)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_large_file_is_refused_even_if_pillow_would_only_warn(tmp_path):
    (tmp_path / "a.png").write_bytes(huge_png(10_000))
    with pytest.raises(ImageError, match="100000000 pixels"):
        read_image(tmp_path / "a.png", SHAPE)


def test_missing_files_and_folders_are_no_images(tmp_path):
    with pytest.raises(ImageError, match=r"nowhere\.jpg.*No such file"):
        read_image(tmp_path / "nowhere.jpg", SHAPE)
    with pytest.raises(ImageError, match="directory"):
        read_image(tmp_path, SHAPE)


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_samples_of_32_bits_have_no_range(tmp_path, dtype):
    path = saved(tmp_path / "a.tif", picture(channels=1).astype(dtype))
    with pytest.raises(ImageError, match=r"a\.tif.*32-bit.*8 bits"):
        read_image(path, SHAPE)


def test_files_have_no_five_channels(tmp_path):
    with pytest.raises(ImageError, match="1 or 3 channels.* Received: 5.*arrays"):
        read_image(saved(tmp_path / "a.png", picture()), (6, 8, 5))


# Cropping and resizing


@pytest.mark.parametrize(
    "size, rows, columns",
    [((6, 4), slice(0, 6), slice(2, 6)), ((3, 8), slice(1, 4), slice(0, 8))],
    ids=["wide", "tall"],
)
def test_only_the_centre_of_another_aspect_ratio_is_kept(size, rows, columns):
    np.testing.assert_array_equal(fit(picture(), size), picture()[rows, columns])


@pytest.mark.parametrize(
    "size, box",
    [
        ((24, 32), (0, 0, 64, 48)),
        ((96, 128), (0, 0, 64, 48)),
        ((17, 23), (0, 0, 64, 47)),  # 64 * 17 / 23 = 47.3 of 48 rows
        ((31, 31), (8, 0, 56, 48)),
        ((20, 80), (0, 16, 64, 32)),
    ],
)
def test_resizing_equals_pillows_antialiased_one(size, box):
    whole = Image.fromarray(picture(48, 64))
    expected = whole.crop(box).resize(size[::-1], Image.Resampling.BILINEAR)
    result = fit(np.asarray(whole), size).numpy().astype(int)
    # Pillow computes in fixed point
    np.testing.assert_allclose(result, np.asarray(expected).astype(int), atol=1)


def test_fine_stripes_become_grey_not_black():
    stripes = np.tile(np.array([254, 0, 0, 254], np.uint8)[:, None], (64, 16, 3))
    inner = fit(stripes, (16, 16)).numpy()[:, 2:-2].astype(int)
    np.testing.assert_allclose(inner, 127, atol=1)


@pytest.mark.parametrize("shape, size", [((41, 1), (1, 40)), ((1, 41), (40, 1))])
def test_a_pixel_is_left_of_the_thinnest_image(shape, size):
    thin = picture(*shape)
    middle = thin.reshape(41, 3)[20]
    np.testing.assert_array_equal(fit(thin, size), np.broadcast_to(middle, (*size, 3)))


def test_floats_are_rounded_not_cut():
    image = np.array([[[0.4, 127.6, 254.5001]]], np.float32)
    np.testing.assert_array_equal(np.ravel(fit(image, (1, 1))), [0, 128, 255])


def test_one_graph_fits_images_of_every_size():
    graph = tf.function(
        lambda image: fit(image, (6, 8)), input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)]
    )
    for height, width in [(1, 1), (6, 8), (40, 9), (7, 50), (1, 300), (300, 1)]:
        image = picture(height, width)
        result = graph(image)
        assert result.shape == (6, 8, 3)
        np.testing.assert_array_equal(result, fit(image, (6, 8)))
