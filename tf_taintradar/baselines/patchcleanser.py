"""PatchCleanser's first round: checks whether the prediction survives a mask at every place."""

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.baselines.base import Baseline
from tf_taintradar.classifier.kinds import PreprocessorSpec
from tf_taintradar.classifier.opened import ClassifierLike
from tf_taintradar.detection.pipeline import Tensors
from tf_taintradar.detection.ranks import lead
from tf_taintradar.detection.windows import grid, stretches
from tf_taintradar.support.checks import check_fraction, check_integer, require


class PatchCleanser(Baseline):
    """Scores whether predictions under masks disagree with that of the whole image.

    The masks cover every place at which a patch of the assumed size can lie. The score is the
    largest lead of another label under any mask, in nats: above 0, a masked prediction disagrees.
    `recovered_label` is the prediction under that mask. Each mask costs one forward pass.

    Args:
        classifier: any Keras image classifier that `TaintRadarModel` takes, or one that is opened
            already: `radar.opened`, or the result of `open_classifier`.
        preprocessor: raw pixels -> the classifier's input, as `TaintRadarModel` takes it; None for
            an opened classifier, which has its own.
        patch_size: side of the largest square patch to expect, as a fraction of the image's side,
            in (0, 1). The paper's largest for ImageNet is 3 % of the pixels, about 0.17.
        n_masks: number of masks along each side, >= 1; the paper uses 6 x 6.
        color: pixel value of the masks, 0..255.

    Raises:
        ValueError: an argument is out of range.

    Source: Xiang, Mahloujifar, Mittal, "PatchCleanser: Certifiably Robust Defense against
    Adversarial Patches for Any Image Classifier", USENIX Security 2022, Algorithm 1's first round
    and section 3.3. The second round certifies labels; detecting needs the first alone.
    """

    def __init__(
        self,
        classifier: ClassifierLike,
        *,
        preprocessor: PreprocessorSpec | None = None,
        patch_size: float = 0.17,
        n_masks: int = 6,
        color: float = 127.5,
    ) -> None:
        super().__init__(classifier, preprocessor=preprocessor)
        check_fraction("patch_size", patch_size, is_one_allowed=False)
        require(0 <= color <= 255, "color", color, "from 0 to 255")
        self.patch_size = patch_size
        self.n_masks = check_integer("n_masks", n_masks, 1)
        self.color = float(color)
        self.masks = cover(self._classifier.input_shape[:2], patch_size, n_masks)
        self._answer = self._compile(self._masked)  # type: ignore[method-assign]

    def _masked(self, images: tf.Tensor) -> Tensors:
        classifier = self._classifier
        logits = classifier.logits(images)
        label = tf.argmax(logits, axis=-1, output_type=tf.int32)

        def look(mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            hidden = tf.where(mask[..., tf.newaxis], self.color, images)
            under = classifier.logits(hidden)
            return -lead(under, label), tf.argmax(under, axis=-1, output_type=tf.int32)

        leads, labels = tf.map_fn(
            look, tf.constant(self.masks), fn_output_signature=(tf.float32, tf.int32)
        )
        worst = tf.argmax(leads, axis=0)
        return {
            "label": label,
            "score": tf.reduce_max(leads, axis=0),
            "recovered_label": tf.gather(tf.transpose(labels), worst, batch_dims=1),
        }


def cover(size: tuple[int, int], patch_size: float, n_masks: int) -> npt.NDArray[np.bool_]:
    """Masks one of which covers any square patch of a given size, at any place.

    Args:
        size: (H, W) of the image.
        patch_size: side of the patch, as a fraction of the image's side.
        n_masks: number of masks along each side.

    Returns:
        (m, H, W) bool, True where a mask hides; m is at most n_masks².
    """
    down, across = (_lines(length, patch_size, n_masks) for length in size)
    rows, columns = grid(down, across)
    return rows[:, :, None] & columns[:, None]


def _lines(length: int, patch_size: float, n_masks: int) -> npt.NDArray[np.bool_]:
    """The rows or columns (k, length) of the masks, along one axis."""
    patch = max(1, round(patch_size * length))
    stride = -(-(length - patch + 1) // n_masks)
    side = patch + stride - 1
    return stretches(
        length, side, np.unique(np.minimum(stride * np.arange(n_masks), length - side))
    )
