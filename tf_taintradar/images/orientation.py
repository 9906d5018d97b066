"""The orientation that an image file states, found inside the graph where Pillow finds it.

Pillow reads the EXIF data of JPEG, PNG and WebP, and their XMP data if the former state none. What
only Pillow could read (compressed text, unusual types) fails the row: see `decode_images`.
"""

from typing import NamedTuple

import tensorflow as tf

from tf_taintradar.images.graph_bytes import joined, number, slice_of, starts, window

_TAG, _SHORT, _LONG = 0x0112, 3, 4  # the EXIF entry's tag, and the types of its value
_PREFIX = b"Exif\0\0"
_XMP_OF_JPEG, _XMP_OF_PNG = b"http://ns.adobe.com/xap/1.0/\0", b"XML:com.adobe.xmp"
_MENTIONED = r"(?s)\C*(eXIf|exif\x00|xmp\x00|Raw profile type exif|XML:com.adobe.xmp)\C*"
_ODD_TEXTS = (b"Raw profile type exif\0", b"exif\0", b"xmp\0")
_STATED = r'(?s)\A\C*?tiff:Orientation(?:="|>)([0-9])\C*\z'
_MAX_STEPS = 2**16  # segments or chunks of a file


class Metadata(NamedTuple):
    """What a file says of its pixels.

    Attributes:
        exif: () string, its EXIF data as Pillow holds them; empty if there are none.
        xmp: () string, its XMP data.
        is_plain: () bool, whether they were found the way Pillow finds them, and the pixels are
            decoded the way Pillow decodes them.
    """

    exif: tf.Tensor
    xmp: tf.Tensor
    is_plain: tf.Tensor


def read_orientation(contents: tf.Tensor) -> tf.Tensor:
    """() int32: the orientation of a JPEG, PNG or WebP file, 2 to 8 if it must be turned.

    Fails on a file whose pixels or whose orientation only Pillow reads.
    """
    kinds = [
        (tf.io.is_jpeg(contents), lambda: _of_jpeg(contents)),
        (starts(contents, b"\x89PNG"), lambda: _of_png(contents)),
        (starts(contents, b"WEBPVP8X", 8), lambda: _of_webp(contents)),
    ]
    nothing = Metadata(tf.constant(b""), tf.constant(b""), tf.constant(True))
    exif, xmp, is_plain = tf.case(kinds, default=lambda: nothing)
    exif = tf.strings.regex_replace(exif, r"\A(Exif\x00\x00){1,2}", "")
    with tf.control_dependencies([tf.debugging.assert_equal(is_plain, True)]):
        stated = tf.cond(tf.equal(exif, b""), lambda: -1, lambda: _in_exif(exif))
        return tf.cond(stated < 0, lambda: _in_xmp(xmp), lambda: stated)


def _of_jpeg(contents: tf.Tensor) -> Metadata:
    """From the segments before the first scan. CMYK pixels are plain if an Adobe segment says so.

    Without one, Pillow takes their inks for inverted all the same, and TensorFlow does not.
    """

    def goes_on(at: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return _is_segment(window(contents, at, 2))

    def step(
        at: tf.Tensor, exif: tf.Tensor, xmp: tf.Tensor, inks: tf.Tensor, is_adobe: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        head = window(contents, at, 10)
        kind, length = head[1], joined(head[2:4], 2)
        text = slice_of(contents, at + 4, tf.maximum(length - 2, 0))
        is_app1, is_frame = kind == 0xE1, (kind >= 0xC0) & (kind <= 0xCF)
        is_frame &= tf.reduce_all(kind != (0xC4, 0xC8, 0xCC))
        more = tf.where(tf.equal(exif, b""), text, slice_of(text, len(_PREFIX), length))
        exif = tf.where(is_app1 & starts(text, _PREFIX), exif + more, exif)
        xmp = tf.where(is_app1 & starts(text, _XMP_OF_JPEG), text, xmp)
        inks = tf.where(is_frame, head[9], inks)
        is_adobe |= (kind == 0xEE) & starts(text, b"Adobe")
        return at + tf.where(kind == 0xFF, 1, 2 + length), exif, xmp, inks, is_adobe

    start = (tf.constant(2), tf.constant(b""), tf.constant(b""), tf.constant(0), tf.constant(False))
    at, exif, xmp, inks, is_adobe = tf.while_loop(
        goes_on, step, start, maximum_iterations=_MAX_STEPS
    )
    return Metadata(exif, xmp, starts(contents, b"\xff\xda", at) & ((inks != 4) | is_adobe))


def _is_segment(head: tf.Tensor) -> tf.Tensor:
    """() bool: whether a segment with a length, or a filling byte, begins with these two bytes."""
    kind = head[1]
    has_length = (kind >= 0xC0) & ((kind < 0xD0) | (kind > 0xDA))
    return (head[0] == 0xFF) & has_length


def _of_png(contents: tf.Tensor) -> Metadata:
    """From all chunks, but only if the file holds one of the words that they would begin with."""
    nothing = Metadata(tf.constant(b""), tf.constant(b""), tf.constant(True))
    is_mentioned = tf.strings.regex_full_match(contents, _MENTIONED)
    return Metadata(*tf.cond(is_mentioned, lambda: _of_chunks(contents), lambda: nothing))


def _of_chunks(contents: tf.Tensor) -> Metadata:
    size = tf.strings.length(contents)

    def goes_on(at: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return (at < size) & ~starts(contents, b"IEND", at + 4)

    def step(
        at: tf.Tensor, exif: tf.Tensor, xmp: tf.Tensor, is_plain: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        length = number(contents, at, 4)
        length = tf.where(length < 0, size, length)
        kind, text = slice_of(contents, at + 4, 4), slice_of(contents, at + 8, length)
        is_text = tf.reduce_any(tf.equal(kind, [b"tEXt", b"zTXt", b"iTXt"]))
        is_xmp = is_text & starts(text, _XMP_OF_PNG + b"\0")
        is_legible = tf.equal(kind, b"iTXt") & starts(text, b"\0", len(_XMP_OF_PNG) + 1)
        is_odd = tf.reduce_any([starts(text, word) for word in _ODD_TEXTS])
        exif = tf.where(tf.equal(kind, b"eXIf"), _PREFIX + text, exif)
        is_plain &= ~(is_text & is_odd) & (~is_xmp | is_legible)
        return at + 12 + length, exif, tf.where(is_xmp, text, xmp), is_plain

    start = (tf.constant(8), tf.constant(b""), tf.constant(b""), tf.constant(True))
    at, exif, xmp, is_plain = tf.while_loop(goes_on, step, start, maximum_iterations=_MAX_STEPS)
    return Metadata(exif, xmp, is_plain & starts(contents, b"IEND", at + 4))


def _of_webp(contents: tf.Tensor) -> Metadata:
    """From the first chunk of each kind that the header announces."""
    announced, end = number(contents, 20, 1), 8 + number(contents, 4, -4)

    def goes_on(at: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return (at >= 0) & (at < end)

    def step(at: tf.Tensor, exif: tf.Tensor, xmp: tf.Tensor) -> tuple[tf.Tensor, ...]:
        length = number(contents, at + 4, -4)
        text = slice_of(contents, at + 8, tf.maximum(length, 0))
        is_exif = (announced // 8 % 2 == 1) & starts(contents, b"EXIF", at) & tf.equal(exif, b"")
        is_xmp = (announced // 4 % 2 == 1) & starts(contents, b"XMP ", at) & tf.equal(xmp, b"")
        next_at = tf.where(length < 0, -1, at + 8 + length + length % 2)
        return next_at, tf.where(is_exif, text, exif), tf.where(is_xmp, text, xmp)

    start = (tf.constant(12), tf.constant(b""), tf.constant(b""))
    at, exif, xmp = tf.while_loop(goes_on, step, start, maximum_iterations=_MAX_STEPS)
    return Metadata(exif, xmp, (at == end) & (end <= tf.strings.length(contents)))


def _in_exif(exif: tf.Tensor) -> tf.Tensor:
    """() int32 from the first directory of TIFF data, -1 if it states no orientation."""
    little, big = starts(exif, b"II*\0"), starts(exif, b"MM\0*")

    def read(values: tf.Tensor, length: int) -> tf.Tensor:
        return tf.where(little, joined(values, -length), joined(values, length))

    directory = read(window(exif, 4, 4), 4)
    n = read(window(exif, directory, 2), 2)
    text = slice_of(exif, directory + 2, 12 * n)
    text = tf.strings.substr(text, 0, tf.strings.length(text) // 12 * 12)  # whole entries
    entries = tf.reshape(tf.cast(tf.io.decode_raw(text, tf.uint8), tf.int32), (-1, 12))
    found = tf.boolean_mask(entries, read(entries[:, :2], 2) == _TAG)
    kind, count = read(found[:, 2:4], 2), read(found[:, 4:8], 4)
    value = tf.where(kind == _SHORT, read(found[:, 8:10], 2), read(found[:, 8:12], 4))
    is_plain = (count == 1) & ((kind == _SHORT) | (kind == _LONG))
    is_single = (tf.size(kind) <= 1) & tf.reduce_all(is_plain)
    with tf.control_dependencies([tf.debugging.assert_equal((little | big) & is_single, True)]):
        return tf.cond(tf.size(value) > 0, lambda: tf.abs(value[0]), lambda: -1)


def _in_xmp(xmp: tf.Tensor) -> tf.Tensor:
    """() int32 from XMP data, -1 if they state no orientation."""
    is_stated = tf.strings.regex_full_match(xmp, _STATED)
    digit = tf.strings.regex_replace(xmp, _STATED, r"\1")
    return tf.cond(is_stated, lambda: tf.strings.to_number(digit, tf.int32), lambda: -1)
