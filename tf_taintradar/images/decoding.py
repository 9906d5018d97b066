"""Encoded image files to raw pixels inside the graph: the twin of `image_files.read_image`.

What TensorFlow decodes: JPEG, PNG, GIF, BMP and, from 2.20 on, WebP. A bad file spoils its own row
alone.
"""

from typing import Any

import tensorflow as tf

from tf_taintradar.images.files import fit
from tf_taintradar.images.pixels import Shape

_PARALLEL_ROWS = 8
_MAX_PIXELS = 89_478_485  # where Pillow begins to suspect a decompression bomb
_MAX_SEGMENTS = 256  # of a JPEG file, before its EXIF data
_HEADER = 2**17  # bytes in which the EXIF data of a JPEG file are looked for
_LUMA = (19595, 38470, 7471)  # ITU-R 601 weights of R, G and B in 65536ths, as in Pillow
_ORIENTATION, _SHORT = 0x0112, 3  # tag and type of the EXIF entry
_APP1, _START_OF_SCAN, _END_OF_IMAGE = 0xE1, 0xDA, 0xD9
_EXIF = tuple(b"Exif\0\0")


def decode_images(encoded: tf.Tensor, input_shape: Shape) -> tuple[tf.Tensor, tf.Tensor]:
    """Image files as the classifier takes them: upright, cropped to its aspect ratio and resized.

    JPEG files are turned as their EXIF orientation says. An alpha channel is dropped, 16-bit
    samples keep their high byte, of an animation the first frame counts. TensorFlow cannot read
    WebP animations without an alpha channel.

    Args:
        encoded: (b,) string, the contents of JPEG, PNG, GIF, BMP or WebP files.
        input_shape: (H, W, c) that the classifier takes, c 1 or 3.

    Returns:
        Raw pixels (b, H, W, c) uint8, and (b,) bool: whether the row could be decoded. A row that
        could not (no image, truncated, more than 89 million pixels) is black.
    """

    def decode_row(row: tf.Tensor, contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image = _upright(_decode(contents), _orientation(contents))
        pixels = fit(image if input_shape[-1] == 3 else _grey(image), input_shape[:2])
        return row, tf.ensure_shape(pixels, input_shape)

    n = tf.shape(encoded, out_type=tf.int64)[0]
    rows = tf.data.Dataset.from_tensor_slices((tf.range(n), encoded))
    # the graph's only way to survive an error of an operation: a dataset that leaves out its row
    decoded = rows.map(decode_row, num_parallel_calls=_PARALLEL_ROWS).ignore_errors()
    blank = tf.data.Dataset.from_tensors((n, tf.zeros(input_shape, tf.uint8)))  # never empty
    found, pixels = decoded.concatenate(blank).batch(n + 1).get_single_element()
    found = found[:, None]
    images = tf.scatter_nd(found, pixels, tf.stack([n + 1, *input_shape]))
    valid = tf.scatter_nd(found, tf.ones_like(found[:, 0]), [n + 1]) > 0
    return tf.ensure_shape(images[:n], (None, *input_shape)), valid[:n]


def _decode(contents: tf.Tensor) -> tf.Tensor:
    """(any height, any width, 3) uint8, as the file has it; fails on what is not an image."""
    head = _bytes(tf.strings.substr(contents, 0, 32))
    with tf.control_dependencies([_check_size(contents, head)]):
        contents = tf.identity(contents)

    def decode(channels: int) -> tf.Tensor:
        return tf.io.decode_image(contents, channels=channels, expand_animations=False)[..., :3]

    def decode_jpeg() -> tf.Tensor:
        return tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE")

    kinds = [(tf.io.is_jpeg(contents), decode_jpeg), (_is_webp_with_alpha(head), lambda: decode(4))]
    return tf.case(kinds, default=lambda: decode(3))


def _is_webp_with_alpha(head: tf.Tensor) -> tf.Tensor:
    """() bool: TensorFlow wants to be asked for as many channels as a WebP file has, 3 or 4.

    Never for 0, "as many as there are": that kills the process if the file is an animation.
    """
    extended = _starts(head, b"WEBPVP8X", 8) & (_number(head, 20, 1) // 0x10 % 2 == 1)
    lossless = _starts(head, b"WEBPVP8L", 8) & (_number(head, 24, 1) // 0x10 % 2 == 1)
    return extended | lossless


def _check_size(contents: tf.Tensor, head: tf.Tensor) -> tf.Operation:
    """Fails, before anything is decoded, if the header speaks of too many pixels."""
    sizes = [
        (tf.io.is_jpeg(contents), lambda: tf.io.extract_jpeg_shape(contents)[:2]),
        (_starts(head, b"\x89PNG"), lambda: _number(head, (16, 20), 4)),
        (_starts(head, b"GIF8"), lambda: _number(head, (6, 8), -2)),
        (_starts(head, b"BM"), lambda: _number(head, (18, 22), -4)),
        (_starts(head, b"VP8 ", 12), lambda: _number(head, (26, 28), -2) % 2**14),
        (_starts(head, b"VP8L", 12), lambda: _number(head, 21, -4) // (1, 2**14) % 2**14 + 1),
        (_starts(head, b"VP8X", 12), lambda: _number(head, (24, 27), -3) + 1),
    ]
    size = tf.case(sizes, default=lambda: tf.zeros((2,), tf.int32))
    pixels = tf.abs(tf.reduce_prod(tf.cast(size, tf.float32)))
    return tf.debugging.assert_less_equal(pixels, float(_MAX_PIXELS))


def _grey(image: tf.Tensor) -> tf.Tensor:
    """(h, w, 1) uint8: the luma of RGB, rounded as Pillow rounds it."""
    weighted = tf.reduce_sum(tf.cast(image, tf.int32) * _LUMA, axis=-1, keepdims=True)
    return tf.cast((weighted + 2**15) // 2**16, tf.uint8)


def _upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """The image turned as EXIF says: 1 as it is, 2 to 4 mirrored, 5 to 8 with its sides swapped."""
    swapped = orientation >= 5
    image = tf.cond(swapped, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    for axis, mirrored in ((1, (2, 3, 6, 7)), (0, (3, 4, 7, 8))):
        image = tf.cond(
            tf.reduce_any(orientation == mirrored),
            lambda image=image, axis=axis: tf.reverse(image, [axis]),
            lambda image=image: image,
        )
    return image


def _orientation(contents: tf.Tensor) -> tf.Tensor:
    """() int32, 1 to 8: the EXIF orientation of a JPEG file; 1 if there is none."""
    data = _bytes(tf.strings.substr(contents, 0, _HEADER))
    size = tf.size(data)

    def goes_on(at: tf.Tensor) -> tf.Tensor:
        kind = _number(data, at + 1, 1)
        ends = tf.reduce_any(kind == (_START_OF_SCAN, _END_OF_IMAGE))
        return (_number(data, at, 1) == 0xFF) & ~ends & ~_is_exif(data, at) & (at < size)

    def skip(at: tf.Tensor) -> tuple[tf.Tensor]:
        return (at + 2 + _number(data, at + 2, 2),)

    at = tf.while_loop(goes_on, skip, (2,), maximum_iterations=_MAX_SEGMENTS)[0]
    found = tf.io.is_jpeg(contents) & _is_exif(data, at)
    return tf.cond(found, lambda: _read_orientation(data, at + 4 + len(_EXIF)), lambda: 1)


def _is_exif(data: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
    """() bool: whether the JPEG segment at this place holds EXIF data."""
    wanted = (_APP1, *_EXIF)
    return tf.reduce_all(_take(data, at + (1, 4, 5, 6, 7, 8, 9)) == wanted)


def _read_orientation(data: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """() int32, 1 to 8, from the first directory of the TIFF data that begin at `start`."""
    little = _number(data, start, 1) == ord("I")

    def number(at: tf.Tensor, length: int) -> tf.Tensor:
        return tf.where(little, _number(data, at, -length), _number(data, at, length))

    directory = start + number(start + 4, 4)
    entries = directory + 2 + 12 * tf.range(number(directory, 2))
    is_it = (number(entries, 2) == _ORIENTATION) & (number(entries + 2, 2) == _SHORT)
    values = tf.boolean_mask(number(entries + 8, 2), is_it)
    value = tf.concat([values, [1]], axis=0)[0]
    return tf.where((value >= 1) & (value <= 8), value, 1)


def _starts(data: tf.Tensor, magic: bytes, at: int = 0) -> tf.Tensor:
    """() bool: whether these bytes stand there, by default at the file's beginning."""
    return tf.reduce_all(_take(data, tf.range(at, at + len(magic))) == tuple(magic))


def _number(data: tf.Tensor, at: Any, length: int) -> tf.Tensor:
    """The int32 numbers that begin at `at`, `length` bytes each; negative means little-endian.

    Four bytes are read as a signed number.
    """
    shifts = [8 * i for i in range(abs(length))]
    places = range(abs(length)) if length < 0 else reversed(range(length))
    return tf.add_n(
        [
            _take(data, tf.add(at, place)) * 2**shift
            for place, shift in zip(places, shifts, strict=True)
        ]
    )


def _take(data: tf.Tensor, at: Any) -> tf.Tensor:
    """The bytes at these places, 0 outside of the data."""
    at = tf.convert_to_tensor(at)
    inside = (at >= 0) & (at < tf.size(data))
    return tf.where(inside, tf.gather(tf.concat([data, [0]], axis=0), tf.where(inside, at, 0)), 0)


def _bytes(contents: tf.Tensor) -> tf.Tensor:
    """(n,) int32, 0 to 255."""
    return tf.cast(tf.io.decode_raw(contents, tf.uint8), tf.int32)
