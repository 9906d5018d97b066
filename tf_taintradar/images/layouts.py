"""Which PNG, BMP and GIF files TensorFlow decodes as Pillow does, found inside the graph."""

import tensorflow as tf

from tf_taintradar.images.graph_bytes import crc32, joined, number, slice_of, starts, window

MAX_PIXELS = 89_478_485  # where Pillow begins to suspect a decompression bomb
_MAX_BLOCKS = 2**16  # of a GIF file, before its first frame
_MAX_CHUNKS = 2**16  # of a PNG file
_MAX_SUMMED = 2**20  # bytes of a PNG file's chunk
_BMP_HEADERS = (40, 52, 56, 64, 108, 124)  # the lengths that Pillow knows
_MASKS = (0xFF0000, 0xFF00, 0xFF)  # of R, G and B in four bytes, as they are without masks
_BYTES = [bytes([value]) for value in range(256)]


def check_size(contents: tf.Tensor) -> tf.Operation:
    """Fails, before anything is decoded, if the header speaks of too many pixels."""

    def pair(first: int, second: int, length: int) -> tf.Tensor:
        return tf.stack([number(contents, at, length) for at in (first, second)])

    sizes = [
        (tf.io.is_jpeg(contents), lambda: tf.io.extract_jpeg_shape(contents)[:2]),
        (starts(contents, b"\x89PNG"), lambda: pair(16, 20, 4)),
        (starts(contents, b"GIF8"), lambda: pair(6, 8, -2)),
        (starts(contents, b"BM"), lambda: pair(18, 22, -4)),
        (starts(contents, b"VP8 ", 12), lambda: pair(26, 28, -2) % 2**14),
        (
            starts(contents, b"VP8L", 12),
            lambda: number(contents, 21, -4) // (1, 2**14) % 2**14 + 1,
        ),
        (starts(contents, b"VP8X", 12), lambda: pair(24, 27, -3) + 1),
    ]
    size = tf.case(sizes, default=lambda: tf.zeros((2,), tf.int32))
    return _check_pixels(size)


def _check_pixels(size: tf.Tensor) -> tf.Operation:
    pixels = tf.abs(tf.reduce_prod(tf.cast(size, tf.float32)))
    return tf.debugging.assert_less_equal(pixels, float(MAX_PIXELS))


def decode_png(contents: tf.Tensor) -> tf.Tensor:
    """(H, W, 3) uint8 of a PNG file; fails if a chunk before the pixels is damaged.

    TensorFlow passes over damaged chunks that it has no use for, and checks the others itself.
    """

    def goes_on(at: tf.Tensor, is_sound: tf.Tensor) -> tf.Tensor:
        return is_sound & ~starts(contents, b"IDAT", at + 4)

    def step(at: tf.Tensor, is_sound: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        length = number(contents, at, 4)
        is_optional = number(contents, at + 4, 1) >= ord("a")
        end = at + 8 + length
        summed = slice_of(contents, at + 4, length + 4)
        is_inside = (length >= 0) & (end + 4 <= tf.strings.length(contents))
        is_sound = tf.cond(
            is_inside & is_optional & (length <= _MAX_SUMMED),
            lambda: tf.equal(crc32(summed), number(contents, end, 4)),
            lambda: is_inside,
        )
        return end + 4, is_sound

    start = tf.constant(8), tf.constant(True)
    _, is_sound = tf.while_loop(goes_on, step, start, maximum_iterations=_MAX_CHUNKS)
    with tf.control_dependencies([tf.debugging.assert_equal(is_sound, True)]):
        return tf.io.decode_png(tf.identity(contents), channels=3)


def decode_bmp(contents: tf.Tensor) -> tf.Tensor:
    """(H, W, 3) uint8 of a BMP file with 8, 24 or 32 bits a pixel; fails on others.

    TensorFlow decodes the indices of a palette; the colours are looked up here.
    """
    bits, compression = number(contents, 28, -2), number(contents, 30, -4)
    masks = tf.stack([number(contents, at, -4) for at in (54, 58, 62)])
    is_masked = (bits == 32) & (compression == 3) & tf.reduce_all(masks == _MASKS)
    is_plain = (compression == 0) & tf.reduce_any(bits == (8, 24, 32))
    length = number(contents, 14, -4)
    is_plain = (is_plain | is_masked) & tf.reduce_any(length == _BMP_HEADERS)
    is_plain &= 14 + length <= tf.strings.length(contents)
    with tf.control_dependencies([tf.debugging.assert_equal(is_plain, True)]):
        contents = tf.identity(contents)
    image = tf.io.decode_image(contents, channels=3, expand_animations=False)
    return tf.cond(bits == 8, lambda: _colours(contents, image[..., 0]), lambda: image)


def _colours(contents: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    """(H, W, 3) uint8: the colours of the indices in a BMP file's palette."""
    n = number(contents, 46, -4)
    n = tf.where(n == 0, 256, n)
    start = 14 + number(contents, 14, -4)
    palette = tf.reshape(window(contents, start, 4 * 256), (256, 4))[:, 2::-1]  # B, G, R, 0
    has_all = (n <= 256) & (tf.reduce_max(tf.cast(indices, tf.int32)) < n)
    with tf.control_dependencies([tf.debugging.assert_equal(has_all, True)]):
        return tf.gather(tf.cast(palette, tf.uint8), tf.cast(indices, tf.int32))


def decode_gif(contents: tf.Tensor) -> tf.Tensor:
    """(H, W, 3) uint8: the first frame of a GIF file, transparent pixels in their colour.

    Fails if the frame leaves a part of the screen free, or is controlled twice.
    """
    frame, control, n_controls = _first_frame(contents)
    screen, box = window(contents, 6, 4), window(contents, frame + 1, 8)
    width, height = joined(screen[:2], -2), joined(screen[2:], -2)
    left, top, across, down = (joined(box[i : i + 2], -2) for i in range(0, 8, 2))
    is_full = (left == 0) & (top == 0) & (across >= width) & (down >= height)
    is_plain = is_full & (n_controls <= 1) & starts(contents, b",", frame)
    checks = [tf.debugging.assert_equal(is_plain, True), _check_pixels(tf.stack([across, down]))]
    with tf.control_dependencies(checks):
        opaque = tf.cond(n_controls == 1, lambda: _opaque(contents, control), lambda: contents)
    return tf.io.decode_image(opaque, channels=3, expand_animations=False)


def _first_frame(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Where the first frame begins, where its control's flags are, and how many controls it has."""
    flags = number(contents, 10, 1)
    table = tf.where(flags >= 0x80, 3 * tf.bitwise.left_shift(2, flags % 8), 0)

    def goes_on(at: tf.Tensor, is_inside: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return is_inside | starts(contents, b"!", at)

    def step(
        at: tf.Tensor, is_inside: tf.Tensor, control: tf.Tensor, n_controls: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        is_control = ~is_inside & starts(contents, b"!\xf9", at)
        length = number(contents, at, 1)  # of a block inside an extension, 0 for its end
        control = tf.where(is_control, at + 3, control)
        is_still_inside = ~is_inside | (length > 0)
        at += tf.where(is_inside, 1 + length, 2)
        return at, is_still_inside, control, n_controls + tf.cast(is_control, tf.int32)

    start = (13 + table, tf.constant(False), tf.constant(0), tf.constant(0))
    at, _, control, n_controls = tf.while_loop(goes_on, step, start, maximum_iterations=_MAX_BLOCKS)
    return at, control, n_controls


def _opaque(contents: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
    """The same GIF file without the flag, in the byte at `at`, that a colour is transparent."""
    flags = number(contents, at, 1)
    byte = tf.gather(_BYTES, flags - flags % 2)
    rest = slice_of(contents, at + 1, tf.strings.length(contents))
    return tf.strings.join([slice_of(contents, 0, at), byte, rest])
