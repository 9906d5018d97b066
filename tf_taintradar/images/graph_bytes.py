"""Reads numbers and words out of a scalar string tensor, inside the graph."""

import tensorflow as tf


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
