"""Placement of patches on an image."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tf_taintradar.support.checks import require

Place = str | Sequence[int] | Sequence[Sequence[int]]
"""A place: "random", "bottom_right", (row, column) of the top left pixel, or several of those."""

Size = tuple[int, int]
_MOST_DRAWS = 1000  # of random places, until no two patches overlap
_A_PLACE = (
    '"random", "bottom_right" or (row, column) of the top left pixel of the patch, two integers'
)


class Placement:
    """The places of patches of one size on images of one size.

    Args:
        place: "random" (anywhere inside the image), "bottom_right", (row, column) of the top left
            pixel of the patch, or a sequence of such pairs, one for each patch.
        n_patches: number of patches on each image, >= 1. They do not overlap.
        patch_size: (height, width) in pixels.
        image_size: (height, width) in pixels.

    Attributes:
        first: (n_patches, 2) int, the first (row, column) that the top left pixel of each patch
            may have.
        last: (n_patches, 2) int, the last one; equal to `first` for a fixed place.
        is_cornered: (n_patches,) bool, whether the patch, and also a smaller one, lies in the
            image's bottom right corner.

    Raises:
        ValueError: the patches are larger than the image, do not all fit, overlap, or leave the
            image; `place` is unknown, or does not hold one place for each patch.
    """

    def __init__(self, place: Place, n_patches: int, patch_size: Size, image_size: Size) -> None:
        places = _several(place, n_patches)
        ranges = [corner_range(one, patch_size, image_size) for one in places]
        self.first, self.last = (np.array(corners) for corners in zip(*ranges, strict=True))
        self.is_cornered = np.array([isinstance(one, str) and one != "random" for one in places])
        self._size = patch_size
        n_fitting = (image_size[0] // patch_size[0]) * (image_size[1] // patch_size[1])
        is_fixed = bool((self.first == self.last).all())
        if n_patches > n_fitting or (is_fixed and self._overlap(self.first[None]).any()):
            raise ValueError(
                f"{n_patches} patches of {_by(patch_size)} pixels overlap on images of "
                f"{_by(image_size)}, which hold {n_fitting} at most: make them smaller, or fewer, "
                "or give other places."
            )

    def draw(self, n_images: int, rng: np.random.Generator) -> npt.NDArray[np.int32]:
        """Draws places (n_images, n_patches, 2) int32: row and column of each top left pixel.

        Args:
            n_images: number of images.
            rng: random number generator.

        Raises:
            ValueError: no places without overlap were found in 1,000 draws.
        """
        size = (n_images, *self.first.shape)
        corners = rng.integers(self.first, self.last, size, dtype=np.int32, endpoint=True)
        for _ in range(_MOST_DRAWS):
            again = self._overlap(corners)
            if not again.any():
                return corners
            size = (int(again.sum()), *self.first.shape)
            corners[again] = rng.integers(self.first, self.last, size, np.int32, endpoint=True)
        raise ValueError(
            f"No places for {len(self.first)} patches of {_by(self._size)} pixels without overlap "
            f"were found in {_MOST_DRAWS} draws: make them smaller, or fewer, or give `place`."
        )

    def _overlap(self, corners: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Whether two of the patches at (n, n_patches, 2) share a pixel, (n,) bool."""
        apart = np.abs(corners[:, :, None] - corners[:, None]) >= self._size
        together = ~apart.any(axis=-1)
        return together.sum(axis=(1, 2)) > corners.shape[1]  # each patch overlaps itself


def _several(place: Place, n_patches: int) -> list[Any]:
    """A list with one place for each patch."""
    if isinstance(place, str):
        return [place] * n_patches
    is_list = np.ndim(place) == 2 if _is_regular(place) else False
    places = list(place) if is_list else [place]
    expected = f"one place for each of {n_patches} patches (`n_patches`)"
    require(len(places) == n_patches, "place", place, expected)
    return places


def _is_regular(place: Place) -> bool:
    try:
        np.shape(place)
    except ValueError:
        return False
    return True


def corner_range(
    place: Place, patch_size: tuple[int, int], image_size: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """The range of pixels in which the top left pixel of a patch may lie.

    Args:
        place: "random" (anywhere inside the image), "bottom_right", or (row, column) of the top
            left pixel of the patch.
        patch_size: (height, width) of the patch in pixels.
        image_size: (height, width) of the image in pixels.

    Returns:
        The first and the last (row, column), both included; they are equal for a fixed place.

    Raises:
        ValueError: the patch is larger than the image or leaves it, or `place` is unknown.
    """
    last = (image_size[0] - patch_size[0], image_size[1] - patch_size[1])
    if min(last) < 0:
        raise ValueError(
            f"A patch of {_by(patch_size)} pixels is larger than the image of {_by(image_size)}: "
            "make it smaller."
        )
    if isinstance(place, str):
        require(place in ("random", "bottom_right"), "place", place, _A_PLACE)
        return ((0, 0), last) if place == "random" else (last, last)
    corner = np.asarray(place)
    require(corner.shape == (2,) and corner.dtype.kind in "iu", "place", place, _A_PLACE)
    row, column = int(corner[0]), int(corner[1])
    if not (0 <= row <= last[0] and 0 <= column <= last[1]):
        raise ValueError(
            f"`place` must keep the patch of {_by(patch_size)} pixels inside the image of "
            f"{_by(image_size)}: from (0, 0) to {last}. Received: {(row, column)}."
        )
    return (row, column), (row, column)


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
