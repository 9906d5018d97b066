"""Explanations for people: why an image was flagged, or was not."""

import dataclasses
import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from typing_extensions import Self

from tf_taintradar import plot
from tf_taintradar.detection.detection import Detection
from tf_taintradar.detection.verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOT_FINITE = "the classifier's answer is not finite"
"""What is said of an image without a score."""

Panel = tuple[npt.NDArray[Any], str, npt.NDArray[np.bool_] | None]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Explanation:
    """Why an image (H, W, c) is or is not flagged: every intermediate result as an array.

    A rule with evidence of its own has a subclass, which adds how the tainted region was found. n
    is the number of labels.

    Attributes:
        image: (H, W, c) float32, raw pixels 0..255.
        logits: (n,) float32.
        label: the predicted label.
        critical_map: (h, w) float32, >= 0: what the label rests on.
        critical_region: (H, W) bool.
        tainted_region: (H, W) bool, the region that is removed.
        cleaned_image: (H, W, c) float32, the image with its tainted region filled.
        cleaned_logits: (n,) float32, the logits without the tainted region.
        recovered_label: the label predicted without it.
        rank_shift: how many labels then overtake the predicted one.
        score: what the threshold is compared with; NaN if the classifier's answers are not finite.
        is_adversarial: the decision; None if the detector has no threshold.
        class_names: a name for each label, or None.
        threshold: an image is adversarial if its score is above this; None: not known.
        benign_scores: (n,) float64, the scores of the calibration images; None: not known.
    """

    image: npt.NDArray[np.float32]
    logits: npt.NDArray[np.float32]
    label: int
    critical_map: npt.NDArray[np.float32]
    critical_region: npt.NDArray[np.bool_]
    tainted_region: npt.NDArray[np.bool_]
    cleaned_image: npt.NDArray[np.float32]
    cleaned_logits: npt.NDArray[np.float32]
    recovered_label: int
    rank_shift: int
    score: float
    is_adversarial: bool | None = None
    class_names: Sequence[str] | None = None
    threshold: float | None = None
    benign_scores: npt.NDArray[np.float64] | None = None

    @classmethod
    def of(cls, detection: Detection, **about: Any) -> Self:
        """The explanation of a detection on a batch of one image.

        Args:
            detection: what a rule found.
            about: the fields that are not in it: `is_adversarial`, `class_names`, and those of a
                subclass that are not in the evidence.
        """
        first = {name: _first(tensor) for name, tensor in detection.fields().items()}
        for plural in ("images", "cleaned_images", "filled_images"):
            first[plural.removesuffix("s")] = first.pop(plural, None)
        known = {field.name for field in dataclasses.fields(cls)}
        found = {name: value for name, value in first.items() if name in known}
        return cls(**found, **about)

    @property
    def reason(self) -> str:
        """What makes the score, in words; empty for rules without such a description."""
        return ""

    @property
    def is_finite(self) -> bool:
        """Whether the score is a number; if not, neither is the classifier's answer."""
        return math.isfinite(self.score)

    @property
    def verdict(self) -> Verdict:
        """The short form, for a person who has to decide: a sentence, a picture, a page."""
        without = self.recovered_label
        return Verdict(
            image=self.image,
            region=self.tainted_region,
            cleaned_image=self.cleaned_image,
            said=(self.name_of(self.label), probability(self.logits, self.label)),
            said_without=(self.name_of(without), probability(self.cleaned_logits, without)),
            score=self.score,
            is_adversarial=self.is_adversarial,
            threshold=self.threshold,
            benign_scores=self.benign_scores,
        )

    def name_of(self, label: int) -> str:
        """The name of a label; its number if the classes have no names."""
        return f"label {label}" if self.class_names is None else self.class_names[label]

    def plot(self, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Draws the way from the input to the final image; writes the picture to `path` if given.

        Source: the paper's Figure 4, in the order of Figure 2.
        """
        panels: list[Panel] = [
            (self.image, f"input\n{self._answer(self.logits)}", None),
            *self._critical_panel(),
            *self._way(),
            (self.image, self._region_title(), self.tainted_region),
            (self.cleaned_image, f"final input\n{self._answer(self.cleaned_logits)}", None),
        ]
        images, titles, overlays = zip(*panels, strict=True)
        figure = plot.panels(images, titles, overlays=overlays, headline=self._headline())
        return plot.saved(figure, path)

    def _critical_panel(self) -> list[Panel]:
        if self.critical_map.size == 1:  # of a classifier that is not opened
            return []
        return [(self.image, "critical region", self.critical_region)]

    def _way(self) -> list[Panel]:
        """The panels between the critical and the tainted region: steps 3 to 5."""
        return []

    def _region_title(self) -> str:
        return f"tainted region\n{self.tainted_region.mean():.1%} of image"

    def _answer(self, logits: npt.NDArray[np.float32]) -> str:
        """The label of these logits with its probability, and the rank of the predicted one."""
        first = int(logits.argmax())
        answer = f"{self.name_of(first)} {probability(logits, first):.2f}"
        if first == self.label:
            return answer
        rank = int((logits > logits[self.label]).sum())
        return f"{answer}\n{self.name_of(self.label)}: rank {rank}"

    def _headline(self) -> str:
        verdict = {None: "no threshold set", True: "ADVERSARIAL", False: "benign"}
        why = self._fall() if self.is_finite else NOT_FINITE
        return f"{self.name_of(self.label)}: {verdict[self.is_adversarial]} ({why})"

    def _fall(self) -> str:
        return f"score {self.score:.3g}; {self._ranks()}"

    def _ranks(self) -> str:
        return f"falls by {self.rank_shift} of {len(self.logits) - 1} ranks"


def probability(logits: npt.NDArray[np.float32], label: int) -> float:
    """The probability of a label, of logits (n,) float32."""
    odds = np.exp(logits - logits.max())
    return float(odds[label] / odds.sum())


def _first(tensor: tf.Tensor) -> Any:
    """The first row as an array, or as a Python number."""
    row = np.asarray(tensor)[0]
    return row if row.ndim else row.item()
