"""Reads numbers, words and checksums out of a scalar string tensor, inside the graph."""

import numpy as np
import numpy.typing as npt
import tensorflow as tf

_CRC = 0xEDB88320  # the polynomial of PNG's and zlib's checksum, low bit first


def window(contents: tf.Tensor, at: tf.Tensor, length: int) -> tf.Tensor:
    """The bytes from `at` on, (length,) int32 of 0 to 255; 0 outside of the contents."""
    found = tf.io.decode_raw(slice_of(contents, at, length), tf.uint8, fixed_length=length)
    return tf.cast(tf.ensure_shape(found, (length,)), tf.int32)


def slice_of(contents: tf.Tensor, at: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """() string: `length` bytes from `at` on, fewer at the end; empty outside of the contents."""
    size = tf.strings.length(contents)
    at = tf.convert_to_tensor(at)
    inside = (at >= 0) & (at < size)
    return tf.strings.substr(contents, tf.where(inside, at, size), tf.where(inside, length, 0))


def number(contents: tf.Tensor, at: tf.Tensor, length: int) -> tf.Tensor:
    """() int32: the number at `at`, `length` bytes long; negative means little-endian.

    Four bytes are read as a signed number.
    """
    return joined(window(contents, at, abs(length)), length)


def joined(values: tf.Tensor, length: int) -> tf.Tensor:
    """(...) int32: bytes (..., abs(length)) as numbers; negative means little-endian."""
    n = abs(length)
    shifts = [8 * (i if length < 0 else n - 1 - i) for i in range(n)]
    return tf.add_n([values[..., i] * 2**shift for i, shift in enumerate(shifts)])


def starts(contents: tf.Tensor, word: bytes, at: tf.Tensor | int = 0) -> tf.Tensor:
    """() bool: whether the word stands there, by default at the beginning."""
    return tf.equal(slice_of(contents, at, len(word)), word)


def crc32(contents: tf.Tensor) -> tf.Tensor:
    """() int32: the checksum that `zlib.crc32` gives of four bytes or more, as a signed number.

    But for its first and its last step, it is linear in the bits of the contents: neighbours are
    added bit by bit, once the first of them is shifted past the second, until one is left.
    """
    values = tf.cast(tf.io.decode_raw(contents, tf.uint8), tf.int32)
    values = tf.concat([255 - values[:4], values[4:]], axis=0)  # a register of ones at the start
    shift = tf.constant(_shift_of_a_byte())

    def goes_on(bits: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        return tf.shape(bits)[0] > 1

    def step(bits: tf.Tensor, shift: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        bits = tf.pad(bits, [[tf.shape(bits)[0] % 2, 0], [0, 0]])
        return (bits[::2] @ shift + bits[1::2]) % 2, shift @ shift % 2

    bits = tf.cast(tf.bitwise.right_shift(values[:, None], tf.range(8)) % 2, tf.float32)
    any_shape = tf.TensorShape((None, 32)), tf.TensorShape((32, 32))
    start = bits @ shift[:8] % 2, shift
    bits, _ = tf.while_loop(goes_on, step, start, shape_invariants=any_shape)
    return tf.reduce_sum(tf.cast(1 - bits[0], tf.int32) * tf.bitwise.left_shift(1, tf.range(32)))


def _shift_of_a_byte() -> npt.NDArray[np.float32]:
    """(32, 32): what becomes of each bit of the checksum's register a byte further on, in bits."""
    registers = 1 << np.arange(32)
    for _ in range(8):
        registers = (registers >> 1) ^ (registers & 1) * _CRC
    return (registers[:, None] >> np.arange(32) & 1).astype(np.float32)
