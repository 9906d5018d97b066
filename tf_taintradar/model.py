"""TaintRadarModel: a Keras image classifier that knows when it is being fooled."""

import copy
import dataclasses
import json
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.calibration.by_score import smallest_threshold
from tf_taintradar.calibration.groups import as_groups, of_groups
from tf_taintradar.calibration.record import Calibration, check_finite, check_target
from tf_taintradar.classifier.checksum import WeightsChecksum
from tf_taintradar.classifier.closed import check_exportable, close_classifier, is_closed
from tf_taintradar.classifier.intake import InputSize, leaves_size_open
from tf_taintradar.classifier.kinds import PreprocessorSpec
from tf_taintradar.classifier.opened import (
    ClassifierLike,
    OpenedClassifier,
    former_feature_layer,
    open_classifier,
)
from tf_taintradar.classifier.precision import precision_of
from tf_taintradar.classifier.preprocessing import own_preprocessor
from tf_taintradar.detection.diagnosis import BLIND_SHARE, COARSE, Diagnosis, is_coarse
from tf_taintradar.detection.explanation import Explanation
from tf_taintradar.detection.pipeline import Arrays, Pipeline, Tensors
from tf_taintradar.detection.rule import Rule
from tf_taintradar.detection.rules import (
    DEFAULT,
    Bands,
    Cover,
    Occlusion,
    Paper,
    RuleSpec,
    Windows,
    make_rule,
    serialize_rule,
    why_foreign,
)
from tf_taintradar.errors import (
    BLIND,
    FORMER_RULE,
    MOVED_ON,
    NO_THRESHOLD,
    BlindDetectorError,
    NotCalibratedError,
    UnsupportedClassifierError,
)
from tf_taintradar.export.savedmodel import check_replaceable, write_savedmodel
from tf_taintradar.export.signatures import answer_raw, signatures
from tf_taintradar.fills import Fill, FillSpec
from tf_taintradar.images.files import read_image
from tf_taintradar.images.pixels import ImagesLike, as_pixels, check_shape, clip_rounding
from tf_taintradar.images.sources import (
    ImageSource,
    count_images,
    files_of,
    names_of,
    require_files,
)
from tf_taintradar.support.checks import require
from tf_taintradar.support.files import replacing
from tf_taintradar.support.names import ClassNames, as_class_names
from tf_taintradar.support.progress import Verbosity
from tf_taintradar.support.untrainable import Untrainable

_LOG = logging.getLogger(__name__)
_OPENED = ("classifier", "preprocessor", "feature_layer", "input_size", "label")
_BOUND = (*_OPENED, "temperature", "map_threshold")
_FORMER_SIZE = 224  # of classifiers that take any size, in files from before `input_size`
_FORMAT = 3  # of a config; those without one are from before 0.2
_RESCORED = {Cover.name: 2, Bands.name: 3}  # rules whose score is another since that format
_FIXED = (*_BOUND, "variant", "fill")
SETTINGS = (*_FIXED, "score_threshold", "top_k", "rank_threshold", "class_names")
"""The constructor's arguments, which are the detector's attributes and its config's keys, too."""


@keras.saving.register_keras_serializable(package="tf_taintradar")
class TaintRadarModel(Untrainable):
    """Wraps an image classifier and reports, with its predictions, whether an image attacks it.

    The classifier is not changed and needs no training. The words *region*, *fill* and *rank* are
    defined in the package's docstring.

    Examples:
        Wrap a classifier, choose the threshold on benign images, ask:

        >>> radar = TaintRadarModel(keras.applications.MobileNetV2(), preprocessor="tf")
        >>> radar.calibrate("benign/", target_fpr=0.03)
        >>> radar.predict("photos/")["is_adversarial"]

        See why, and keep it:

        >>> radar.explain("photos/cat.jpg").plot("why.png")
        >>> radar.save("radar.keras")
        >>> keras.models.load_model("radar.keras").calibration

        Choose another rule, with settings of its own:

        >>> from tf_taintradar import rules
        >>> careful = TaintRadarModel(classifier, variant=rules.Cover(largest_patch=0.2))
        >>> paper = TaintRadarModel(classifier, top_k=9, rank_threshold=2)

    Args:
        classifier: any Keras image classifier (b, H, W, c) -> (b, n), Functional or Sequential,
            nested or not, with or without softmax; a subclassed network as a pair of models
            `(trunk, head)`. See `classifier.open_classifier`. A rule that needs only the answers
            ("cover") also takes a subclassed model, a SavedModel, an ONNX file or a function; see
            `classifier.closed.close_classifier`.
        preprocessor: what turns raw pixels 0..255 into the classifier's input: "caffe", "tf" or
            "torch" (the modes of keras.applications), another name of
            `preprocessing.make_preprocessor`, any Keras layer, or None if the classifier takes raw
            pixels. With None, the classifier's own `preprocessor` is used if it has one that works
            on raw pixels, as the classifiers of KerasHub do.
        feature_layer: name of the layer whose output is the feature map; by default it is found
            automatically. A list names all maps that variant "occlusion" looks at, from first to
            last, ending with the feature map's layer. See `classifier.open_classifier`.
        input_size: height and width of the images, as one number or as `(height, width)`, for a
            classifier that takes images of any size: the size that it was trained on.
        label: the label to watch in a multi-label network (one sigmoid for each label), counted
            from 0. The detector then has two labels, 0 for no and 1 for yes, and `predictions` are
            (n, 1). A classifier with a single sigmoid is treated the same way and needs no `label`.
            Make one detector for each label that matters. See `classifier.open_classifier`.
        variant: how a region is removed and the score found: the name of a rule of
            `tf_taintradar.rules`, "occlusion" by default, or a rule with settings of its own.
            Passing `top_k` or `rank_threshold` also selects "paper".
        score_threshold: an image is adversarial if its score is above this. `calibrate` sets it.
            Variant "paper" has `rank_threshold` instead.
        fill: what variant "paper" paints into a region: "noise" (the default, the paper's choice
            for scenes), "blur", a color, an image (the paper's average face), or a fill of
            `tf_taintradar.fills`.
        top_k: K of variant "paper", the number of labels with the largest gains that take part; by
            default the paper's 9, or all labels if there are fewer. `calibrate` sets it.
        rank_threshold: the threshold of variant "paper": an image is adversarial if its label drops
            by more ranks than this. `calibrate` sets it; the paper's scene setting is top_k=9,
            rank_threshold=2.
        temperature: T of Eq. 3, > 0.
        map_threshold: the fraction of a map's maximum at which its region ends, in (0, 1].
        class_names: a name for each label, used in explanations: a list, `{index: name}`, or
            `{name: index}` as Keras's `class_indices`; or the `pathlib.Path` of a file, see
            `support.names.read_class_names`.
        kwargs: Keras's `name` and `trainable`. `dtype` can only be float32, because the detector
            takes raw pixels whatever precision the classifier computes in.

    Raises:
        UnsupportedClassifierError: the classifier cannot be opened.
        ValueError: another argument is out of range or belongs to another variant.

    Call arguments:
        images: raw RGB pixels (b, H, W, c), uint8 or float, 0..255.

    Source: Li et al., "Detecting Localized Adversarial Examples: A Generic Approach using Critical
    Region Analysis", INFOCOM 2021.
    """

    def __init__(
        self,
        classifier: ClassifierLike,
        *,
        preprocessor: PreprocessorSpec | None = None,
        feature_layer: str | Sequence[str] | None = None,
        input_size: InputSize = None,
        label: int | None = None,
        variant: RuleSpec | None = None,
        score_threshold: float | None = None,
        fill: FillSpec | None = None,
        top_k: int | None = None,
        rank_threshold: int | None = None,
        temperature: float = 2.0,
        map_threshold: float = 0.15,
        class_names: ClassNames | None = None,
        **kwargs: Any,
    ) -> None:
        dtype = keras.dtype_policies.get(kwargs.pop("dtype", None) or "float32")
        require(dtype.name == "float32", "dtype", dtype.name, "float32, or left out")
        super().__init__(dtype="float32", **kwargs)
        require(temperature > 0, "temperature", temperature, "a number above 0")
        require(0 < map_threshold <= 1, "map_threshold", map_threshold, "a number in (0, 1]")
        if variant is None:
            variant = DEFAULT if top_k is rank_threshold is None else Paper.name
        rule = make_rule(variant, fill=fill)
        is_seen = rule.needs_maps or not is_closed(classifier)
        opened = (open_classifier if is_seen else close_classifier)(
            classifier,
            feature_layer=feature_layer,
            preprocessor=preprocessor,
            input_size=input_size,
            label=label,
        )
        self.classifier = classifier
        self.preprocessor = own_preprocessor(classifier) if preprocessor is None else preprocessor
        names = feature_layer
        self.feature_layer = names if names is None or isinstance(names, str) else list(names)
        self.input_size = tuple(input_size) if isinstance(input_size, list) else input_size
        self.label = label
        self.temperature = temperature
        self.map_threshold = map_threshold
        self._pipeline = Pipeline(opened, temperature=temperature, map_threshold=map_threshold)
        self._rule = rule.adapted_to(opened)
        self._threshold: float | None = None
        self._checksum: WeightsChecksum | None = None
        self._warned_of: str | None = None  # the checksum of weights that have moved on
        self._calibration: Calibration | None = None
        self._provenance = "[]"
        self.class_names = class_names
        given = {"top_k": top_k, "rank_threshold": rank_threshold}
        for name, value in {**given, "score_threshold": score_threshold}.items():
            if value is not None:
                setattr(self, name, value)
        self.built = True

    # Settings

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuses to change what compiled graphs already hold."""
        if name in _FIXED and "_rule" in self.__dict__:
            raise AttributeError(
                f"`{name}` cannot be changed; make a new TaintRadarModel(classifier, {name}=...)."
            )
        super().__setattr__(name, value)

    @property
    def opened(self) -> OpenedClassifier:
        """The classifier as the detector sees it: its feature map, its logits, its input shape."""
        return self._pipeline.classifier

    @property
    def rule(self) -> Rule:
        """How a region is removed and the score found, with all settings."""
        return self._rule

    @property
    def variant(self) -> str:
        """The name of the rule."""
        return self._rule.name

    @property
    def fill(self) -> Fill | None:
        """What variant "paper" paints into a region; None with the other variants."""
        return getattr(self._rule, "fill", None)

    @property
    def top_k(self) -> int | None:
        """K, how many of the labels that gain most take part; None with the other variants."""
        return getattr(self._rule, "top_k", None)

    @top_k.setter
    def top_k(self, value: int) -> None:
        expected = f"left out: {why_foreign('top_k', self._rule)}"
        require("top_k" in self._rule.arguments, "top_k", value, expected)
        self._rule = self._rule.replaced(top_k=value).adapted_to(self.opened)
        self._calibration = None

    @property
    def threshold(self) -> float | None:
        """An image is adversarial if its score is above this; None: not set yet."""
        return self._threshold

    @property
    def rank_threshold(self) -> int | None:
        """The threshold of variant "paper", in ranks; None: not set, or another variant."""
        value = self._threshold_called("rank_threshold")
        return None if value is None else int(value)

    @rank_threshold.setter
    def rank_threshold(self, value: int) -> None:
        self._set_threshold("rank_threshold", value)

    @property
    def score_threshold(self) -> float | None:
        """The threshold in the unit of the score, often nats; None: not set, or variant "paper"."""
        return self._threshold_called("score_threshold")

    @score_threshold.setter
    def score_threshold(self, value: float) -> None:
        self._set_threshold("score_threshold", value)

    def _threshold_called(self, name: str) -> float | None:
        return self._threshold if self._rule.threshold_name == name else None

    def _set_threshold(self, name: str, value: float) -> None:
        expected = f"left out: the threshold of variant {self.variant!r} is "
        expected += f"`{self._rule.threshold_name}`"
        require(name == self._rule.threshold_name, name, value, expected)
        self._threshold = self._rule.check_threshold(value, self.opened.n_classes)
        self._calibration = None

    @property
    def class_names(self) -> list[str] | None:
        """A name for each label, None if the classes have no names."""
        return self._class_names

    @class_names.setter
    def class_names(self, value: ClassNames | None) -> None:
        if value is None:
            self._class_names = None
            return
        n_classes, names = self.opened.n_classes, as_class_names(value)
        fits = len(names) == n_classes
        require(fits, "class_names", value, f"{n_classes} names, one for each label")
        self._class_names = names

    @property
    def calibration(self) -> Calibration | None:
        """The calibration in force, None before `calibrate` and after setting a value by hand.

        Assigning one, as `Calibration.from_json` gives it, applies its settings.
        """
        return self._calibration

    @calibration.setter
    def calibration(self, value: Calibration) -> None:
        require(isinstance(value, Calibration), "calibration", value, "a Calibration")
        self._require_variant(value.variant, "calibration")
        threshold = self._rule.check_threshold(value.threshold, self.opened.n_classes)
        self._rule = self._rule.calibrated(value).adapted_to(self.opened)
        self._threshold, self._calibration = threshold, value

    @property
    def provenance(self) -> list[dict[str, Any]]:
        """The calibrations that this detector's file had before, the oldest first.

        See `calibration.provenance`. They are saved and exported with the detector.
        """
        return list(json.loads(self._provenance))

    @provenance.setter
    def provenance(self, entries: list[dict[str, Any]]) -> None:
        self._provenance = json.dumps(entries)

    def _require_variant(self, variant: str, argument: str) -> None:
        expected = f"of variant {self.variant!r}, this detector's"
        remedy = f"Make a detector with variant={variant!r}, or calibrate this one."
        require(variant == self.variant, argument, variant, expected, remedy)

    def _require_threshold(self) -> None:
        if self._threshold is None:
            raise NotCalibratedError(NO_THRESHOLD)

    def _weights_checksum(self) -> str:
        if self._checksum is None:
            self._checksum = WeightsChecksum(self.weights)
        return self._checksum()

    def _has_moved_on(self) -> bool:
        """Whether the classifier was trained further after the calibration."""
        known = None if self._calibration is None else self._calibration.weights
        return known is not None and known != self._weights_checksum()

    def _warn_if_moved_on(self) -> None:
        """Logs it once, and again when the weights have changed once more."""
        if self._has_moved_on() and self._warned_of != self._weights_checksum():
            _LOG.warning(MOVED_ON)
            self._warned_of = self._weights_checksum()

    # Use

    def call(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """The answer for a batch; see `predict`.

        In a graph, where no error can be raised, a row without raw pixels is answered as an
        exported detector answers it: suspicious, with label -1; see `signatures.UNKNOWN`.
        """
        self._require_threshold()
        check_shape(images.shape, self.opened.input_shape)
        if tf.executing_eagerly():
            as_pixels(images, self.opened.input_shape)
            return self._answer(clip_rounding(tf.cast(images, tf.float32)))
        return answer_raw(self._answer, images)

    def predict(
        self,
        x: ImageSource,
        batch_size: int | None = None,
        verbose: Verbosity = "auto",
        steps: int | None = None,
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        *,
        return_files: bool = False,
    ) -> Arrays:
        """The classifier's predictions and the verdict on each image.

        Args:
            x: n images: an array (n, H, W, c) of raw pixels 0..255, uint8 or float; a tf.data
                dataset, a PyDataset or a generator of such batches (labels are ignored); a folder;
                or a list or an array of files. Files are resized to the classifier's input, arrays
                must have its size.
            batch_size: the number of images computed at once, 32 by default. No result depends on
                it.
            verbose: 0 for silence, 1 or "auto" for a progress bar.
            steps: the number of batches after which to stop; by default all images are processed.
            callbacks: Keras callbacks; their `on_predict_...` methods are called.
            return_files: whether to add `file` (n,) str, the path of each row's file, where `x` is
                a folder, a file or a list of files. A list keeps its order; the files of a folder
                come before those of its sub-folders, as in Keras, each in the order of their
                names, numbers by value: `frame2.png` before `frame10.png`.

        Returns:
            A dict of arrays: `predictions` (n, classes) as the classifier gives them; `label` (n,)
            int32; `is_adversarial` (n,) bool; `rank_shift` (n,) int32, how many labels overtake the
            predicted one once the tainted region is filled; `score` (n,) float32, which is compared
            with the threshold (it is NaN, and the image always adversarial, where the classifier's
            answers are not finite); `recovered_label` (n,) int32, the label predicted without the
            tainted region.

        Raises:
            NotCalibratedError: there is no threshold yet.
            ImageError: an image has the wrong shape, type or value range, or cannot be read.
            ValueError: `batch_size` or `steps` is out of range, or `return_files` is true although
                `x` names no files.
        """
        self._require_threshold()
        self._warn_if_moved_on()
        files = require_files(x) if return_files else None
        listening = keras.callbacks.CallbackList(callbacks, model=self)
        answers = self._over_batches(
            self._answer, files or x, batch_size, verbose, steps=steps, callbacks=listening
        )
        if files is not None:
            answers["file"] = names_of(files, len(answers["label"]))
        return answers

    def predict_on_batch(self, x: ImageSource) -> Arrays:
        """`predict` for one batch of images (b, H, W, c), computed at once."""
        n = count_images(x)
        remedy = "`predict` takes what yields several."
        require(n is not None, "x", type(x).__name__, "one batch of images", remedy)
        return self.predict(x, batch_size=max(1, n or 0), verbose=0)

    def predict_scores(
        self, x: ImageSource, batch_size: int | None = None, verbose: Verbosity = 0
    ) -> Arrays:
        """Returns what `predict` returns, except for the decision; needs no threshold.

        Args:
            x: images in the forms of `predict`.
            batch_size: the number of images computed at once, 32 by default.
            verbose: 0 for silence, 1 or "auto" for a progress bar.

        Raises:
            ImageError: an image has the wrong shape, type or value range, or cannot be read.
        """
        return self._over_batches(self._predict_scores, x, batch_size, verbose)

    answer = predict_scores
    """The former name of `predict_scores`."""

    def score(
        self, x: ImageSource, batch_size: int | None = None, verbose: Verbosity = 0
    ) -> npt.NDArray[np.float32]:
        """Returns the score (n,) float32 of each image; larger is more suspicious.

        No threshold is needed. Arguments and errors are those of `predict_scores`.
        """
        return self.predict_scores(x, batch_size, verbose)["score"]

    def explain(self, image: ImagesLike | str | os.PathLike[str]) -> Explanation:
        """Returns all intermediate results for one image: (H, W, c) raw pixels, or a file."""
        shape = self.opened.input_shape
        if isinstance(image, str | os.PathLike):
            image = read_image(image, shape)
        pixels = as_pixels(np.asarray(image)[None], shape, argument="image")
        found = self._pipeline.record(pixels, self._rule)
        threshold = self._threshold
        flag = None if threshold is None else not found.score[0] <= threshold  # NaN: suspicious
        scores = getattr(self.calibration, "scores", None)
        about = {"class_names": self.class_names, "threshold": threshold, "benign_scores": scores}
        return self._rule.explain(found, is_adversarial=flag, **about)

    def diagnose(
        self, x: ImageSource, batch_size: int | None = None, verbose: Verbosity = 0
    ) -> Diagnosis:
        """Reports what the detector sees at its feature layer on images like these.

        If the negative maps of nearly all images are empty, no label can be suppressed at this
        layer, and the paper's rule has nothing to work with. If the critical maps are empty,
        nothing at all is seen there. Arguments and errors are those of `predict_scores`.

        Raises:
            UnsupportedClassifierError: the classifier cannot be opened, so there is nothing to see.
        """
        if self.opened.is_closed:
            raise UnsupportedClassifierError(
                "`diagnose` looks at feature maps, and this classifier cannot be opened. Variant "
                f"{self.variant!r} needs none."
            )
        seen = self._over_batches(self._visibility, x, batch_size, verbose)
        return Diagnosis(
            input_shape=self.opened.input_shape,
            feature_layer=self.opened.feature_layer,
            feature_shape=self.opened.feature_shape,
            layers=[stage.layer for stage in self._rule.stages(self.opened)],
            coarse_layer=self.opened.coarse_layer,
            variant=self.variant,
            top_k=seen["empty_negative"].shape[1],
            n_images=len(seen["empty_critical"]),
            blind_share=float(seen.pop("is_blind").mean()),
            **{name: float(values.mean()) for name, values in seen.items()},
        )

    def _over_batches(
        self,
        step: Callable[[npt.NDArray[np.float32]], Tensors],
        x: ImageSource,
        batch_size: int | None,
        verbose: Verbosity,
        **more: Any,
    ) -> Arrays:
        bar = {"batch_size": 32 if batch_size is None else batch_size, "verbose": verbose}
        return self._pipeline.over_batches(step, x, **bar, **more)

    def _predict_scores(self, images: tf.Tensor) -> Tensors:
        return self._pipeline.answer(images, self._rule)

    def _visibility(self, images: tf.Tensor) -> Tensors:
        return self._pipeline.visibility(images, self._rule)

    def _answer(self, images: tf.Tensor) -> Tensors:
        return self._decide(self._predict_scores(images))

    def _decide(self, answer: Tensors) -> Tensors:
        """The answer with the decision, step 9 of Figure 2; suspicious if there is no score."""
        is_benign = tf.math.is_finite(answer["score"]) & (answer["score"] <= self._threshold)
        return {**answer, "is_adversarial": ~is_benign}

    # Calibration

    def calibrate(
        self,
        x: ImageSource,
        target_fpr: float = 0.06,
        *,
        groups: npt.ArrayLike | None = None,
        k_max: int | None = None,
        batch_size: int | None = None,
        verbose: Verbosity = "auto",
    ) -> Calibration:
        """Chooses the threshold on benign images alone; no attack is needed.

        Args:
            x: benign images like those expected in use, in the forms of `predict`. It does not
                matter whether the classifier gets them right, but it must not have been trained on
                them: it is more certain of those.
            target_fpr: the largest share of them that may be flagged, in (0, 1).
            groups: a label for each image, such as "with glasses" and "without", "day" and "night",
                or a camera. The target then holds for each group separately, and the record has
                each group's rate. Every group needs as many images as a calibration without groups.
            k_max: the largest K that variant "paper" tries, 20 by default and never more than the
                number of labels. One sweep chooses K, see `choose_thresholds`.
            batch_size: the number of images computed at once, 32 by default.
            verbose: 0 for silence, 1 or "auto" for a progress bar.

        Returns:
            The calibration, also kept as `calibration` and saved with the model.

        Raises:
            ValueError: `target_fpr` or `k_max` is out of range, `k_max` is not an argument of this
                variant, or `groups` does not hold one label for each image.
            BlindDetectorError: nearly all maps are empty.
            CalibrationError: there are too few images, or too few in a group, for the target; no
                setting meets the target; or the classifier's answer to an image is not finite.
            ImageError: an image has the wrong shape, type or value range, or cannot be read.

        Source: section VI-B.
        """
        settings: dict[str, Any] = {"k_max": k_max, "batch_size": batch_size, "verbose": verbose}
        if groups is not None:
            groups = as_groups(groups, count_images(x))  # before the long work
        return self.calibrate_across([(self, x)], target_fpr, groups=groups, **settings)

    def calibrate_across(
        self,
        parts: Iterable[tuple["TaintRadarModel", ImageSource]],
        target_fpr: float = 0.06,
        *,
        groups: npt.ArrayLike | None = None,
        k_max: int | None = None,
        batch_size: int | None = None,
        verbose: Verbosity = "auto",
    ) -> Calibration:
        """Chooses the threshold on the classifier's training images, if there are no others.

        Each part of them is scored by a detector whose classifier was trained without it, and the
        threshold is chosen on all scores together.

        Args:
            parts: pairs of a detector and benign images. The detector has the same variant, its
                classifier has the same labels and was not trained on these images, which come in
                the forms of `predict`. The pairs are taken one after the other.
            target_fpr: the largest share of all images that may be flagged, in (0, 1).
            groups: a label for each image of all parts, in their order; see `calibrate`.
            k_max: the largest K that variant "paper" tries, 20 by default.
            batch_size: the number of images computed at once, 32 by default.
            verbose: 0 for silence, 1 or "auto" for a progress bar.

        Returns:
            The calibration, also kept as `calibration` and saved with the model.

        Raises:
            ValueError, BlindDetectorError, CalibrationError, ImageError: as for `calibrate`; also a
                ValueError for a detector of another variant.

        Source: Vovk, "Cross-conformal predictors", Annals of Mathematics and Artificial
        Intelligence 74, 2015.
        """
        check_target(target_fpr)
        self._rule.widened(k_max)  # refuses what is out of range before the long work
        names = None if groups is None else as_groups(groups)
        if names is not None:
            of_groups(smallest_threshold, np.zeros(len(names)), names, target_fpr)
        answers: list[Arrays] = []
        sources: list[ImageSource] = []
        for radar, x in parts:
            self._require_variant(radar.variant, "parts")
            answers.append(radar._benign_answers(x, k_max, batch_size, verbose))
            sources.append(x)
        require(len(answers) > 0, "parts", answers, "one pair of detector and images or more")
        seen = {name: np.concatenate([part[name] for part in answers]) for name in answers[0]}
        if not seen["is_finite"].all():  # a folder is read again only to name its images
            images: list[Path | int] = []
            for x, part in zip(sources, answers, strict=True):
                images += files_of(x) or range(len(images), len(images) + len(part["is_finite"]))
            check_finite(seen["is_finite"], images)
        if seen["is_blind"].mean() > BLIND_SHARE:
            raise BlindDetectorError(BLIND.format(self.opened.feature_layer))
        if self._rule.needs_maps and is_coarse(self.opened.feature_shape):
            height, width, _ = self.opened.feature_shape
            _LOG.warning("The feature map has %d x %d cells: %s.", height, width, COARSE)
        own = {} if names is None else {"groups": as_groups(names, len(seen["is_finite"]))}
        found = self._rule.calibrate(seen, target_fpr, self.opened.n_classes, **own)
        found = dataclasses.replace(found, weights=self._weights_checksum())
        self.calibration = found
        return found

    def _benign_answers(
        self, x: ImageSource, k_max: int | None, batch_size: int | None, verbose: Verbosity
    ) -> Arrays:
        rule = self._rule.widened(k_max)
        return self._over_batches(
            lambda images: self._pipeline.benign_answers(images, rule), x, batch_size, verbose
        )

    # Copies and files

    def replaced(self, **settings: Any) -> "TaintRadarModel":
        """Returns a new detector with other settings, and without a threshold unless one is given.

        Args:
            settings: arguments of the constructor. All others except the thresholds are taken from
                this detector.
        """
        own = {name: getattr(self, name) for name in (*_BOUND, "class_names")}
        return type(self)(**{**own, "variant": self._rule, **settings})

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True, **kwargs: Any) -> None:
        """Writes the detector, its classifier and its calibration to one `.keras` file.

        An older file of that name stays until the new one is complete. To read it back,
        `import tf_taintradar`, then `keras.models.load_model(filepath)`.

        Raises:
            ValueError: `filepath` does not end in `.keras`: no other format holds the calibration;
                or the classifier is a function or a loaded SavedModel, which no file can hold.
        """
        kind = type(self.classifier).__name__
        remedy = (
            "Take a SavedModel as keras.layers.TFSMLayer, a function as a registered Keras layer "
            "whose `call` it is. `export` needs no such thing."
        )
        is_known, expected = self._is_made_of_keras, "a Keras model or layer to be saved"
        require(is_known, "classifier", kind, expected, remedy)
        fits = str(filepath).endswith(".keras")
        remedy = (
            "Other files cannot hold the threshold and the settings. `export` writes a SavedModel, "
            "`radar.classifier.save_weights(...)` the classifier's weights alone."
        )
        require(fits, "filepath", os.fspath(filepath), "a name that ends in .keras", remedy)
        if not overwrite:
            super().save(filepath, overwrite=overwrite, **kwargs)  # Keras asks
            return
        with replacing(filepath) as partial:
            super().save(partial, **kwargs)

    def export(
        self, filepath: str | os.PathLike[str], format: str = "tf_saved_model", **kwargs: Any
    ) -> None:
        """Writes the detector as one SavedModel, which runs without Keras and without this package.

        The folder holds each weight once, the decision with its threshold, and what
        `signatures.signatures` lists. An older folder of that name stays until the new one is
        complete. Use this method for a single folder that you name yourself; for TensorFlow
        Serving, which expects a numbered folder for each version, and for half precision, use
        `tf_taintradar.export_savedmodel`.

        Args:
            filepath: the folder to write.
            format: only "tf_saved_model".
            **kwargs: Keras's `verbose`, which is ignored; nothing else.

        Raises:
            NotCalibratedError: there is no threshold yet, or it was chosen before the classifier
                was trained further.
            ValueError: another format, or an argument that cannot be honoured.
            FileExistsError: something else has that name and would be lost.
            UnsupportedClassifierError: the classifier is called in Python, outside of TensorFlow.
        """
        require(format == "tf_saved_model", "format", format, '"tf_saved_model"')
        unknown = set(kwargs) - {"verbose"}
        require(not unknown, "kwargs", sorted(unknown), "nothing but `verbose`")
        self._require_threshold()
        if self._has_moved_on():
            raise NotCalibratedError(MOVED_ON)
        check_exportable(self.opened)
        check_replaceable(filepath)
        with replacing(filepath) as partial:
            write_savedmodel(
                partial,
                signatures(self._pipeline, self._rule, decide=self._decide),
                weights=self.weights,  # `variables` has seeds, too, which no answer depends on
                description=self.description(),
            )

    @property
    def _is_made_of_keras(self) -> bool:
        parts = self.classifier if isinstance(self.classifier, Sequence) else [self.classifier]
        return all(isinstance(part, keras.layers.Layer) for part in parts)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments and the calibration, ready for JSON."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            **{name: serialize(getattr(self, name)) for name in SETTINGS},
            "variant": serialize_rule(self._rule),
            "calibration": self._calibration and self._calibration.to_json(),
            "provenance": self._provenance,
            "format": _FORMAT,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TaintRadarModel":
        """Rebuilds the detector that `get_config` described; its classifier's weights are new."""
        config = dict(config)
        for name in config.keys() & {"classifier", "preprocessor", "fill", "input_size"}:
            config[name] = keras.saving.deserialize_keras_object(copy.deepcopy(config[name]))
        if "input_size" not in config and leaves_size_open(config["classifier"]):
            config["input_size"] = _FORMER_SIZE
        _bring_up_to_date(config, config.pop("format", 1))
        calibration, provenance = config.pop("calibration", None), config.pop("provenance", "[]")
        radar = cls(**config)
        radar.provenance = json.loads(provenance)
        if calibration is not None:
            radar.calibration = Calibration.from_json(calibration)
        return radar

    def description(self) -> dict[str, Any]:
        """Describes the detector, ready for JSON, as the metadata of an export do."""
        opened = self.opened
        parts = self.classifier if isinstance(self.classifier, Sequence) else [self.classifier]
        return {
            "classifier": " + ".join(getattr(part, "name", type(part).__name__) for part in parts),
            "precision": precision_of(self.classifier),
            "input_shape": opened.input_shape,
            "n_classes": opened.n_classes,
            "label": self.label,
            "class_names": self.class_names,
            "feature_layer": opened.feature_layer,
            "feature_shape": opened.feature_shape,
            "variant": self.variant,
            "rule": self._rule.get_config(),
            "threshold": self.threshold,
            "fill": None if self.fill is None else repr(self.fill),
            "temperature": self.temperature,
            "map_threshold": self.map_threshold,
            "top_k": self.top_k,
            "calibration": self.calibration and json.loads(self.calibration.to_json()),
            "provenance": self.provenance,
        }


def _bring_up_to_date(config: dict[str, Any], written: int) -> None:
    """Changes a config of an earlier format, so that its detector answers as it did.

    One of a rule that has another score now cannot: the threshold is left out.
    """
    variant = config.get("variant", Paper.name)
    name = str(variant.get("name") if isinstance(variant, dict) else variant)
    if written < _RESCORED.get(name, 0):
        thresholds = [config.pop(known, None) for known in ("score_threshold", "calibration")]
        if any(value is not None for value in thresholds):
            _LOG.warning(FORMER_RULE.format(name))
        if name == Bands.name:
            config["variant"] = name  # its settings were of the feature map
    if written < 2:
        _bring_up_to_0_2(config, variant)


def _bring_up_to_0_2(config: dict[str, Any], variant: RuleSpec) -> None:
    """Changes a config of before 0.2: its feature layer, its fill, the name of its rule."""
    if config.get("feature_layer") is None:
        config["feature_layer"] = former_feature_layer(
            config["classifier"], config.get("input_size")
        )
    if variant != Paper.name:
        config.pop("fill", None)  # every detector had one
    if variant == Occlusion.name:
        config["variant"] = Windows.name
    elif isinstance(variant, dict) and "sides" in variant.get("config", {}):
        config["variant"] = {**variant, "name": Windows.name}
