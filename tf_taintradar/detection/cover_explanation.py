"""Why variant "cover" flags one image, or does not."""

import dataclasses

import numpy as np
import numpy.typing as npt

from tf_taintradar.detection.explanation import Panel
from tf_taintradar.detection.occlusion_explanation import UNIT, OcclusionExplanation


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class CoverExplanation(OcclusionExplanation):
    """Every intermediate result of variant "cover" for one image: of "occlusion", and more.

    Attributes:
        covering_windows: (v, H, W) bool, see `Cover.covering_windows`.
        covered_logits: (v, n) float32, the logits with each of them painted over.
        covered_lacks: (v,) float32, what the label lacks then of being certain, in nats.
        covered_others: (v,) float32, the strength of the best other label then, in nats.
        parts: (3,) float32, what the score is the largest of: cells, lack, other label; (2,)
            without cells.
    """

    covering_windows: npt.NDArray[np.bool_]
    covered_logits: npt.NDArray[np.float32]
    covered_lacks: npt.NDArray[np.float32]
    covered_others: npt.NDArray[np.float32]
    parts: npt.NDArray[np.float32]

    @property
    def reason(self) -> str:
        """Which of the three parts makes the score, in words, and where."""
        part = self._part
        if part == 0:
            counted = f"; counted as {self.score:.2f}" if self.is_scaled else ""
            return f"{super().reason}{counted}"
        worst = self._worst(part)
        what = "the label lacks much" if part == 1 else f"{self._other(worst)} is strong"
        unit = UNIT if part == 1 else UNIT.replace("1", "0.6", 1)
        score = f"{self.score:.2f}; {unit}" if self.is_scaled else f"{self.score:.1f} nats"
        return f"{what} under the window of {self._place(worst)}: {score}"

    @property
    def _part(self) -> int:
        """0: cells, 1: lack, 2: other label."""
        return 3 - len(self.parts) + int(self.parts.argmax())

    def _worst(self, part: int) -> int:
        """The window that makes the second or the third part."""
        return int((self.covered_others if part == 2 else self.covered_lacks).argmax())

    def _other(self, window: int) -> str:
        """The name of the best label but the predicted one."""
        order = np.argsort(-self.covered_logits[window], kind="stable")
        return self.name_of(int(order[order != self.label][0]))

    def _place(self, window: int) -> str:
        rows, columns = (np.flatnonzero(self.covering_windows[window].any(axis=a)) for a in (1, 0))
        return f"rows {rows[0]} to {rows[-1]}, columns {columns[0]} to {columns[-1]}"

    def _way(self) -> list[Panel]:
        worst = self._worst(self._part)
        lack, other = self.covered_lacks[worst], self.covered_others[worst]
        title = f"covered: lacks {lack:.1f},\nother {other:.1f} nats"
        return [*super()._way(), (self.image, title, self.covering_windows[worst])]
