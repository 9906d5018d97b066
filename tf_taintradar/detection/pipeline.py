"""The algorithm bound to one classifier, compiled once for every rule and batch size."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.classifier.graph import compiled, finite_rows
from tf_taintradar.classifier.opened import OpenedClassifier
from tf_taintradar.detection.critical import predict_with_critical_region
from tf_taintradar.detection.detection import Detection
from tf_taintradar.detection.paper import Paper
from tf_taintradar.detection.regions import Slope
from tf_taintradar.detection.rule import Rule, is_zero
from tf_taintradar.detection.rules import DEFAULT, RuleSpec, make_rule
from tf_taintradar.fills import FillSpec
from tf_taintradar.images.pixels import ImagesLike, Shape
from tf_taintradar.images.sources import ImageSource, count_images, files_of, iterate_batches
from tf_taintradar.support.progress import Progress, Verbosity

Tensors = dict[str, tf.Tensor]
Arrays = dict[str, npt.NDArray[Any]]


def detect(
    classifier: OpenedClassifier,
    images: tf.Tensor,
    *,
    variant: RuleSpec = DEFAULT,
    temperature: float = 2.0,
    map_threshold: float = 0.15,
    slope: Slope = None,
    fill: FillSpec | None = None,
    top_k: int | None = None,
) -> Detection:
    """Finds the region that the prediction hangs on, and how far the label drops without it.

    No row depends on another row of the batch.

    Args:
        classifier: see `open_classifier`.
        images: (b, H, W, c) float32, raw pixels 0..255.
        variant: how a region is removed and the score found: the name of a rule of
            `detection.rules`, or a rule.
        temperature: T > 0 of Eq. 3; above 1 it keeps the gradient from vanishing on sure labels.
        map_threshold: where a region ends, as a fraction of its map's maximum, in (0, 1].
        slope: for attackers who know the detector: every answer stays the same, and gradients of
            the logits and of the score pass through the regions; see `regions`.
        fill: what `Paper` paints into a region; other rules have no use for it.
        top_k: K of `Paper`; other rules have no use for it.

    Returns:
        The detection of each image.

    Raises:
        ValueError: there is no such rule, or a setting is out of range.

    Source: Figure 2, steps 1 to 8; step 9, the decision, is the caller's: score > threshold, or a
    score that is not finite.
    """
    own = {"fill": fill, "top_k": top_k} if variant == Paper.name else {}
    rule = make_rule(variant, **own)
    # 1, 2  forward, critical region
    prediction, maps = predict_with_critical_region(
        classifier, images, temperature=temperature, map_threshold=map_threshold, slope=slope
    )
    # 3 to 8  the rule's own
    return rule.detect(classifier, prediction, maps, slope=slope)


class Pipeline:
    """What a detector computes. Every method is one graph, the same for every batch size.

    All of them take images (b, H, W, c) float32, raw pixels 0..255, and a rule.

    Args:
        classifier: see `open_classifier`.
        temperature: T of Eq. 3.
        map_threshold: where a region ends, as a fraction of its map's maximum.
    """

    def __init__(
        self, classifier: OpenedClassifier, *, temperature: float, map_threshold: float
    ) -> None:
        self.classifier = classifier
        self._view: dict[str, Any] = {"temperature": temperature, "map_threshold": map_threshold}
        self._compiled = functools.cache(self._compile)

    def record(self, images: ImagesLike, rule: Rule) -> Detection:
        """Every intermediate result."""
        return self._compiled(self._record, rule)(images)

    def answer(self, images: ImagesLike, rule: Rule) -> Tensors:
        """What `TaintRadarModel.predict` answers, all but the decision."""
        return self._compiled(self._answer, rule)(images)

    def explain(self, images: ImagesLike, rule: Rule) -> Tensors:
        """What `answer` says, and all else that `Detection` and its evidence hold, by name."""
        return self._compiled(self._explain, rule)(images)

    def visibility(self, images: ImagesLike, rule: Rule) -> Tensors:
        """What can be seen on each image: empty maps (bool) and the areas of the regions."""
        return self._compiled(self._visibility, rule)(images)

    def benign_answers(self, images: ImagesLike, rule: Rule) -> Tensors:
        """What `Rule.calibrate` needs of benign images, and whether it `is_finite` (b,) bool."""
        return self._compiled(self._benign_answers, rule)(images)

    def classify(self, images: ImagesLike) -> Tensors:
        """`predictions` and `label` of the plain classifier, in one forward pass."""
        logits = self.classifier.logits(images)
        return {
            "predictions": self.classifier.predictions(logits),
            "label": tf.argmax(logits, axis=-1, output_type=tf.int32),
        }

    def over_batches(
        self, step: Callable[[npt.NDArray[np.float32]], Tensors], x: ImageSource, **bar: Any
    ) -> Arrays:
        """`over_batches` for images of this classifier."""
        return over_batches(step, x, self.classifier.input_shape, **bar)

    def _compile(self, method: Callable[..., Any], rule: Rule) -> Callable[[Any], Any]:
        return compiled(functools.partial(method, rule=rule), self.classifier.input_shape)

    def _record(self, images: tf.Tensor, rule: Rule) -> Detection:
        return detect(self.classifier, images, variant=rule, **self._view)

    def _answer(self, images: tf.Tensor, rule: Rule) -> Tensors:
        return self._summary(self._record(images, rule))

    def _explain(self, images: tf.Tensor, rule: Rule) -> Tensors:
        found = self._record(images, rule)
        fields = found.fields()
        shown = {name: fields[name] for name in fields if name not in ("images", "features")}
        return {**shown, **self._summary(found)}

    def _summary(self, found: Detection) -> Tensors:
        return {
            "predictions": self.classifier.predictions(found.prediction.logits),
            "label": found.prediction.label,
            "rank_shift": found.rank_shift,
            "score": found.score,
            "recovered_label": found.recovered_label,
        }

    def _visibility(self, images: tf.Tensor, rule: Rule) -> Tensors:
        prediction, maps = predict_with_critical_region(self.classifier, images, **self._view)
        found = rule.detect(self.classifier, prediction, maps)
        own = set(rule.arguments) & set(Paper.arguments)
        paper = Paper(**{name: getattr(rule, name) for name in own})
        evidence = paper.evidence(self.classifier, prediction, maps)
        return {
            "is_blind": rule.is_blind(self.classifier, prediction, maps),
            "empty_critical": is_zero(prediction.critical_map),
            "empty_negative": is_zero(evidence.negative_maps),
            "empty_tainted": ~tf.reduce_any(found.tainted_region, axis=(1, 2)),
            "critical_area": _area(prediction.critical_region),
            "negative_area": _area(evidence.negative_regions),
            "tainted_area": _area(found.tainted_region),
        }

    def _benign_answers(self, images: tf.Tensor, rule: Rule) -> Tensors:
        prediction, maps = predict_with_critical_region(self.classifier, images, **self._view)
        answers = rule.benign_answers(self.classifier, prediction, maps)
        basis = [prediction.logits, prediction.critical_map, *answers.values()]
        return {**answers, "is_finite": finite_rows(basis)}


def over_batches(
    step: Callable[[npt.NDArray[np.float32]], Tensors],
    x: ImageSource,
    input_shape: Shape,
    *,
    batch_size: int,
    verbose: Verbosity,
    steps: int | None = None,
    callbacks: keras.callbacks.CallbackList | None = None,
) -> Arrays:
    """Runs a step over all images and joins its answers.

    Args:
        step: from raw pixels (b, H, W, c) float32, 0..255, to arrays or tensors by name, the batch
            first.
        x: the images, as `iterate_batches` takes them.
        input_shape: (H, W, c).
        batch_size: the most images in one step.
        verbose: 0 for silence, 1 or "auto" for a progress bar.
        steps: the most batches, of the source's own if it yields batches; None: all.
        callbacks: their `on_predict_...` methods are called.

    Raises:
        ImageError: an image has the wrong shape, type or value range, or cannot be read.
        ValueError: `batch_size` or `steps` is out of range.
    """
    told = callbacks or keras.callbacks.CallbackList()
    files = files_of(x)  # a folder is searched only once
    x = x if files is None else files
    batches = iterate_batches(x, input_shape, batch_size, steps=steps)
    n = count_images(x)
    n = n if n is None or steps is None else min(n, steps * batch_size)
    bar = Progress(n, int(verbose not in (0, "0")))
    parts: list[Tensors] = []
    n_done = 0
    told.on_predict_begin()
    for i, batch in enumerate(batches):
        told.on_predict_batch_begin(i)
        parts.append(step(batch))
        told.on_predict_batch_end(i, {"outputs": parts[-1]})
        n_done += len(batch)
        bar.update(n_done)
    if n is None:
        bar.update(n_done, finalize=True)
    told.on_predict_end()
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _area(regions: tf.Tensor) -> tf.Tensor:
    """The share of the image that each region (..., H, W) covers."""
    return tf.reduce_mean(tf.cast(regions, tf.float32), axis=(-2, -1))
