"""What has become of images with finished patches on."""

import numpy as np
import numpy.typing as npt

from tf_taintradar.attacks.goal import Target
from tf_taintradar.attacks.masks import Mask
from tf_taintradar.attacks.pasting import Corners, Pasting
from tf_taintradar.attacks.result import AttackResult
from tf_taintradar.classifier.opened import OpenedClassifier


class Judge:
    """Pastes finished patches, as whole pixels, and asks the classifier.

    Args:
        classifier: the opened classifier.
        pasting: how the finished patches lie.
        mask: (h, w) uint8, 1 where a patch is painted.
        target_class: see `AdversarialPatch`.
        batch_size: how many images are computed together.
    """

    def __init__(
        self,
        classifier: OpenedClassifier,
        pasting: Pasting,
        mask: Mask,
        target_class: Target,
        batch_size: int,
    ) -> None:
        self._classifier = classifier
        self._pasting = pasting
        self._mask = mask
        self._target_class = target_class
        self._batch_size = batch_size

    def labels(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
        """(n,) what the classifier answers for raw pixels (n, H, W, c)."""
        groups = [pixels[group] for group in groups_of(len(pixels), self._batch_size)]
        answers = [np.argmax(self._classifier.logits(group), axis=-1) for group in groups]
        return np.concatenate(answers).astype(np.int32)

    def result(
        self,
        patches: npt.NDArray[np.float32],
        n_steps: npt.NDArray[np.int32],
        images: npt.NDArray[np.float32],
        clean_labels: npt.NDArray[np.int32],
        top_left: Corners,
    ) -> AttackResult:
        """The record of (1 or n) patches on n images, which are rounded before they are judged.

        Args:
            patches: (1 or n, h, w, c), 0..255.
            n_steps: (1 or n,) how often each was changed.
            images: (n, H, W, c) raw pixels, 0..255.
            clean_labels: (n,) what the classifier answers for them.
            top_left: (n, m, 2) int32, where the patches lie.
        """
        rounded = np.rint(patches * self._mask[..., np.newaxis])
        per_image = np.broadcast_to(rounded, (len(images), *rounded.shape[1:]))
        attacked = np.empty(images.shape, np.uint8)
        for group in groups_of(len(images), self._batch_size):
            pasted = self._pasting.paste(images[group], per_image[group], (top_left[group],))
            attacked[group] = np.rint(pasted)
        return AttackResult(
            images=attacked,
            patches=rounded.astype(np.uint8),
            mask=self._mask.copy(),
            top_left=top_left,
            labels=self.labels(attacked.astype(np.float32)),
            clean_labels=clean_labels,
            steps=n_steps,
            target_class=self._target_class,
        )


def groups_of(n_images: int, batch_size: int) -> list[slice]:
    """Slices of `batch_size` that cover 0..n_images; the last may be shorter."""
    return [slice(start, start + batch_size) for start in range(0, n_images, batch_size)]
