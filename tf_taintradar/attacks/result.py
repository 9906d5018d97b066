"""What an attack answers: the attacked images, and all that it takes to check them."""

import dataclasses

import numpy as np
import numpy.typing as npt

from tf_taintradar.attacks.goal import Target, short_target
from tf_taintradar.attacks.masks import Mask


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class AttackResult:
    """What an attack made of n images.

    Attributes:
        images: (n, H, W, c) uint8, the attacked images.
        patches: (1, h, w, c) uint8 if all images bear the same patch, else (n, h, w, c); black
            where the mask is 0.
        mask: (h, w) uint8, 1 where a patch is painted, else 0.
        top_left: (n, m, 2) int32, row and column of the top left pixel of each of the m copies of
            the patch on an image.
        labels: (n,) int32, what the classifier answers for `images`.
        clean_labels: (n,) int32, what it answers without the patch.
        steps: (1,) or (n,) int32, how many steps of descent each patch took; 0 for patches that
            were only applied.
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
        """(n,) bool: the classifier answers `target_class`, as it may do for a clean image too.

        Without a target: it answers something else than for the clean image.
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
        """(n, H, W) bool: where the patches lie."""
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
