"""Digital watermark removal: repaints dense clusters of salient pixels."""

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.baselines.base import Baseline
from tf_taintradar.classifier.kinds import PreprocessorSpec
from tf_taintradar.classifier.opened import ClassifierLike, OpenedClassifier
from tf_taintradar.detection.pipeline import Tensors
from tf_taintradar.images.pixels import ImagesLike
from tf_taintradar.support.checks import check_fraction, check_integer
from tf_taintradar.support.extras import import_extra

_GUIDED = "TfTaintradarGuidedRelu"


class DigitalWatermarking(Baseline):
    """Scores how far the label falls behind once the most salient clusters are repainted.

    Guided backpropagation finds the pixels that support the label. Of those above a threshold, only
    dense clusters survive an erosion; they are widened by a dilation and filled in from their
    surroundings (Telea's inpainting). The score is the lead of the best other label on the
    repainted image, in nats: above 0, the label has changed. `recovered_label` is the prediction
    for the repainted image.

    Args:
        classifier: any Keras image classifier that `TaintRadarModel` takes, or one that is opened
            already: `radar.opened`, or the result of `open_classifier`.
        preprocessor: raw pixels -> the classifier's input, as `TaintRadarModel` takes it; None for
            an opened classifier, which has its own.
        threshold: fraction of an image's largest saliency from which on a pixel is salient, in
            (0, 1].
        cluster: side of the square neighborhood in which salient pixels are counted, in pixels.
        density: smallest share of salient pixels in a cluster, in (0, 1].
        margin: number of pixels by which a cluster is widened, >= 0.
        radius: radius of the inpainting, in pixels, >= 1.

    Raises:
        ImportError: OpenCV is not installed.
        ValueError: an argument is out of range.

    Source: Hayes, "On Visible Adversarial Perturbations & Digital Watermarking", CVPR Workshops
    2018, the blind case. This is a re-implementation: the original parameters are not published in
    a form that could be checked; these are ours.
    """

    def __init__(
        self,
        classifier: ClassifierLike,
        *,
        preprocessor: PreprocessorSpec | None = None,
        threshold: float = 0.15,
        cluster: int = 9,
        density: float = 0.25,
        margin: int = 9,
        radius: int = 5,
    ) -> None:
        super().__init__(classifier, preprocessor=preprocessor)
        check_fraction("threshold", threshold)
        check_fraction("density", density)
        self.threshold = threshold
        self.cluster = check_integer("cluster", cluster, 1)
        self.density = density
        self.margin = check_integer("margin", margin, 0)
        self.radius = check_integer("radius", radius, 1)
        self._cv2 = import_extra(
            "cv2", feature="The inpainting of DigitalWatermarking", extra="baselines"
        )
        self._look = self._compile(self._clusters)
        self._logits = self._compile(self._classifier.logits)

    def clusters(self, images: ImagesLike) -> npt.NDArray[np.bool_]:
        """The region (b, H, W) bool to be repainted in images (b, H, W, c), raw pixels 0..255."""
        return self._look(tf.cast(images, tf.float32))[1].numpy()

    def _answer(self, images: tf.Tensor) -> Tensors:
        logits, clusters = self._look(images)
        cleaned = [
            self._repaint(*pair) for pair in zip(np.asarray(images), clusters.numpy(), strict=True)
        ]
        return self._after(logits, self._logits(np.stack(cleaned)))

    def _clusters(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits, saliency = guided_saliency(self._classifier, images)
        largest = tf.reduce_max(saliency, axis=(1, 2), keepdims=True)
        is_salient = (saliency >= self.threshold * largest) & (saliency > 0)
        share = tf.nn.avg_pool2d(
            tf.cast(is_salient, tf.float32)[..., tf.newaxis], self.cluster, 1, "SAME"
        )
        dense = tf.cast(share >= self.density, tf.float32)
        widened = tf.nn.max_pool2d(dense, 2 * self.margin + 1, 1, "SAME")
        return logits, widened[..., 0] > 0

    def _repaint(
        self, image: npt.NDArray[np.float32], region: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float32]:
        if not region.any() or region.all():
            return image
        pixels, hole = np.rint(image).astype(np.uint8), region.astype(np.uint8)
        painted = self._cv2.inpaint(pixels, hole, self.radius, self._cv2.INPAINT_TELEA)
        return np.where(region[..., None], painted.reshape(image.shape), image).astype(np.float32)


def guided_saliency(classifier: OpenedClassifier, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The logits and the saliency of images by guided backpropagation, inside a graph only.

    Args:
        classifier: the opened classifier, see `open_classifier`.
        images: (b, H, W, c) float32, raw pixels 0..255.

    Returns:
        The logits (b, n), and (b, H, W) float32 >= 0: the largest gradient of the predicted label's
        logit over the channels, where every ReLU passes only positive gradients of positive
        outputs. Other activations keep their own gradient.

    Source: Springenberg et al., "Striving for Simplicity: The All Convolutional Net", 2015.
    """
    guided = {"Relu": _GUIDED, "Relu6": _GUIDED}
    with tf.compat.v1.get_default_graph().gradient_override_map(guided):
        logits = classifier.logits(images)
    (gradient,) = tf.gradients(tf.reduce_max(logits, axis=-1), images)
    return logits, tf.reduce_max(tf.abs(gradient), axis=-1)


@tf.RegisterGradient(_GUIDED)
def _guided_relu(operation: tf.Operation, gradient: tf.Tensor) -> tf.Tensor:
    passed = (operation.outputs[0] > 0) & (gradient > 0)
    if operation.type == "Relu6":
        passed &= operation.outputs[0] < 6
    return tf.where(passed, gradient, 0)
