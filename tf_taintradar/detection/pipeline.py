"""The algorithm bound to one classifier and its settings, compiled once for every batch size."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.classifier.graph import compiled
from tf_taintradar.classifier.opened import OpenedClassifier
from tf_taintradar.detection.critical import Sight, look
from tf_taintradar.detection.paper import Evidence, gather_evidence, rank_shifts
from tf_taintradar.detection.rules import Detection, detect
from tf_taintradar.fills import Fill
from tf_taintradar.images.files import count_images, iterate_batches
from tf_taintradar.images.pixels import Shape

Tensors = dict[str, tf.Tensor]
Arrays = dict[str, npt.NDArray[Any]]


class Pipeline:
    """What a detector computes. Every method is one graph, the same for every batch size.

    All of them take images (b, H, W, c) float32, raw pixels 0..255, and K.

    Args:
        classifier: see `open_classifier`.
        variant: how a region is removed and the decision found, see `detect`.
        fill: what is painted into a region.
        temperature: T of Eq. 3.
        map_threshold: where a region ends, as a fraction of its map's maximum.
    """

    def __init__(
        self,
        classifier: OpenedClassifier,
        *,
        variant: str,
        fill: Fill,
        temperature: float,
        map_threshold: float,
    ) -> None:
        self.classifier = classifier
        self._variant = variant
        self._fill = fill
        self._view = {"temperature": temperature, "map_threshold": map_threshold}
        self._compiled = functools.cache(self._compile)

    def record(self, images: Any, top_k: int) -> Detection:
        """Every intermediate result."""
        return self._compiled(self._record, top_k)(images)

    def answer(self, images: Any, top_k: int) -> Tensors:
        """What `TaintRadarModel.predict` answers, all but the decision."""
        return self._compiled(self._answer, top_k)(images)

    def explain(self, images: Any, top_k: int) -> Tensors:
        """What `answer` says, and all else that `Detection` and its `Evidence` hold, by name."""
        return self._compiled(self._explain, top_k)(images)

    def classify(self, images: Any) -> Tensors:
        """`predictions` and `label` of the plain classifier, in one forward pass."""
        logits = self.classifier.logits(images)
        return {
            "predictions": self.classifier.predictions(logits),
            "label": tf.argmax(logits, axis=-1, output_type=tf.int32),
        }

    def visibility(self, images: Any, top_k: int) -> Tensors:
        """What can be seen on each image: empty maps (bool) and the areas of the regions."""
        return self._compiled(self._visibility, top_k)(images)

    def sweep(self, images: Any, k_max: int) -> Tensors:
        """`rank_shifts` and `areas` (b, k_max) for every K up to k_max; `is_blind` (b, k_max)."""
        return self._compiled(self._sweep, k_max)(images)

    def scores(self, images: Any, top_k: int) -> Tensors:
        """`score` (b,); `is_blind` (b,), whether the critical map is zero everywhere."""
        return self._compiled(self._scores, top_k)(images)

    def over_batches(
        self, step: Callable[[npt.NDArray[np.float32]], Tensors], x: Any, **bar: Any
    ) -> Arrays:
        """`over_batches` for images of this classifier."""
        return over_batches(step, x, self.classifier.input_shape, **bar)

    def _compile(self, method: Callable[..., Any], top_k: int) -> Callable[[Any], Any]:
        return compiled(functools.partial(method, top_k=top_k), self.classifier.input_shape)

    def _record(self, images: tf.Tensor, top_k: int) -> Detection:
        return detect(
            self.classifier,
            images,
            variant=self._variant,
            fill=self._fill,
            top_k=top_k,
            **self._view,
        )

    def _answer(self, images: tf.Tensor, top_k: int) -> Tensors:
        return self._summary(self._record(images, top_k))

    def _explain(self, images: tf.Tensor, top_k: int) -> Tensors:
        found = self._record(images, top_k)
        fields = {**found.sight._asdict(), **found.evidence._asdict(), **found._asdict()}
        inner = ("sight", "evidence", "images", "features")
        shown = {name: value for name, value in fields.items() if name not in inner}
        return {**shown, **self._summary(found)}

    def _summary(self, found: Detection) -> Tensors:
        return {
            "predictions": self.classifier.predictions(found.sight.logits),
            "label": found.sight.label,
            "rank_shift": found.rank_shift,
            "score": found.score,
            "recovered_label": found.recovered_label,
        }

    def _visibility(self, images: tf.Tensor, top_k: int) -> Tensors:
        found = self._record(images, top_k)
        sight, evidence = found.sight, found.evidence
        if not isinstance(evidence, Evidence):
            sight, evidence = self._evidence(images, top_k)
        return {
            "empty_critical": _is_zero(sight.critical_map),
            "empty_negative": _is_zero(evidence.negative_maps),
            "empty_tainted": ~tf.reduce_any(found.tainted_region, axis=(1, 2)),
            "critical_area": _area(sight.critical_region),
            "negative_area": _area(evidence.negative_regions),
            "tainted_area": _area(found.tainted_region),
        }

    def _sweep(self, images: tf.Tensor, top_k: int) -> Tensors:
        sight, evidence = self._evidence(images, top_k)
        shifts, areas = rank_shifts(self.classifier, sight, evidence, fill=self._fill)
        blind = _is_zero(evidence.negative_maps)
        return {"rank_shifts": shifts, "areas": areas, "is_blind": blind}

    def _scores(self, images: tf.Tensor, top_k: int) -> Tensors:
        found = self._record(images, top_k)
        return {"score": found.score, "is_blind": _is_zero(found.sight.critical_map)}

    def _evidence(self, images: tf.Tensor, top_k: int) -> tuple[Sight, Evidence]:
        sight, channel_weights = look(self.classifier, images, **self._view)
        return sight, gather_evidence(
            self.classifier,
            sight,
            channel_weights,
            fill=self._fill,
            top_k=top_k,
            map_threshold=self._view["map_threshold"],
        )


def over_batches(
    step: Callable[[npt.NDArray[np.float32]], Tensors],
    x: Any,
    input_shape: Shape,
    *,
    batch_size: int,
    verbose: Any,
) -> Arrays:
    """Runs a step over all images and joins its answers.

    Args:
        step: from raw pixels (b, H, W, c) float32, 0..255, to arrays or tensors by name, the batch
            first.
        x: the images, as `iterate_batches` takes them.
        input_shape: (H, W, c).
        batch_size: the most images in one step.
        verbose: 0 for silence, 1 or "auto" for a progress bar.

    Raises:
        ImageError: as `iterate_batches` raises it.
        ValueError: likewise.
    """
    bar = keras.utils.Progbar(count_images(x), verbose=int(verbose not in (0, "0")))
    parts: list[Tensors] = []
    for batch in iterate_batches(x, input_shape, batch_size):
        parts.append(step(batch))
        bar.add(len(batch))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _is_zero(maps: tf.Tensor) -> tf.Tensor:
    """Whether each map (..., h, w) is zero everywhere."""
    return tf.reduce_all(maps == 0, axis=(-2, -1))


def _area(regions: tf.Tensor) -> tf.Tensor:
    """The share of the image that each region (..., H, W) covers."""
    return tf.reduce_mean(tf.cast(regions, tf.float32), axis=(-2, -1))
