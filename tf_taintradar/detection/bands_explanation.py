"""Why variant "bands" flags one image, or does not."""

import dataclasses

import numpy as np
import numpy.typing as npt

from tf_taintradar.detection.explanation import Explanation, probability
from tf_taintradar.detection.occlusion_explanation import UNIT


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class BandsExplanation(Explanation):
    """Every intermediate result of variant "bands" for one image.

    The `tainted_region` is the band that makes the score, the `recovered_label` who is seen
    without it.

    Attributes:
        covered_logits: (v, n) float32, the logits without each band.
        covered_lacks: (v,) float32, what the label lacks then of being certain, in nats.
        scaled: (v,) float32, the lacks; 1 is as far out as 3 benign images in 100. In nats without
            a calibration.
        is_scaled: whether there is a calibration.
    """

    covered_logits: npt.NDArray[np.float32]
    covered_lacks: npt.NDArray[np.float32]
    scaled: npt.NDArray[np.float32]
    is_scaled: bool

    @property
    def lack(self) -> float:
        """What the label lacks, in nats, without the band that makes the score."""
        return float(self.covered_lacks[self.scaled.argmax()])

    @property
    def reason(self) -> str:
        """The band, who is seen with and without it, and by how much, in words."""
        own, seen = self.name_of(self.label), self.name_of(self.recovered_label)
        rows = np.flatnonzero(self.tainted_region.any(axis=1))
        before, after = (probability(z, self.label) for z in (self.logits, self.cleaned_logits))
        found = f"still sees {own}" if seen == own else f"sees {seen} instead of {own}"
        score = f": {self.score:.2f}; {UNIT}" if self.is_scaled else ""
        return (
            f"without the band of rows {rows[0]} to {rows[-1]} the classifier {found}; the "
            f"probability of {own} goes from {before:.2f} to {after:.2f}, and {own} "
            f"{self._lacks()}{score}"
        )

    def _lacks(self) -> str:
        how = "lacks" if self.lack > 0 else "has a margin of"
        return f"{how} {abs(self.lack):.1f} nats"

    def _region_title(self) -> str:
        return f"band that is painted over:\n{self.name_of(self.label)} {self._lacks()}"

    def _fall(self) -> str:
        return f"score {self.score:.3g}; {self.name_of(self.label)} {self._lacks()}"
