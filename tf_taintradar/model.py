"""TaintRadarModel: a Keras image classifier that knows when it is being fooled."""

import functools
import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.calibrating import Calibrating
from tf_taintradar.calibration.record import Calibration
from tf_taintradar.classifier.opened import OpenedClassifier, open_classifier
from tf_taintradar.detection.diagnosis import Diagnosis
from tf_taintradar.detection.explanation import Explanation
from tf_taintradar.detection.pipeline import Arrays, Pipeline, Tensors
from tf_taintradar.detection.rules import OCCLUSION, PAPER, VARIANTS
from tf_taintradar.fills import make_fill
from tf_taintradar.images.files import read_image
from tf_taintradar.images.pixels import as_pixels, check_shape
from tf_taintradar.saving import Saving
from tf_taintradar.settings import FIXED
from tf_taintradar.support.checks import require

_PAPER_TOP_K = 9


@keras.saving.register_keras_serializable(package="tf_taintradar")
class TaintRadarModel(Calibrating, Saving):
    """Wraps an image classifier; answers its predictions and whether an image attacks it.

    The classifier is not changed and needs no training. The words *region*, *fill* and *rank* are
    defined in the package's docstring.

    Args:
        classifier: any Keras image classifier (b, H, W, c) -> (b, n), Functional or Sequential,
            nested or not, with or without softmax; a subclassed network as a pair of models
            `(trunk, head)`. See `classifier.open_classifier`.
        preprocessor: what turns raw pixels 0..255 into the classifier's input: "caffe", "tf" or
            "torch" (the modes of keras.applications), another name of
            `preprocessing.make_preprocessor`, any Keras layer, or None if the classifier takes raw
            pixels.
        feature_layer: name of the layer whose output is the feature map; found automatically.
        variant: how a region is removed and the decision found, see `detection.detect`:
            "occlusion"; "bands", for aligned faces; "cover", for attackers who know the detector;
            or "paper", which is also meant by giving `top_k` or `rank_threshold`.
        score_threshold: of all but "paper": an image is adversarial if its score is above this.
            `calibrate` sets it.
        fill: of "paper": what is painted into a region: "noise" (the paper's choice for scenes),
            "blur", a colour, an image (the paper's average face), or a fill of
            `tf_taintradar.fills`.
        top_k: of "paper": K, how many of the labels that gain most take part: by default the
            paper's 9, or all labels if there are fewer. `calibrate` sets it.
        rank_threshold: of "paper": an image is adversarial if its label falls by more ranks than
            this. `calibrate` sets it; the paper's scene setting is top_k=9, rank_threshold=2.
        temperature: T of Eq. 3, > 0.
        map_threshold: where a region ends, as a fraction of its map's maximum, in (0, 1].
        class_names: a name for each label, used in explanations.

    Raises:
        UnsupportedClassifierError: the classifier cannot be opened.
        ValueError: another argument is out of range.

    Call arguments:
        images: raw RGB pixels (b, H, W, c), uint8 or float, 0..255.

    Source: Li et al., "Detecting Localized Adversarial Examples: A Generic Approach using Critical
    Region Analysis", INFOCOM 2021.
    """

    def __init__(
        self,
        classifier: Any,
        *,
        preprocessor: Any = None,
        feature_layer: str | None = None,
        variant: str | None = None,
        score_threshold: float | None = None,
        fill: Any = "noise",
        top_k: int | None = None,
        rank_threshold: int | None = None,
        temperature: float = 2.0,
        map_threshold: float = 0.15,
        class_names: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})  # raw pixels, whatever the policy
        require(temperature > 0, "temperature", temperature, "a number above 0")
        require(0 < map_threshold <= 1, "map_threshold", map_threshold, "a number in (0, 1]")
        if variant is None:
            variant = OCCLUSION if top_k is rank_threshold is None else PAPER
        require(variant in VARIANTS, "variant", variant, " or ".join(VARIANTS))
        self.classifier = classifier
        self.preprocessor = preprocessor
        self.feature_layer = feature_layer
        self.variant = variant
        self.fill = make_fill(fill)
        self.temperature = temperature
        self.map_threshold = map_threshold
        opened = open_classifier(classifier, feature_layer=feature_layer, preprocessor=preprocessor)
        self._pipeline = Pipeline(
            opened,
            variant=variant,
            fill=self.fill,
            temperature=temperature,
            map_threshold=map_threshold,
        )
        self.class_names = class_names
        self._top_k = min(_PAPER_TOP_K, opened.n_classes)
        self._threshold: float | None = None
        self._calibration: Calibration | None = None
        given = {"top_k": top_k, "rank_threshold": rank_threshold}
        for name, value in {**given, "score_threshold": score_threshold}.items():
            if value is not None:
                setattr(self, name, value)
        self.built = True

    # Settings

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuses to change what compiled graphs already hold."""
        if name in FIXED and name in self.__dict__:
            raise AttributeError(
                f"`{name}` cannot be changed; make a new TaintRadarModel(classifier, {name}=...)."
            )
        super().__setattr__(name, value)

    @property
    def opened(self) -> OpenedClassifier:
        """The classifier as the detector sees it: its feature map, its logits, its input shape."""
        return self._pipeline.classifier

    # Use

    def call(self, images: Any) -> dict[str, tf.Tensor]:
        """The answer for a batch, in the graph; see `predict`."""
        self._require_threshold()
        check_shape(images.shape, self._pipeline.classifier.input_shape)
        if tf.executing_eagerly():
            as_pixels(images, self._pipeline.classifier.input_shape)
        return self._answer(tf.cast(images, tf.float32))

    def _answer(self, images: Any) -> Tensors:
        return self._decide(self._pipeline.answer(images, self._top_k))

    def predict(self, x: Any, batch_size: int = 32, verbose: Any = "auto") -> Arrays:
        """The classifier's predictions and the verdict on each image.

        Args:
            x: n images: an array (n, H, W, c) of raw pixels 0..255, uint8 or float; a tf.data
                dataset of such batches (labels beside them are ignored); a folder; or a list of
                files. Files are resized to the classifier's input, arrays must have its size.
            batch_size: how many images are computed at once. No image's answer depends on it.
            verbose: 0 for silence, 1 or "auto" for a progress bar.

        Returns:
            A dict of arrays: `predictions` (n, classes) as the classifier gives them; `label` (n,)
            int32; `is_adversarial` (n,) bool; `rank_shift` (n,) int32, how many labels overtake the
            predicted one once the tainted region is filled; `score` (n,) float32, what the
            threshold is compared with; `recovered_label` (n,) int32, the prediction then.

        Raises:
            NotCalibratedError: there is no threshold yet.
            ImageError: an image has the wrong shape, type or value range, or cannot be read.
        """
        self._require_threshold()
        return self._pipeline.over_batches(self._answer, x, batch_size=batch_size, verbose=verbose)

    def score(self, x: Any, batch_size: int = 32, verbose: Any = 0) -> npt.NDArray[np.float32]:
        """The score (n,) float32 of each image, larger is more suspicious; needs no threshold.

        Arguments and errors as in `predict`.
        """
        return self.answer(x, batch_size, verbose)["score"]

    def answer(self, x: Any, batch_size: int = 32, verbose: Any = 0) -> Arrays:
        """What `predict` answers, all but the decision; needs no threshold. Arguments as there."""
        step = functools.partial(self._pipeline.answer, top_k=self._top_k)
        return self._pipeline.over_batches(step, x, batch_size=batch_size, verbose=verbose)

    def explain(self, image: Any) -> Explanation:
        """Every intermediate result for one image: (H, W, c) raw pixels, or a file."""
        shape = self._pipeline.classifier.input_shape
        if isinstance(image, str | os.PathLike):
            image = read_image(image, shape)
        pixels = as_pixels(np.asarray(image)[None], shape, argument="image")
        found = self._pipeline.record(pixels, self._top_k)
        threshold = self._threshold
        flag = None if threshold is None else bool(found.score[0] > threshold)
        return Explanation.of(found, is_adversarial=flag, class_names=self.class_names)

    def diagnose(self, x: Any, batch_size: int = 32, verbose: Any = 0) -> Diagnosis:
        """What the detector sees at its feature layer on images like these. Arguments as `predict`.

        Empty negative maps on nearly all images mean that no label can be suppressed at this layer,
        which the paper's rule rests on; empty critical maps, that nothing at all is seen there.
        """
        step = functools.partial(self._pipeline.visibility, top_k=self._top_k)
        seen = self._pipeline.over_batches(step, x, batch_size=batch_size, verbose=verbose)
        return Diagnosis(
            feature_layer=self._pipeline.classifier.feature_layer,
            feature_shape=self._pipeline.classifier.feature_shape,
            variant=self.variant,
            top_k=self._top_k,
            n_images=len(seen["empty_critical"]),
            **{name: float(values.mean()) for name, values in seen.items()},
        )
