"""Records handed to people: why one image was flagged, and what a detector can see at all."""

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar import plot
from tf_taintradar.detection import Detection

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLIND_SHARE = 0.95  # share of empty negative maps above which a detector sees nothing
_NEGATIVES_SHOWN = 3


@dataclasses.dataclass(frozen=True, eq=False)
class Explanation:
    """Every intermediate result of Figure 2 for one image (H, W, c) with n labels, as arrays.

    Attributes:
        image: (H, W, c) float32, raw pixels 0..255.
        logits: (n,) float32.
        label: the predicted label.
        critical_map: (h, w) float32, >= 0.
        critical_region: (H, W) bool.
        filled_image: (H, W, c) float32, the image with its critical region filled.
        filled_logits: (n,) float32.
        top_labels: (K,) int32, the labels that gain most by it, largest gain first.
        logit_increases: (K,) float32.
        negative_maps: (K, h, w) float32, >= 0.
        negative_regions: (K, H, W) bool.
        tainted_region: (H, W) bool.
        cleaned_image: (H, W, c) float32, the image with its tainted region filled.
        cleaned_logits: (n,) float32.
        recovered_label: the label predicted for the cleaned image.
        rank_shift: how many labels overtake the predicted one.
        score: what the threshold is compared with.
        is_adversarial: the decision, None as long as the detector has no threshold.
        class_names: a name for each label, or None.
    """

    image: npt.NDArray[np.float32]
    logits: npt.NDArray[np.float32]
    label: int
    critical_map: npt.NDArray[np.float32]
    critical_region: npt.NDArray[np.bool_]
    filled_image: npt.NDArray[np.float32]
    filled_logits: npt.NDArray[np.float32]
    top_labels: npt.NDArray[np.int32]
    logit_increases: npt.NDArray[np.float32]
    negative_maps: npt.NDArray[np.float32]
    negative_regions: npt.NDArray[np.bool_]
    tainted_region: npt.NDArray[np.bool_]
    cleaned_image: npt.NDArray[np.float32]
    cleaned_logits: npt.NDArray[np.float32]
    recovered_label: int
    rank_shift: int
    score: float
    is_adversarial: bool | None = None
    class_names: Sequence[str] | None = None

    @classmethod
    def of(
        cls,
        detection: Detection,
        *,
        is_adversarial: bool | None = None,
        class_names: Sequence[str] | None = None,
    ) -> "Explanation":
        """The explanation of a detection on a batch of one image."""
        first = tf.nest.map_structure(lambda tensor: tensor.numpy()[0], detection)
        evidence = first.evidence
        return cls(
            image=evidence.images,
            logits=evidence.logits,
            label=int(evidence.label),
            critical_map=evidence.critical_map,
            critical_region=evidence.critical_region,
            filled_image=evidence.filled_images,
            filled_logits=evidence.filled_logits,
            top_labels=evidence.top_labels,
            logit_increases=evidence.logit_increases,
            negative_maps=evidence.negative_maps,
            negative_regions=evidence.negative_regions,
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
        shown = range(min(_NEGATIVES_SHOWN, len(self.top_labels)))
        pictures = [
            (self.image, f"input\n{self._answer(self.logits)}", None),
            (self.image, "critical region", self.critical_region),
            (self.filled_image, f"filled\n{self._answer(self.filled_logits)}", None),
            *((self.image, self._negative_title(i), self.negative_regions[i]) for i in shown),
            (self.image, self._intersection_title(), self.tainted_region),
            (self.cleaned_image, f"final input\n{self._answer(self.cleaned_logits)}", None),
        ]
        images, titles, overlays = zip(*pictures, strict=True)
        figure = plot.panels(images, titles, overlays=overlays, headline=self._headline())
        return plot.saved(figure, path)

    def _answer(self, logits: npt.NDArray[np.float32]) -> str:
        """The label of these logits with its probability, and the rank of the predicted one."""
        odds = np.exp(logits - logits.max())
        first = int(logits.argmax())
        answer = f"{self.name_of(first)} {odds[first] / odds.sum():.2f}"
        if first == self.label:
            return answer
        rank = int((logits > logits[self.label]).sum())
        return f"{answer}\n{self.name_of(self.label)}: rank {rank}"

    def _negative_title(self, i: int) -> str:
        name = self.name_of(int(self.top_labels[i]))
        return f"holds down\n{name} ({self.logit_increases[i]:+.1f})"

    def _intersection_title(self) -> str:
        return f"intersection of {len(self.top_labels)}\n{self.tainted_region.mean():.1%} of image"

    def _headline(self) -> str:
        verdict = {None: "no threshold set", True: "ADVERSARIAL", False: "benign"}
        return (
            f"{self.name_of(self.label)}: {verdict[self.is_adversarial]} (falls by "
            f"{self.rank_shift} of {len(self.logits) - 1} ranks)"
        )


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What a detector sees on a set of images. Shares and areas are fractions in [0, 1].

    Attributes:
        feature_layer: name of the layer whose output is the feature map.
        feature_shape: (h, w, channels) of the feature map.
        top_k: K, the number of labels that take part.
        n_images: how many images were looked at.
        empty_critical: share of images whose critical map is zero everywhere.
        empty_negative: share of negative maps that are zero everywhere.
        empty_tainted: share of images whose tainted region is empty.
        critical_area: mean area of the critical region.
        negative_area: mean area of a negative region.
        tainted_area: mean area of the tainted region.
    """

    feature_layer: str
    feature_shape: tuple[int, int, int]
    top_k: int
    n_images: int
    empty_critical: float
    empty_negative: float
    empty_tainted: float
    critical_area: float
    negative_area: float
    tainted_area: float

    @property
    def is_blind(self) -> bool:
        """Whether nearly all negative maps are empty: no label is held down at this layer."""
        return self.empty_negative > BLIND_SHARE

    def __str__(self) -> str:
        height, width, channels = self.feature_shape
        return (
            f"feature layer `{self.feature_layer}`, {height} x {width} x {channels}; "
            f"{self.n_images} images, K = {self.top_k}\n"
            f"critical region: {self.critical_area:.1%} of the image, "
            f"map empty on {self.empty_critical:.1%} of the images\n"
            f"negative regions: {self.negative_area:.1%} of the image, "
            f"{self.empty_negative:.1%} of the maps empty\n"
            f"tainted region: {self.tainted_area:.1%} of the image, "
            f"empty on {self.empty_tainted:.1%} of the images"
            + ("\nThis detector is blind: choose another `feature_layer`." if self.is_blind else "")
        )
