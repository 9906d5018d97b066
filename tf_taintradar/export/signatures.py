"""The signatures of an exported detector: its functions from tensors to tensors, by name.

Each is one graph for every batch size, including an empty batch, and no row of a batch depends on
another. A row without a verdict does not fail its batch: its answer is `UNKNOWN`, with `valid`
false.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tf_taintradar.classifier.graph import finite_rows
from tf_taintradar.detection.pipeline import Pipeline, Tensors
from tf_taintradar.detection.rule import Rule
from tf_taintradar.images.decoding import decode_images
from tf_taintradar.images.pixels import clip_rounding, is_raw

UNKNOWN = {
    "predictions": 0.0,
    "label": -1,
    "is_adversarial": True,
    "rank_shift": -1,
    "score": -1.0,
    "recovered_label": -1,
}
"""The answer for an image that nobody could look at, or to which the classifier's answer is not
finite: suspicious, and no label."""

Endpoint = tuple[Callable[[tf.Tensor], Tensors], tf.TensorSpec]


def signatures(
    pipeline: Pipeline, rule: Rule, *, decide: Callable[[Tensors], Tensors]
) -> dict[str, Endpoint]:
    """The functions of a SavedModel, each with the type of its only argument.

    b images (H, W, c), raw RGB pixels 0..255. The answers are those of `TaintRadarModel.predict`,
    `predictions` as float32, and `valid` (b,) bool: false for a row for which the classifier's
    answer is not finite; its answer is `UNKNOWN`.

    - `serving_default`: `images` (b, H, W, c) uint8.
    - `serve_float`: `images` (b, H, W, c) float32; `valid` is false, too, for a row with NaN, with
      values outside [0, 255] by more than rounding, or all within [0, 1], as of pixels divided by
      255.
    - `serve_bytes`: `image_bytes` (b,) string; `valid` is false, too, for what `decode_images`
      cannot decode. Absent if the classifier takes neither grey nor RGB images.
    - `classify`: `images` (b, H, W, c) uint8; only `predictions`, `label` and `valid`, in one
      forward pass.
    - `explain`: `images` (b, H, W, c) uint8; the answers, and all other fields of
      `Detection` and its evidence but the images themselves.

    Args:
        pipeline: what the detector computes.
        rule: how a region is removed and the score found.
        decide: adds `is_adversarial` to an answer.
    """
    shape = pipeline.classifier.input_shape

    def answer(images: tf.Tensor) -> Tensors:
        return _judged(decide(pipeline.answer(images, rule)))

    def guarded(images: tf.Tensor, valid: tf.Tensor) -> Tensors:
        return _hide(_of_any_size(answer)(images), ~valid)

    def serve_float(images: tf.Tensor) -> Tensors:
        valid = is_raw(images)
        return guarded(_zeroed(clip_rounding(images), ~valid), valid)

    def serve_bytes(image_bytes: tf.Tensor) -> Tensors:
        return guarded(*decode_images(image_bytes, shape))

    def classify(images: tf.Tensor) -> Tensors:
        return _judged(pipeline.classify(images))

    def explain(images: tf.Tensor) -> Tensors:
        return _judged(decide(pipeline.explain(images, rule)))

    pixels = tf.TensorSpec((None, *shape), tf.uint8, "images")
    served: dict[str, Endpoint] = {
        "serving_default": (_of_any_size(answer), pixels),
        "serve_float": (serve_float, tf.TensorSpec((None, *shape), tf.float32, "images")),
        "classify": (_of_any_size(classify), pixels),
        "explain": (_of_any_size(explain), pixels),
    }
    if shape[-1] in (1, 3):
        served["serve_bytes"] = (serve_bytes, tf.TensorSpec((None,), tf.string, "image_bytes"))
    return served


def answer_raw(answer: Callable[[tf.Tensor], Tensors], images: tf.Tensor) -> Tensors:
    """The answers for images (b, H, W, c) of any dtype, with `UNKNOWN` for rows of no raw pixels.

    Floats within [0, 1] are no raw pixels, whole numbers are.
    """
    pixels = clip_rounding(tf.cast(images, tf.float32))
    bad = ~is_raw(pixels, can_be_unit=not images.dtype.is_floating)
    return _hide(answer(_zeroed(pixels, bad)), bad)


def _of_any_size(function: Callable[[tf.Tensor], Tensors]) -> Callable[[tf.Tensor], Tensors]:
    """The function of float32 images, for images of any dtype and for an empty batch.

    A convolution fails without rows, so one row is added to an empty batch and taken off again.
    Answers in half precision become float32.
    """

    def wrapped(images: tf.Tensor) -> Tensors:
        n = tf.shape(images)[0]
        missing = tf.cast(n == 0, tf.int32)
        padded = tf.pad(tf.cast(images, tf.float32), [[0, missing], [0, 0], [0, 0], [0, 0]])
        return {name: _single(value[:n]) for name, value in function(padded).items()}

    return wrapped


def _single(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(values, tf.float32) if values.dtype.is_floating else values


def _zeroed(images: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """The images, black in the given rows (b,)."""
    return tf.where(rows[:, None, None, None], tf.zeros((), images.dtype), images)


def _judged(answer: Tensors) -> Tensors:
    """The answer with `valid` (b,) bool, and `UNKNOWN` where it is false: a number is not finite.

    JSON has no NaN: a server that writes one writes what no parser reads.
    """
    is_finite = finite_rows(answer.values())
    return {**_hide(answer, ~is_finite), "valid": is_finite}


def _hide(answer: Tensors, rows: tf.Tensor) -> dict[str, Any]:
    """The answer, with `UNKNOWN` in the given rows (b,), and zero or false for the rest."""
    hidden = {}
    for name, value in answer.items():
        spread = tf.reshape(rows, (-1, *[1] * (value.shape.rank - 1)))
        hidden[name] = tf.where(spread, tf.cast(UNKNOWN.get(name, 0), value.dtype), value)
    return hidden
