"""Local Gradients Smoothing: darkens blocks that are full of edges, as most patches are."""

import tensorflow as tf

from tf_taintradar.baselines.base import Baseline
from tf_taintradar.classifier.kinds import PreprocessorSpec
from tf_taintradar.classifier.opened import ClassifierLike
from tf_taintradar.detection.pipeline import Tensors
from tf_taintradar.support.checks import check_integer, check_not_negative


class LocalGradientsSmoothing(Baseline):
    """Scores how far the label falls behind once blocks full of edges are darkened.

    The score is the lead of the best other label on the smoothed image, in nats: above 0, the label
    has changed. `recovered_label` is the prediction for the smoothed image.

    Args:
        classifier: any Keras image classifier that `TaintRadarModel` takes, or one that is opened
            already: `radar.opened`, or the result of `open_classifier`.
        preprocessor: raw pixels -> the classifier's input, as `TaintRadarModel` takes it; None for
            an opened classifier, which has its own.
        block: side of the square blocks, in pixels.
        overlap: overlap of neighboring blocks, in pixels, less than `block`.
        threshold: mean gradient in [0, 1] above which a block is smoothed.
        smoothing: strength of the smoothing, >= 0: a pixel of gradient g in such a block is
            multiplied by 1 - min(1, smoothing * g).

    Raises:
        ValueError: an argument is out of range.

    Source: Naseer, Khan, Porikli, "Local Gradients Smoothing: Defense against localized adversarial
    attacks", WACV 2019 (arXiv:1807.01216), with its values. The paper cleans images; the score is
    ours.
    """

    def __init__(
        self,
        classifier: ClassifierLike,
        *,
        preprocessor: PreprocessorSpec | None = None,
        block: int = 15,
        overlap: int = 5,
        threshold: float = 0.1,
        smoothing: float = 2.3,
    ) -> None:
        super().__init__(classifier, preprocessor=preprocessor)
        check_not_negative("smoothing", smoothing)
        self.block = check_integer("block", block, 1)
        self.overlap = check_integer("overlap", overlap, 0, block)
        self.threshold = threshold
        self.smoothing = smoothing
        self._answer = self._compile(self._smoothed)  # type: ignore[method-assign]

    def smooth(self, images: tf.Tensor) -> tf.Tensor:
        """The images (b, H, W, c) float32, raw pixels, with blocks full of edges darkened."""
        gradients = self._kept(edges(images))
        return images * (1 - tf.clip_by_value(self.smoothing * gradients, 0, 1))

    def _smoothed(self, images: tf.Tensor) -> Tensors:
        cleaned = self._classifier.logits(self.smooth(images))
        return self._after(self._classifier.logits(images), cleaned)

    def _kept(self, gradients: tf.Tensor) -> tf.Tensor:
        """The gradients (b, H, W, 1) inside blocks with many of them, elsewhere 0.

        The last blocks are cut off at the border. A pixel in several blocks is kept if any of them
        has many gradients.
        """
        height, width = gradients.shape[1:3]
        stride = self.block - self.overlap
        rows, columns = (max(0, -(-(side - self.block) // stride)) for side in (height, width))
        full = (rows * stride + self.block, columns * stride + self.block)
        padding = [[0, 0], [0, full[0] - height], [0, full[1] - width], [0, 0]]
        filter_ = tf.ones((self.block, self.block, 1, 1))
        inside = tf.pad(tf.ones_like(gradients), padding)
        total, count = (
            tf.nn.conv2d(part, filter_, stride, "VALID")
            for part in (tf.pad(gradients, padding), inside)
        )
        is_busy = tf.cast(total / count > self.threshold, tf.float32)
        shape = (tf.shape(gradients)[0], *full, 1)
        covered = tf.nn.conv2d_transpose(is_busy, filter_, shape, stride, "VALID")
        return gradients * tf.cast(covered[:, :height, :width] > 0, tf.float32)


def edges(images: tf.Tensor) -> tf.Tensor:
    """The gradient of the gray image at each pixel, scaled to [0, 1] over each image.

    Args:
        images: (b, H, W, c) float32.

    Returns:
        (b, H, W, 1) float32; 0 everywhere on an image of one color.
    """
    grey = tf.image.rgb_to_grayscale(images) if images.shape[-1] == 3 else images[..., :1]
    down, right = tf.image.image_gradients(grey)
    steepness = tf.sqrt(down**2 + right**2)
    low = tf.reduce_min(steepness, axis=(1, 2, 3), keepdims=True)
    high = tf.reduce_max(steepness, axis=(1, 2, 3), keepdims=True)
    return tf.math.divide_no_nan(steepness - low, high - low)
