"""SentiNet: checks whether a salient region fools the classifier on other images, too."""

import dataclasses

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from typing_extensions import Self

from tf_taintradar.baselines.base import Baseline, require_fitted
from tf_taintradar.baselines.proposals import SelectiveSearch, likeliest_others
from tf_taintradar.classifier.kinds import PreprocessorSpec
from tf_taintradar.classifier.opened import ClassifierLike
from tf_taintradar.detection.cam import binarize, class_activation_map, trace_head, upsample
from tf_taintradar.detection.pipeline import Tensors
from tf_taintradar.errors import UnsupportedClassifierError
from tf_taintradar.images.pixels import ImagesLike, as_pixels
from tf_taintradar.support.checks import check_fraction, check_integer, require
from tf_taintradar.support.progress import Progress, Verbosity

_AT_ONCE = 25  # overlays computed together: bounds the memory
_FEWEST = 10  # benign images for the curve
_BINS = 20  # of AvgConf

Region = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class Curve:
    """The boundary of benign regions: Fooled is at most a x^2 + b x + c for AvgConf x."""

    a: float
    b: float
    c: float

    def above(self, average_confidence: float, fooled: float) -> float:
        """The vertical distance of a region above the curve."""
        x = average_confidence
        return fooled - (self.a * x * x + self.b * x + self.c)

    @classmethod
    def around(cls, points: npt.NDArray[np.floating]) -> "Curve":
        """The parabola through the highest of the points (AvgConf, Fooled), (n, 2), in each bin."""
        bins = np.minimum((points[:, 0] * _BINS).astype(int), _BINS - 1)
        highest = np.array(
            [max(points[bins == one], key=lambda point: point[1]) for one in np.unique(bins)]
        )
        degree = min(2, len(highest) - 1)
        found = np.polyfit(highest[:, 0], highest[:, 1], degree)
        return cls(*(0.0,) * (2 - degree), *map(float, found))


class SentiNet(Baseline):
    """Scores how much more a salient region fools the classifier than benign ones do.

    A region is where Grad-CAM of the predicted label is high, with or without the pixels where it
    is high for other labels that segments of the image show. Each region is pasted on benign
    images: Fooled is the share of them that take on the label, AvgConf the mean confidence with
    noise in place of the region. The score is the largest distance of a region above the curve of
    benign regions.

    Args:
        classifier: any Keras image classifier that `TaintRadarModel` takes, or one that is opened
            already: `radar.opened`, or the result of `open_classifier`.
        preprocessor: raw pixels -> the classifier's input, as `TaintRadarModel` takes it; None for
            an opened classifier, which has its own.
        n_overlays: number of benign images on which a region is pasted, >= 1; 100 in the paper.
        n_proposals: number of other labels, >= 0; 2 in the paper.
        n_segments: largest number of segments of an image that are searched for other labels.
        map_threshold: threshold of a region, as a fraction of its map's maximum, in (0, 1].
        seed: random seed of the noise.

    Attributes:
        curve: the curve that `fit` found; None before.

    Raises:
        ImportError: OpenCV is not installed.
        UnsupportedClassifierError: the classifier cannot be opened.
        ValueError: an argument is out of range.

    Source: Chou, Tramer, Pellegrino, "SentiNet: Detecting Localized Universal Attacks Against Deep
    Learning Systems", 2018 (arXiv:1812.00292). The distance above the curve is vertical here.
    """

    def __init__(
        self,
        classifier: ClassifierLike,
        *,
        preprocessor: PreprocessorSpec | None = None,
        n_overlays: int = 100,
        n_proposals: int = 2,
        n_segments: int = 20,
        map_threshold: float = 0.15,
        seed: int = 0,
    ) -> None:
        super().__init__(classifier, preprocessor=preprocessor)
        if self._classifier.is_closed:
            raise UnsupportedClassifierError(
                "SentiNet looks at feature maps, and `classifier` cannot be opened. Choose rivals "
                "that need its answers alone: PatchCleanser, LocalGradientsSmoothing, "
                "DigitalWatermarking."
            )
        check_fraction("map_threshold", map_threshold)
        self.n_overlays = check_integer("n_overlays", n_overlays, 1)
        self.n_proposals = check_integer("n_proposals", n_proposals, 0)
        self.map_threshold = map_threshold
        self.curve: Curve | None = None
        self.n_segments = n_segments
        self.seed = seed
        self._segments = SelectiveSearch(n_segments) if n_proposals else None
        self._overlays: tf.Tensor | None = None
        drawn = np.random.RandomState(seed).randint(0, 255, self._classifier.input_shape)
        self._noise = tf.constant(drawn, tf.float32)
        self._logits = self._compile(self._classifier.logits)
        self._maps = tf.function(self._grad_cam, autograph=False, reduce_retracing=True)

    def fit(self, images: ImagesLike, *, verbose: Verbosity = 0) -> Self:
        """Keeps the first `n_overlays` images as overlays, and fits the curve to the others.

        Args:
            images: (n, H, W, c) raw pixels, 0..255, at least `n_overlays` + 10 benign images, not
                used for the calibration.
            verbose: 0 for silence, 1 or "auto" for a progress bar.

        Returns:
            The defence itself.

        Raises:
            ImageError: `images` are not raw pixels of the classifier's input shape.
            ValueError: there are too few images, or none with a salient region.
        """
        pixels = as_pixels(images, self._classifier.input_shape)
        n_images, fewest = len(pixels), self.n_overlays + _FEWEST
        require(n_images >= fewest, "images", n_images, f"at least {fewest} images")
        self._overlays = tf.constant(pixels[: self.n_overlays])
        others = pixels[self.n_overlays :]
        bar = Progress(len(others), int(verbose not in (0, "0")))
        points: list[tuple[float, float]] = []
        for image in others:
            points += self._points(image)[1]
            bar.add(1)
        expected = "images of which some have a salient region"
        require(bool(points), "images", f"{len(others)} without any", expected)
        self.curve = Curve.around(np.array(points))
        return self

    def regions(self, image: npt.NDArray[np.float32], label: int) -> list[Region]:
        """The nonempty candidate regions (H, W) of an image (H, W, c), raw pixels."""
        others: list[int] = []
        if self._segments is not None:
            crops = self._segments.crops(image)
            if len(crops):
                probabilities = tf.nn.softmax(self._logits(crops)).numpy()
                others = likeliest_others(probabilities, label, self.n_proposals)
        labels = [label, *others, *[label] * (self.n_proposals - len(others))]
        of_label, *of_others = self._maps(image[None], tf.constant(labels)).numpy()
        found = [of_label, *(of_label & ~other for other in of_others[: len(others)])]
        return [region for region in found if region.any()]

    def test(
        self, image: npt.NDArray[np.float32], region: Region, label: int
    ) -> tuple[float, float]:
        """AvgConf and Fooled of a region of an image (H, W, c), raw pixels; needs `fit`."""
        benign = require_fitted(self._overlays, self)
        where, n_fooled, confidence = region[..., np.newaxis], 0, 0.0
        for start in range(0, self.n_overlays, _AT_ONCE):
            overlays = benign[start : start + _AT_ONCE]
            pasted = self._logits(tf.where(where, image, overlays))
            n_fooled += int((np.argmax(pasted, axis=-1) == label).sum())
            inert = tf.nn.softmax(self._logits(tf.where(where, self._noise, overlays)))
            confidence += float(tf.reduce_sum(tf.reduce_max(inert, axis=-1)))
        return confidence / self.n_overlays, n_fooled / self.n_overlays

    def _answer(self, images: tf.Tensor) -> Tensors:
        curve = require_fitted(self.curve, self)
        labels, scores = [], []
        for image in np.asarray(images):
            label, points = self._points(image)
            labels.append(label)
            scores.append(max((curve.above(*point) for point in points), default=-1.0))
        return {"label": tf.constant(labels), "score": tf.constant(scores, tf.float32)}

    def _points(self, image: npt.NDArray[np.float32]) -> tuple[int, list[tuple[float, float]]]:
        """The predicted label, and (AvgConf, Fooled) of each candidate region."""
        label = int(np.argmax(self._logits(image[None])))
        return label, [self.test(image, region, label) for region in self.regions(image, label)]

    def _grad_cam(self, image: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """The regions (k, H, W) bool where Grad-CAM of k labels is high; empty for an empty map."""
        stage, state = self._classifier.last, self._classifier.features(image)
        _, channel_weights = trace_head(stage, state)
        weightings = tf.one_hot(labels, self._classifier.n_classes)[:, tf.newaxis]
        weightings = tf.ensure_shape(weightings, (1 + self.n_proposals, 1, None))
        maps = tf.nn.relu(class_activation_map(stage.as_map(state), channel_weights(weightings)))
        large = upsample(maps, self._classifier.input_shape[:2])
        is_seen = tf.reduce_any(maps > 0, axis=(2, 3), keepdims=True)
        return (binarize(large, self.map_threshold) & is_seen)[0]
