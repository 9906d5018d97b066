"""What a detector is able to see at its feature layer."""

import dataclasses
from collections.abc import Sequence

from tf_taintradar.classifier.feature_layer import COARSEST

BLIND_SHARE = 0.95  # share of images without evidence above which a detector sees nothing

COARSE = (
    "coarse, a patch of 30 % of the side covers little more than one cell, and much of the object "
    "goes with it"
)


def is_coarse(feature_shape: Sequence[int]) -> bool:
    """Whether a map (h, w, channels) has fewer than five cells along its longer side."""
    return max(feature_shape[:2]) < COARSEST


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What a detector sees on a set of images. Shares and areas are fractions in [0, 1].

    Attributes:
        input_shape: (H, W, c) of the images.
        feature_layer: name of the layer whose output is the feature map.
        feature_shape: (h, w, channels) of the feature map.
        layers: the layers of all maps that the rule looks at, the feature layer last.
        coarse_layer: a later layer, passed over because its map has fewer than five cells a side;
            None: there is none.
        variant: the name of the detector's rule, see `detection.rules`.
        top_k: K, the number of labels that take part in the negative maps.
        n_images: how many images were looked at.
        blind_share: share of the maps which the rule needs that are zero everywhere.
        empty_critical: share of images whose critical map is zero everywhere.
        empty_negative: share of negative maps that are zero everywhere.
        empty_tainted: share of images whose tainted region is empty.
        critical_area: mean area of the critical region.
        negative_area: mean area of a negative region.
        tainted_area: mean area of the tainted region.
    """

    input_shape: tuple[int, int, int]
    feature_layer: str
    feature_shape: tuple[int, int, int]
    layers: Sequence[str]
    coarse_layer: str | None
    variant: str
    top_k: int
    n_images: int
    blind_share: float
    empty_critical: float
    empty_negative: float
    empty_tainted: float
    critical_area: float
    negative_area: float
    tainted_area: float

    @property
    def is_blind(self) -> bool:
        """Whether nearly all maps that the rule needs are empty, so that it sees nothing."""
        return self.blind_share > BLIND_SHARE

    @property
    def cell(self) -> tuple[float, float]:
        """(height, width) of the part of the image, in pixels, that a cell of the map stands for.

        Whole cells are removed: together with a patch that is smaller than a cell, much of its
        surroundings goes, too.
        """
        height, width = self.input_shape[:2]
        return height / self.feature_shape[0], width / self.feature_shape[1]

    @property
    def is_coarse(self) -> bool:
        """Whether the map has fewer than five cells along its longer side."""
        return is_coarse(self.feature_shape)

    def _grid(self) -> str:
        """How large a patch is that covers a cell."""
        (height, width), image = self.cell, self.input_shape
        share = max(height / image[0], width / image[1])
        text = f"a cell is {height:.3g} x {width:.3g} pixels, {share:.0%} of the side"
        return f"{text}: {COARSE}" if self.is_coarse else text

    def _where(self) -> str:
        """Which maps are looked at, and why these."""
        *earlier, _ = (f"`{layer}`" for layer in self.layers)
        where = f"looks at {', '.join(earlier)} as well" if earlier else "looks at this map alone"
        if self.coarse_layer is not None:
            where += f"; the map of `{self.coarse_layer}`, the last one, is too coarse"
        return where

    def __str__(self) -> str:
        height, width, channels = self.feature_shape
        return (
            f"feature layer `{self.feature_layer}`, {height} x {width} x {channels}; "
            f"{self.n_images} images, variant {self.variant}, K = {self.top_k}\n"
            f"{self._where()}\n{self._grid()}\n"
            f"critical region: {self.critical_area:.1%} of the image, "
            f"map empty on {self.empty_critical:.1%} of the images\n"
            f"negative regions: {self.negative_area:.1%} of the image, "
            f"{self.empty_negative:.1%} of the maps empty\n"
            f"tainted region: {self.tainted_area:.1%} of the image, "
            f"empty on {self.empty_tainted:.1%} of the images"
            + ("\nThis detector is blind: choose another `feature_layer`." if self.is_blind else "")
        )
