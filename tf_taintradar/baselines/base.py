"""The base class of all baselines: a classifier, and scores in batches."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from typing_extensions import Self

from tf_taintradar.classifier.graph import compiled
from tf_taintradar.classifier.kinds import PreprocessorSpec
from tf_taintradar.classifier.opened import ClassifierLike, open_classifier
from tf_taintradar.detection.pipeline import Arrays, Tensors, over_batches
from tf_taintradar.detection.ranks import lead
from tf_taintradar.errors import NotFittedError
from tf_taintradar.images.pixels import ImagesLike
from tf_taintradar.images.sources import ImageSource
from tf_taintradar.support.progress import Verbosity

Fitted = TypeVar("Fitted")


class Baseline:
    """A defence that scores how suspicious an image is.

    Args:
        classifier: any Keras image classifier that `TaintRadarModel` takes, or one that is opened
            already: `radar.opened`, or the result of `open_classifier`.
        preprocessor: raw pixels -> the classifier's input, as `TaintRadarModel` takes it; None for
            an opened classifier, which has its own.

    Raises:
        UnsupportedClassifierError: the classifier cannot be opened.
        ValueError: `preprocessor` is given for an opened classifier.
    """

    def __init__(
        self, classifier: ClassifierLike, *, preprocessor: PreprocessorSpec | None = None
    ) -> None:
        self._classifier = open_classifier(classifier, preprocessor=preprocessor)

    def __repr__(self) -> str:
        """The name of the defence with its settings."""
        shown = {k: v for k, v in vars(self).items() if isinstance(v, int | float | str)}
        given = ", ".join(f"{k}={v!r}" for k, v in shown.items() if not k.startswith("_"))
        return f"{type(self).__name__}({given})"

    def fit(self, images: ImagesLike, *, verbose: Verbosity = 0) -> Self:
        """Fits the defence to benign images, once; most defences need no images.

        Args:
            images: (n, H, W, c) raw pixels, 0..255, not used for the calibration.
            verbose: 0 for silence, 1 or "auto" for a progress bar.

        Returns:
            The defence itself.

        Raises:
            ImageError: `images` are not raw pixels of the classifier's input shape.
            ValueError: there are too few images.
        """
        return self

    def score(
        self, x: ImageSource, batch_size: int = 32, verbose: Verbosity = 0
    ) -> npt.NDArray[np.float32]:
        """The score (n,) float32 of each image, larger is more suspicious.

        Args:
            x: n images, raw pixels 0..255, in any form that `TaintRadarModel.predict` takes.
            batch_size: number of images that are computed at once. No score depends on it.
            verbose: 0 for silence, 1 or "auto" for a progress bar.

        Raises:
            NotFittedError: `fit` has not been called yet.
            ImageError: an image has the wrong shape, type or value range, or cannot be read.
        """
        return self.predict_scores(x, batch_size, verbose)["score"]

    def predict_scores(
        self, x: ImageSource, batch_size: int = 32, verbose: Verbosity = 0
    ) -> Arrays:
        """The score and the labels of each image.

        Args:
            x: n images, raw pixels 0..255, in any form that `TaintRadarModel.predict` takes.
            batch_size: number of images that are computed at once. No result depends on it.
            verbose: 0 for silence, 1 or "auto" for a progress bar.

        Returns:
            A dict of arrays: `label` (n,) int32, the classifier's prediction; `score` (n,) float32;
            and, for defences that clean images, `recovered_label` (n,) int32, the prediction for
            the cleaned image.

        Raises:
            NotFittedError: `fit` has not been called yet.
            ImageError: an image has the wrong shape, type or value range, or cannot be read.
        """
        shape = self._classifier.input_shape
        return over_batches(self._answer, x, shape, batch_size=batch_size, verbose=verbose)

    answer = predict_scores
    """The former name of `predict_scores`."""

    def _answer(self, images: tf.Tensor) -> Tensors:
        """`predict_scores` for one batch (b, H, W, c) float32, raw pixels 0..255."""
        raise NotImplementedError

    def _compile(self, step: Callable[[tf.Tensor], Any]) -> Any:
        """A function of images (b, H, W, c) float32, compiled to one graph for any batch size."""
        return compiled(step, self._classifier.input_shape)

    def _after(self, logits: tf.Tensor, cleaned: tf.Tensor) -> Tensors:
        """The result of `answer` for a defence that cleans images and checks the label again.

        Args:
            logits: (b, n) float32, logits of the images.
            cleaned: (b, n) float32, logits of the cleaned images.
        """
        label = tf.argmax(logits, axis=-1, output_type=tf.int32)
        return {
            "label": label,
            "score": -lead(cleaned, label),
            "recovered_label": tf.argmax(cleaned, axis=-1, output_type=tf.int32),
        }


def require_fitted(fitted: Fitted | None, defence: Baseline) -> Fitted:
    """The result of `fit`; raises NotFittedError if it is None."""
    if fitted is None:
        raise NotFittedError(
            f"{type(defence).__name__} compares with benign images: call `fit(benign_images)` "
            "before `score`."
        )
    return fitted
