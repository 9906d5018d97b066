"""Records handed to people: why one image was flagged, or was not."""

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar import plot
from tf_taintradar.detection.cover import Covers, covering_windows
from tf_taintradar.detection.occlusion import to_pixels
from tf_taintradar.detection.paper import Evidence
from tf_taintradar.detection.rules import Detection

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NEGATIVES_SHOWN = 3
Panel = tuple[npt.NDArray[Any], str, npt.NDArray[np.bool_] | None]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Explanation:
    """What all explanations of one image (H, W, c) with n labels have in common, as arrays.

    `OcclusionExplanation`, `CoverExplanation` and `PaperExplanation` add what leads to the tainted
    region.

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
        rank_shift: how many labels overtake the predicted one then.
        score: what the threshold is compared with.
        is_adversarial: the decision, None as long as the detector has no threshold.
        class_names: a name for each label, or None.
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

    @staticmethod
    def of(
        detection: Detection,
        *,
        is_adversarial: bool | None = None,
        class_names: Sequence[str] | None = None,
    ) -> "Explanation":
        """The explanation of a detection on a batch of one image."""
        first = tf.nest.map_structure(lambda tensor: tensor.numpy()[0], detection)
        sight, evidence = first.sight._asdict(), first.evidence._asdict()
        if isinstance(first.evidence, Evidence):
            kind: type[Explanation] = PaperExplanation
            evidence["filled_image"] = evidence.pop("filled_images")
        else:
            is_cover = isinstance(first.evidence, Covers)
            kind = CoverExplanation if is_cover else OcclusionExplanation
            evidence["strength"] = float(evidence["strength"])
        return kind(
            image=sight.pop("images"),
            label=int(sight.pop("label")),
            **{name: value for name, value in sight.items() if name != "features"},
            **evidence,
            tainted_region=first.tainted_region,
            cleaned_image=first.cleaned_images,
            cleaned_logits=first.cleaned_logits,
            recovered_label=int(first.recovered_label),
            rank_shift=int(first.rank_shift),
            score=float(first.score),
            is_adversarial=is_adversarial,
            class_names=class_names,
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
            (self.image, "critical region", self.critical_region),
            *self._way(),
            (self.image, self._region_title(), self.tainted_region),
            (self.cleaned_image, f"final input\n{self._answer(self.cleaned_logits)}", None),
        ]
        images, titles, overlays = zip(*panels, strict=True)
        figure = plot.panels(images, titles, overlays=overlays, headline=self._headline())
        return plot.saved(figure, path)

    def _way(self) -> list[Panel]:
        """The panels between the critical and the tainted region."""
        raise NotImplementedError

    def _region_title(self) -> str:
        return f"tainted region\n{self.tainted_region.mean():.1%} of image"

    def _answer(self, logits: npt.NDArray[np.float32]) -> str:
        """The label of these logits with its probability, and the rank of the predicted one."""
        odds = np.exp(logits - logits.max())
        first = int(logits.argmax())
        answer = f"{self.name_of(first)} {odds[first] / odds.sum():.2f}"
        if first == self.label:
            return answer
        rank = int((logits > logits[self.label]).sum())
        return f"{answer}\n{self.name_of(self.label)}: rank {rank}"

    def _headline(self) -> str:
        verdict = {None: "no threshold set", True: "ADVERSARIAL", False: "benign"}
        return f"{self.name_of(self.label)}: {verdict[self.is_adversarial]} ({self._fall()})"

    def _fall(self) -> str:
        return f"falls by {self.rank_shift} of {len(self.logits) - 1} ranks"


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class OcclusionExplanation(Explanation):
    """Every intermediate result of variants "occlusion" and "bands" for one image.

    Attributes:
        windows: (s, h, w) bool, the most critical window of each size, in cells.
        window_logits: (s, n) float32, the logits without each window.
        falls: (s,) float32, how far the label falls without each, in nats; `score` is the mean
            of the two deepest, or of all as a share of what the label had.
        strength: what the label had, in nats; see `occlusion.strength`.
    """

    windows: npt.NDArray[np.bool_]
    window_logits: npt.NDArray[np.float32]
    falls: npt.NDArray[np.float32]
    strength: float

    def _way(self) -> list[Panel]:
        size = self.image.shape[:2]
        regions = to_pixels(tf.constant(self.windows), size).numpy()
        return [
            (self.image, f"without it\nfalls by {fall:.1f} nats", region)
            for region, fall in zip(regions, self.falls, strict=True)
        ]

    def _fall(self) -> str:
        return f"score {self.score:.3g}; {super()._fall()}"


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class CoverExplanation(OcclusionExplanation):
    """Every intermediate result of variant "cover" for one image: those of "occlusion", and more.

    Attributes:
        covered_logits: (v, n) float32, the logits with each of `cover.covering_windows` painted
            over.
        lacks: (v,) float32, what the label lacks then of being certain, in nats.
    """

    covered_logits: npt.NDArray[np.float32]
    lacks: npt.NDArray[np.float32]

    def _way(self) -> list[Panel]:
        worst = int(self.lacks.argmax())
        region = covering_windows(self.image.shape[:2])[worst]
        return [
            *super()._way(),
            (self.image, f"covered\nlacks {self.lacks[worst]:.1f} nats", region),
        ]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class PaperExplanation(Explanation):
    """Every intermediate result of Figure 2, of variant "paper", for one image.

    Attributes:
        filled_image: (H, W, c) float32, the image with its critical region filled.
        filled_logits: (n,) float32.
        top_labels: (K,) int32, the labels that gain most by it, largest gain first.
        logit_increases: (K,) float32.
        negative_maps: (K, h, w) float32, >= 0.
        negative_regions: (K, H, W) bool.
    """

    filled_image: npt.NDArray[np.float32]
    filled_logits: npt.NDArray[np.float32]
    top_labels: npt.NDArray[np.int32]
    logit_increases: npt.NDArray[np.float32]
    negative_maps: npt.NDArray[np.float32]
    negative_regions: npt.NDArray[np.bool_]

    def _way(self) -> list[Panel]:
        shown = range(min(_NEGATIVES_SHOWN, len(self.top_labels)))
        return [
            (self.filled_image, f"filled\n{self._answer(self.filled_logits)}", None),
            *((self.image, self._negative_title(i), self.negative_regions[i]) for i in shown),
        ]

    def _negative_title(self, i: int) -> str:
        name = self.name_of(int(self.top_labels[i]))
        return f"holds down\n{name} ({self.logit_increases[i]:+.1f})"

    def _region_title(self) -> str:
        return f"intersection of {len(self.top_labels)}\n{self.tainted_region.mean():.1%} of image"
