"""Pasting of patches into images: unchanged, or with a new rotation, scale and light at every step.

b images (H, W, c), each with m patches (h, w, c).
"""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.attacks.masks import Mask
from tf_taintradar.attacks.placement import Placement
from tf_taintradar.support.checks import check_not_negative, require

Corners = npt.NDArray[np.int32]
Pose = tuple[Any, ...]
"""Position and appearance of the patches on each image: arrays that begin with the batch axis."""


@dataclasses.dataclass(frozen=True)
class Transformations:
    """Random transformations of a patch in training: the expectation over transformation.

    Attributes:
        scale: (least, most), the range of factors by which the patch is resized.
        rotation: largest angle of rotation to either side, in degrees.
        brightness: largest change of brightness up or down, in pixel values, 0..255.
        noise: standard deviation of the normal noise on the patch, in pixel values.

    Raises:
        ValueError: a scale is not positive, `scale` is not ascending or above 1, or another value
            is negative.

    Source: Athalye et al., "Synthesizing Robust Adversarial Examples", ICML 2018; Brown et al.,
    "Adversarial Patch", 2017.
    """

    scale: tuple[float, float] = (1.0, 1.0)
    rotation: float = 0.0
    brightness: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        is_range = len(self.scale) == 2 and 0 < self.scale[0] <= self.scale[1] <= 1
        expected = "(least, most) with 0 < least <= most <= 1, factors of the patch's own size"
        require(is_range, "scale", self.scale, expected)
        for name in ("rotation", "brightness", "noise"):
            check_not_negative(name, getattr(self, name))


class Pasting:
    """Pastes patches unchanged, at whole pixels.

    Args:
        mask: (h, w) uint8, 1 where a patch is painted.
        placement: position of the patches.
    """

    def __init__(self, mask: Mask, placement: Placement) -> None:
        self._mask = mask
        self._placement = placement

    @property
    def signature(self) -> tuple[tf.TensorSpec, ...]:
        """The specs of a pose's tensors."""
        return (tf.TensorSpec((None, len(self._placement.first), 2), tf.int32),)

    def draw(self, n_images: int, rng: np.random.Generator, top_left: Corners | None) -> Pose:
        """The pose of each image: `top_left` (b, m, 2) int32, drawn at random if it is None."""
        return (self._placement.draw(n_images, rng) if top_left is None else top_left,)

    def paste(self, images: tf.Tensor, patches: tf.Tensor, pose: Pose) -> tf.Tensor:
        """The images with their patches; differentiable with respect to both.

        Args:
            images: (b, H, W, c) float32.
            patches: (b, h, w, c) float32, or (1, h, w, c): the same on all images.
            pose: the pose that `draw` returned.

        Returns:
            (b, H, W, c) float32: the patch's pixels under the mask and the image's everywhere else,
            neither of them rounded or blended.
        """
        (top_left,) = pose
        rows_columns = np.argwhere(self._mask).astype(np.int32)
        colors = tf.gather(
            tf.reshape(patches, (-1, self._mask.size, patches.shape[-1])),
            np.flatnonzero(self._mask),
            axis=1,
        )
        n_images, n_patches = tf.shape(images)[0], len(self._placement.first)
        shape = (n_images, n_patches, *colors.shape[1:])
        pixels = tf.convert_to_tensor(top_left)[:, :, None] + rows_columns
        image = tf.broadcast_to(tf.range(n_images)[:, None, None, None], (*shape[:3], 1))
        return tf.tensor_scatter_nd_update(
            images,
            indices=tf.concat([image, pixels], axis=-1),
            updates=tf.broadcast_to(colors[:, None], shape),
        )


class TransformedPasting(Pasting):
    """Pastes patches that are rotated, scaled and lit anew at every step.

    Args:
        mask: (h, w) uint8, 1 where a patch is painted.
        placement: position of patches of the full size. A smaller patch lies within the area drawn
            for the full size; the corners of a rotated one may leave it.
        transformations: ranges of the random transformations.
        sizes: factors in (0, 1], one of which is drawn for each patch and multiplied by its scale.
    """

    def __init__(
        self,
        mask: Mask,
        placement: Placement,
        transformations: Transformations,
        sizes: tuple[float, ...] = (1.0,),
    ) -> None:
        super().__init__(mask, placement)
        self._transformations = transformations
        self._sizes = sizes

    @property
    def signature(self) -> tuple[tf.TensorSpec, ...]:
        """The specs of a pose's tensors."""
        per_patch = (None, len(self._placement.first))
        return (
            tf.TensorSpec((*per_patch, 2), tf.float32),
            tf.TensorSpec((*per_patch, 2, 2), tf.float32),
            tf.TensorSpec((None,), tf.float32),
            tf.TensorSpec((2,), tf.int32),
        )

    def draw(self, n_images: int, rng: np.random.Generator, top_left: Corners | None) -> Pose:
        """Draws the pose of each image.

        Args:
            n_images: number of images, b.
            rng: random number generator.
            top_left: (b, m, 2) int32, positions of patches of full size; None draws them.

        Returns:
            `center` (b, m, 2) float32, row and column of the patches' centers; `matrix`
            (b, m, 2, 2) float32, from an offset in the image to one in the patch; `brightness`
            (b,) float32, to be added; `seed` (2,) int32 of the noise.
        """
        settings = self._transformations
        (corner,) = super().draw(n_images, rng, top_left)
        each = corner.shape[:2]
        scale = rng.choice(self._sizes, each) * rng.uniform(*settings.scale, each)
        angle = np.deg2rad(rng.uniform(-settings.rotation, settings.rotation, each))
        size = np.array(self._mask.shape)
        slack = (1 - scale[..., None]) * size  # a smaller patch lies somewhere in its place
        corner = corner + self._shift(each, rng) * slack
        center = corner + scale[..., None] * size / 2 - 0.5
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        matrix = np.moveaxis(turn, (0, 1), (-2, -1)) / scale[..., None, None]
        brightness = rng.uniform(-settings.brightness, settings.brightness, n_images)
        seed = rng.integers(2**31 - 1, size=2, dtype=np.int32)
        return (
            center.astype(np.float32),
            matrix.astype(np.float32),
            brightness.astype(np.float32),
            seed,
        )

    def _shift(self, each: tuple[int, int], rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """The position (b, m, 2) of a smaller patch in its area: 0 top left, 1 bottom right."""
        place = self._placement
        is_fixed = (place.first == place.last).all(axis=-1)[:, None]
        anywhere = rng.uniform(size=(*each, 2))
        return np.where(is_fixed, place.is_cornered[:, None].astype(float), anywhere)

    def paste(self, images: tf.Tensor, patches: tf.Tensor, pose: Pose) -> tf.Tensor:
        """The images with their patches, sampled bilinearly; differentiable with respect to both.

        Args:
            images: (b, H, W, c) float32, 0..255.
            patches: (b, h, w, c) float32, 0..255, or (1, h, w, c): the same on all images.
            pose: the pose that `draw` returned.

        Returns:
            (b, H, W, c) float32: blended at the edge of the mask, the image's pixels beyond it.
        """
        centers, matrices, brightness, seed = pose
        shape = tf.concat([tf.shape(images)[:1], tf.shape(patches)[1:]], axis=0)
        grain = tf.random.stateless_normal(shape, seed, alg="philox") * self._transformations.noise
        lit = tf.clip_by_value(patches + tf.reshape(brightness, (-1, 1, 1, 1)) + grain, 0.0, 255.0)
        mask = tf.constant(self._mask[None, ..., None], tf.float32)
        opacity = tf.broadcast_to(mask, tf.concat([shape[:3], [1]], axis=0))
        layers = tf.concat([lit * mask, opacity], axis=-1)
        for i in range(len(self._placement.first)):
            warped = _warp(layers, centers[:, i], matrices[:, i], images.shape[1:3])
            images = images * (1 - warped[..., -1:]) + warped[..., :-1]
        return images


def _warp(
    layers: tf.Tensor, center: tf.Tensor, matrix: tf.Tensor, size: tuple[int, int]
) -> tf.Tensor:
    """Small pictures warped onto an empty canvas.

    Args:
        layers: (b, h, w, n) float32, the pictures.
        center: (b, 2), row and column of their centers on the canvas.
        matrix: (b, 2, 2), from an offset on the canvas to one in the picture.
        size: (H, W) of the canvas.

    Returns:
        (b, H, W, n) float32, 0 beyond the pictures' edges.
    """
    height, width = layers.shape[1:3]
    canvas = tf.stack(tf.meshgrid(tf.range(size[0]), tf.range(size[1]), indexing="ij"), axis=-1)
    offsets = tf.cast(canvas, tf.float32) - center[:, None, None]
    middle = tf.constant([(height - 1) / 2, (width - 1) / 2], tf.float32)
    inside = tf.einsum("bij,bhwj->bhwi", matrix, offsets) + middle
    padded = tf.pad(layers, [[0, 0], [1, 1], [1, 1], [0, 0]])  # an empty rim to fade out to
    limit = tf.constant([height, width], tf.float32)
    position = tf.clip_by_value(inside + 1, 0.0, limit + 1)
    corner = tf.minimum(tf.floor(position), limit)
    part = position - corner
    index = tf.cast(corner, tf.int32)

    def pixels(down: int, right: int) -> tf.Tensor:
        share = [part if step else 1 - part for step in (down, right)]
        weight = share[0][..., 0] * share[1][..., 1]
        rows_columns = index + tf.constant([down, right])
        return weight[..., None] * tf.gather_nd(padded, rows_columns, batch_dims=1)

    return pixels(0, 0) + pixels(0, 1) + pixels(1, 0) + pixels(1, 1)
