"""Finished patches applied to images, and the labels of the results."""

import numpy as np
import numpy.typing as npt

from tf_taintradar.attacks.pasting import Corners, Pasting
from tf_taintradar.classifier.opened import OpenedClassifier

Pixels = npt.NDArray[np.uint8]


def apply_and_classify(
    classifier: OpenedClassifier,
    pasting: Pasting,
    patches: Pixels,
    images: npt.NDArray[np.float32],
    top_left: Corners,
    *,
    batch_size: int,
) -> tuple[Pixels, npt.NDArray[np.int32]]:
    """Images with finished patches on them, as whole pixels, and their labels.

    Args:
        classifier: the opened classifier.
        pasting: how the finished patches get into the images.
        patches: (1, h, w, c) uint8, the same on all images, or (n, h, w, c).
        images: (n, H, W, c) float32 raw pixels, 0..255.
        top_left: (n, m, 2) int32, the place of each of the m copies on each image.
        batch_size: number of images that are computed together.

    Returns:
        (n, H, W, c) uint8, and (n,) int32.
    """
    per_image = np.broadcast_to(np.float32(patches), (len(images), *patches.shape[1:]))
    attacked = np.empty(images.shape, np.uint8)
    for group in groups_of(len(images), batch_size):
        pasted = pasting.paste(images[group], per_image[group], (top_left[group],))
        attacked[group] = np.rint(pasted)
    return attacked, classify(classifier, attacked.astype(np.float32), batch_size=batch_size)


def classify(
    classifier: OpenedClassifier, images: npt.NDArray[np.float32], *, batch_size: int
) -> npt.NDArray[np.int32]:
    """The labels (n,) int32 that the classifier gives images (n, H, W, c), raw pixels 0..255."""
    groups = [images[group] for group in groups_of(len(images), batch_size)]
    labels = [np.argmax(classifier.logits(group), axis=-1) for group in groups]
    return np.concatenate(labels).astype(np.int32)


def groups_of(n_images: int, batch_size: int) -> list[slice]:
    """Slices of `batch_size` that cover 0..n_images; the last may be shorter."""
    return [slice(start, start + batch_size) for start in range(0, n_images, batch_size)]
