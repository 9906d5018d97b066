"""The result of an attack: the attacked images, and everything needed to check them."""

import dataclasses

import numpy as np
import numpy.typing as npt

from tf_taintradar.attacks.goal import Target, short_target
from tf_taintradar.attacks.masks import Mask


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class AttackResult:
    """The result of an attack on n images.

    Attributes:
        images: (n, H, W, c) uint8, the attacked images.
        patches: (1, h, w, c) uint8 if all images have the same patch, else (n, h, w, c); black
            where the mask is 0.
        mask: (h, w) uint8, 1 where a patch is painted, else 0.
        top_left: (n, m, 2) int32, row and column of the top left pixel of each of the m copies of
            the patch on an image.
        labels: (n,) int32, the classifier's labels for `images`.
        clean_labels: (n,) int32, the classifier's labels for the clean images.
        steps: (1,) or (n,) int32, number of steps of gradient descent for each patch; 0 for
            patches that were only applied.
        target_class: the label that the attacker wants, or one for each image; None: any but the
            clean image's.
    """

    images: npt.NDArray[np.uint8]
    patches: npt.NDArray[np.uint8]
    mask: Mask
    top_left: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int32]
    clean_labels: npt.NDArray[np.int32]
    steps: npt.NDArray[np.int32]
    target_class: Target

    @property
    def success(self) -> npt.NDArray[np.bool_]:
        """Whether the classifier predicts `target_class`, (n,) bool.

        It may do so for a clean image, too. Without a target: whether the label has changed.
        """
        if self.target_class is None:
            return self.labels != self.clean_labels
        return self.labels == np.asarray(self.target_class)

    @property
    def success_rate(self) -> float:
        """The share of the images on which the attack succeeds, from 0 to 1."""
        return float(self.success.mean())

    @property
    def painted(self) -> npt.NDArray[np.bool_]:
        """The pixels that the patches cover, (n, H, W) bool."""
        painted = np.zeros(self.images.shape[:3], bool)
        rows, columns = np.nonzero(self.mask)
        for corner in np.moveaxis(self.top_left, 1, 0):
            image = np.arange(len(painted))[:, np.newaxis]
            painted[image, corner[:, :1] + rows, corner[:, 1:] + columns] = True
        return painted

    def __repr__(self) -> str:
        return (
            f"AttackResult(target_class={short_target(self.target_class)}, "
            f"images={self.images.shape}, patches={self.patches.shape}, "
            f"success={self.success.sum()}/{len(self.success)})"
        )
