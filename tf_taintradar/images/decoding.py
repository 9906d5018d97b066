"""From encoded image files to raw pixels inside the graph, as `files.read_image` reads them.

TensorFlow decodes JPEG, PNG, GIF, BMP and, from 2.20 on, WebP. An undecodable file affects only its
own row. A file that TensorFlow and Pillow decode into different pictures counts as undecodable.
"""

import tensorflow as tf

from tf_taintradar.images.files import fit
from tf_taintradar.images.graph_bytes import number, starts
from tf_taintradar.images.layouts import check_size, decode_bmp, decode_gif, decode_png
from tf_taintradar.images.orientation import read_orientation
from tf_taintradar.images.pixels import Shape

_PARALLEL_ROWS = 8
_LUMA = (19595, 38470, 7471)  # ITU-R 601 weights of R, G and B in 65536ths, as in Pillow


def decode_images(encoded: tf.Tensor, input_shape: Shape) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes image files as the classifier takes them: upright, cropped to its shape and resized.

    Files are oriented by their EXIF data, or by their XMP data if the former state no
    orientation. An alpha channel is dropped, including the transparent color of a GIF file; 16-bit
    samples keep their high byte; of an animation the first frame is used.

    Args:
        encoded: (b,) string, the contents of JPEG, PNG, GIF, BMP or WebP files.
        input_shape: (H, W, c) that the classifier takes, c 1 or 3.

    Returns:
        Raw pixels (b, H, W, c) uint8, and (b,) bool: whether the row could be decoded. A row that
        could not is black: no image, truncated, damaged, more than 89 million pixels, or a picture
        that only `read_image` reads correctly. Those are BMP files of 1, 4 or 16 bits, compressed
        or of OS/2; GIF files whose first frame does not fill the screen; WebP animations without an
        alpha channel; CMYK JPEG files without an Adobe segment; and files whose orientation is
        stated in compressed text or as an unusual type.

        What remains: damage to the pixels themselves. TensorFlow guesses at codes in GIF files that
        mean nothing, and at a few of WebP, where `read_image` refuses the file; and the two decode
        the damaged part of a JPEG file to values that can differ by a few levels.
    """

    def decode_row(row: tf.Tensor, contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image = _upright(_decode(contents), read_orientation(contents))
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
    """(any H, any W, 3) uint8, as the file has it; fails on what is not an image."""
    with tf.control_dependencies([check_size(contents)]):
        contents = tf.identity(contents)

    def decode(channels: int) -> tf.Tensor:
        return tf.io.decode_image(contents, channels=channels, expand_animations=False)[..., :3]

    def decode_jpeg() -> tf.Tensor:
        return tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE")

    kinds = [
        (tf.io.is_jpeg(contents), decode_jpeg),
        (starts(contents, b"\x89PNG"), lambda: decode_png(contents)),
        (starts(contents, b"BM"), lambda: decode_bmp(contents)),
        (starts(contents, b"GIF8"), lambda: decode_gif(contents)),
        (_is_webp_with_alpha(contents), lambda: decode(4)),
    ]
    return tf.case(kinds, default=lambda: decode(3))


def _is_webp_with_alpha(contents: tf.Tensor) -> tf.Tensor:
    """() bool: TensorFlow wants to be asked for as many channels as a WebP file has, 3 or 4.

    Never for 0, "as many as there are": that kills the process if the file is an animation.
    """
    extended = starts(contents, b"WEBPVP8X", 8) & (number(contents, 20, 1) // 0x10 % 2 == 1)
    lossless = starts(contents, b"WEBPVP8L", 8) & (number(contents, 24, 1) // 0x10 % 2 == 1)
    return extended | lossless


def _grey(image: tf.Tensor) -> tf.Tensor:
    """(h, w, 1) uint8: the luma of RGB, rounded as Pillow rounds it."""
    weighted = tf.reduce_sum(tf.cast(image, tf.int32) * _LUMA, axis=-1, keepdims=True)
    return tf.cast((weighted + 2**15) // 2**16, tf.uint8)


def _upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """The image turned as EXIF says: 1 as it is, 2 to 4 mirrored, 5 to 8 transposed, too."""
    swapped = (orientation >= 5) & (orientation <= 8)
    image = tf.cond(swapped, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    for axis, mirrored in ((1, (2, 3, 6, 7)), (0, (3, 4, 7, 8))):
        image = tf.cond(
            tf.reduce_any(orientation == mirrored),
            lambda image=image, axis=axis: tf.reverse(image, [axis]),
            lambda image=image: image,
        )
    return image
