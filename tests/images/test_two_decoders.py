"""Two decoders, one picture: a file as `predict` reads it and as `serve_bytes` decodes it.

Kind: two decoders. A row of `serve_bytes` shows what Pillow shows, or is invalid.
"""

import numpy as np
import pytest
import tensorflow as tf
from image_formats import FILES

from tf_taintradar.errors import ImageError
from tf_taintradar.images.decoding import decode_images
from tf_taintradar.images.files import read_image

SIZE = (20, 24)
ONLY_PILLOW_READS = {
    "PNG raw profile",
    "PNG XMP compressed",
    *(f"BMP of {bits} bits" for bits in (1, 4, 16)),
    *(f"BMP of OS/2, {bits} bits" for bits in (1, 4, 8, 24)),
    *(f"BMP {masks}" for masks in ("555 masks", "565 masks", "32 masks shifted")),
    *("BMP RLE 8", "BMP RLE 4", "BMP beyond its colours", "BMP XMP"),
    *(f"GIF {kind}" for kind in ("two controls", "no colours", "wide screen")),
    *("GIF small frame", "GIF small frame, transparent"),
    "JPEG CMYK not of Adobe",
    *(f"JPEG EXIF of {what}" for what in ("a byte", "two values", "no value", "no TIFF")),
    *("JPEG EXIF twice in one", "JPEG EXIF big TIFF", "JPEG EXIF odd order"),
    *("TIFF", "PPM", "ICO", "TGA", "PCX", "SGI", "DIB", "JPEG2000", "AVIF"),
}
NOBODY_READS = {
    *("BMP of 300 colours", "BMP 32 masks swapped"),
    *("JPEG junk before EXIF", "WebP wrong canvas", "PNG damaged text", "PNG damaged eXIf"),
    *("BMP header of no length", "BMP header beyond the end"),
    *(f"WebP {fault}" for fault in ("chunks out of step", "chunk beyond the end", "cut off")),
}
ONLY_TENSORFLOW_READS = {"GIF damaged code"}


def trace(channels):
    return tf.function(
        lambda encoded: decode_images(encoded, (*SIZE, channels)),
        input_signature=[tf.TensorSpec((None,), tf.string)],
        autograph=False,
    )


@pytest.fixture(scope="module")
def served():
    """By channels and name: the decoded image and whether it is valid."""
    contents = tf.constant(list(FILES.values()))
    answers = {channels: trace(channels)(contents) for channels in (1, 3)}
    return {
        (channels, name): (images[row].numpy(), bool(valid[row]))
        for channels, (images, valid) in answers.items()
        for row, name in enumerate(FILES)
    }


def read(folder, content, channels):
    """The picture that `predict` sees, None if it refuses the file."""
    (folder / "file").write_bytes(content)
    try:
        return read_image(folder / "file", (*SIZE, channels))
    except ImageError:
        return None


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("name", FILES)
def test_both_ways_show_one_picture(name, channels, served, tmp_path):
    image, valid = served[channels, name]
    expected = read(tmp_path, FILES[name], channels)
    assert (expected is None) == (name in NOBODY_READS | ONLY_TENSORFLOW_READS)
    assert valid == (name not in ONLY_PILLOW_READS | NOBODY_READS)
    if valid and expected is not None:
        np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("kind", ["PNG eXIf {} <", "WebP EXIF {}"])
def test_the_orientations_are_eight_pictures(kind, served):
    images = {served[3, kind.format(value)][0].tobytes() for value in range(1, 9)}
    assert len(images) == 8


def mutations(n, seed):
    """Files of every kind with a few bytes changed, inserted or taken away."""
    rng = np.random.default_rng(seed)
    for name in rng.choice(list(FILES), n):
        content = bytearray(FILES[name])
        reach = rng.choice([len(content), min(len(content), 120)])  # often in the header
        at, length = rng.integers(reach), rng.integers(1, 9)
        junk = rng.integers(0, 256, length).astype(np.uint8).tobytes()
        replaced = rng.choice([0, 1, length])
        content[at : at + replaced] = junk[: rng.choice([0, 1, length])]
        yield name, bytes(content)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_mutated_files_show_one_picture_or_are_invalid(tmp_path):
    files = list(mutations(2000, seed=9))
    images, valid = trace(3)(tf.constant([content for _, content in files]))
    n_same = n_guessed = 0
    for (name, content), image, is_valid in zip(files, images.numpy(), valid.numpy(), strict=True):
        expected = read(tmp_path, content, 3)
        if is_valid and expected is not None:
            error = np.abs(image.astype(int) - expected)
            # two builds of the JPEG decoder round nonsense differently
            assert error.max() <= (8 if name.startswith("JPEG") else 0), name
            n_same += 1
        if is_valid and expected is None:
            assert name.startswith(("GIF", "WebP")), name
            n_guessed += 1
    assert n_same > 300
    assert n_guessed < 20
