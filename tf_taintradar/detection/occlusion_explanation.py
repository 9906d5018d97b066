"""Why the default flags one image, or does not."""

import dataclasses

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.detection.explanation import Explanation, Panel
from tf_taintradar.detection.testimony import reasons

UNIT = "1 is as far out as 3 benign images in 100"
"""The unit of the score, in words."""

_WORDS = (
    "the label falls far without these cells",
    "the label lacks much without these cells",
    "the whole answer moves without these cells",
    "the loudest cells are louder than in benign images",
    "the label, the whole answer and the loudest cells together",
)
"""What each of `reasons` means."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class OcclusionExplanation(Explanation):
    """Every intermediate result of variant "occlusion" for one image; see `Testimony`.

    Attributes:
        regions: (d, H, W) bool, the parts of the image that are taken out, deepest last.
        removed_logits: (d, n) float32, the logits without each.
        falls, lacks: (d,) float32, in nats.
        stirs, peaks: (d,) float32.
        scaled: (4, d) float32, falls, lacks, stirs and peaks; 1 is as far out as 3 benign images
            in 100. In their own units without a calibration.
        is_scaled: whether there is a calibration.
    """

    regions: npt.NDArray[np.bool_]
    removed_logits: npt.NDArray[np.float32]
    falls: npt.NDArray[np.float32]
    lacks: npt.NDArray[np.float32]
    stirs: npt.NDArray[np.float32]
    peaks: npt.NDArray[np.float32]
    scaled: npt.NDArray[np.float32]
    is_scaled: bool

    @property
    def reason(self) -> str:
        """What makes the score, in words."""
        if not self.is_scaled:
            return f"{_WORDS[0]}: {self.score:.1f} nats"
        found = reasons(tf.constant(self.scaled)[tf.newaxis])[0].numpy()
        return f"{_WORDS[int(found.argmax())]}: {found.max():.2f}; {UNIT}"

    def _way(self) -> list[Panel]:
        return [(self.image, self._title(d), region) for d, region in enumerate(self.regions)]

    def _title(self, depth: int) -> str:
        n_before = len(self.regions) - 1 - depth
        where = {0: "last map", 1: "1 map before"}.get(n_before, f"{n_before} maps before")
        fall, lack, stir, peak = self.scaled[:, depth]
        return f"{where}: fall {fall:.1f},\nlack {lack:.1f}, stir {stir:.1f}, peak {peak:.1f}"

    def _fall(self) -> str:
        return f"{self.reason}; {self._ranks()}"
