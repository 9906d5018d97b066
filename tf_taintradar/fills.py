"""Fills: what is painted into a region so that its content no longer supports any label.

A fill is a small object that makes a pattern; `detection.regions.fill_region` paints the pattern
into a region. No pattern of an image depends on another row of the batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeAlias

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.images.pixels import Shape, as_pixels
from tf_taintradar.images.sources import ImageSource, iterate_batches
from tf_taintradar.support.checks import check_positive, require


class Fill(ABC):
    """Base of every fill. A subclass that is registered with Keras can be saved with a detector."""

    @abstractmethod
    def pattern(self, images: tf.Tensor) -> tf.Tensor:
        """The pixels to paint.

        Args:
            images: (b, H, W, c) float32, raw pixels in [0, 255]; all but b are static.

        Returns:
            Float32 raw pixels in [0, 255], broadcastable to the shape of `images`.
        """

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments: every attribute of the fill."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Fill:
        """The fill that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({settings})"


@keras.saving.register_keras_serializable(package="tf_taintradar")
class Noise(Fill):
    """Random noise, the same for every image: the paper's choice for scenes.

    The pattern never holds 255. Anyone who knows the seed knows the pattern; to keep it from
    attackers, choose a secret seed.

    Args:
        seed: A whole number from 0 to 2**32 - 1.

    Raises:
        ValueError: `seed` is out of range.

    Source: the authors' TaintRadarTF.py, line 122.
    """

    def __init__(self, seed: int = 1) -> None:
        require(0 <= seed < 2**32, "seed", seed, "from 0 to 2**32 - 1")
        self.seed = int(seed)

    def pattern(self, images: tf.Tensor) -> tf.Tensor:
        """(H, W, c) float32: whole numbers from 0 to 254, drawn once by NumPy."""
        noise = np.random.RandomState(self.seed).randint(0, 255, images.shape[1:])
        return tf.cast(tf.constant(noise.astype(np.uint8)), tf.float32)


@keras.saving.register_keras_serializable(package="tf_taintradar")
class Constant(Fill):
    """One colour everywhere.

    Args:
        color: One number for all channels, or one for each: raw pixels in [0, 255].

    Raises:
        ValueError: `color` is not numeric, not in [0, 255], or has more than one axis.
    """

    def __init__(self, color: npt.ArrayLike) -> None:
        values = np.asarray(color)
        is_color = _is_numeric(values) and values.ndim <= 1 and _is_raw(values)
        expected = "a number from 0 to 255 or one such number for each channel"
        require(is_color, "color", color, expected)
        self.color = tuple(values.tolist()) if values.ndim else values.item()

    def pattern(self, images: tf.Tensor) -> tf.Tensor:
        """() or (c,) float32: the colour."""
        color = tf.constant(self.color, tf.float32)
        if color.shape.rank == 1 and color.shape[0] != images.shape[-1]:
            raise ValueError(
                f"`color` {self.color} has {color.shape[0]} channels, the images have "
                f"{images.shape[-1]}. Pass one number, or one for each channel."
            )
        return color


@keras.saving.register_keras_serializable(package="tf_taintradar")
class Image(Fill):
    """A given picture, such as the average of the training faces: the paper's choice for faces.

    `mean_image` makes one from a folder.

    Args:
        image: (H, W, c) raw pixels in [0, 255]. uint8 stays uint8, everything else becomes
            float32.

    Raises:
        ValueError: `image` has another rank, is empty, or does not hold raw pixels.
    """

    def __init__(self, image: npt.ArrayLike) -> None:
        array = np.array(image)
        if array.ndim != 3:
            raise ValueError(
                f"`image` must have shape (height, width, channels). Received: {array.shape}."
            )
        pixels = as_pixels(array[None], array.shape, argument="image")[0]
        self.image = array if array.dtype == np.uint8 else pixels

    def pattern(self, images: tf.Tensor) -> tf.Tensor:
        """(H, W, c) float32: the picture."""
        if tuple(images.shape[1:]) != self.image.shape:
            raise ValueError(
                f"The fill's `image` has shape {self.image.shape}, the images have "
                f"{tuple(images.shape[1:])}. Resize the picture that is filled in."
            )
        return tf.cast(tf.constant(self.image), tf.float32)

    def get_config(self) -> dict[str, Any]:
        """The picture, as Keras serialises arrays."""
        return {"image": keras.saving.serialize_keras_object(self.image)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Image:
        """The fill that `get_config` described, every pixel and the dtype as they were."""
        return cls(keras.saving.deserialize_keras_object(config["image"]))

    def __repr__(self) -> str:
        return f"Image({self.image.dtype} {self.image.shape})"


@keras.saving.register_keras_serializable(package="tf_taintradar")
class Blur(Fill):
    """The image itself, out of focus: a Gaussian blur that mirrors the image at its borders.

    Args:
        sigma: Standard deviation of the Gaussian, as a fraction of the image's smaller side.

    Raises:
        ValueError: `sigma` is not positive.
    """

    def __init__(self, sigma: float = 0.1) -> None:
        check_positive("sigma", sigma)
        self.sigma = sigma

    def pattern(self, images: tf.Tensor) -> tf.Tensor:
        """(b, H, W, c) float32: the blurred images."""
        height, width = images.shape[1:3]
        deviation = self.sigma * min(height, width)
        upright = tf.einsum("hH,bHWc->bhWc", _blur_matrix(height, deviation), images)
        return tf.einsum("wW,bhWc->bhwc", _blur_matrix(width, deviation), upright)


def _blur_matrix(length: int, deviation: float) -> npt.NDArray[np.float32]:
    """The (length, length) matrix that blurs a line of pixels; its rows sum to 1.

    A matrix allows a Gaussian longer than the line, where padding and a convolution would not: each
    tap beyond an end is folded back onto the pixel that it mirrors, as often as needed.
    """
    radius = int(4 * deviation + 0.5)
    taps = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (taps / deviation) ** 2)
    folded = (np.arange(length)[:, None] + taps) % (2 * length)
    mirrored = np.minimum(folded, 2 * length - 1 - folded)
    matrix = np.zeros((length, length))
    np.add.at(matrix, (np.arange(length)[:, None], mirrored), weights / weights.sum())
    return matrix.astype(np.float32)


def _is_numeric(values: npt.NDArray[Any]) -> bool:
    return values.dtype.kind in "iuf"


def _is_raw(values: npt.NDArray[Any]) -> bool:
    return values.size > 0 and bool(np.all((values >= 0) & (values <= 255)))


def mean_image(
    source: ImageSource, input_shape: Shape, batch_size: int = 32
) -> npt.NDArray[np.float32]:
    """Computes the average of all images, for `Image`.

    Args:
        source: Images as `iterate_batches` takes them: an array, a dataset, a folder or files.
        input_shape: (H, W, c) that the classifier takes.
        batch_size: How many images to hold in memory at a time.

    Returns:
        (H, W, c) float32, raw pixels in [0, 255].

    Raises:
        ImageError: As for `iterate_batches`.

    Source: the paper's filling pattern for faces is the average training face.
    """
    total, count = np.zeros(input_shape), 0
    for images in iterate_batches(source, input_shape, batch_size):
        total += images.sum(axis=0, dtype=np.float64)
        count += len(images)
    return (total / count).astype(np.float32)


FillSpec: TypeAlias = Fill | str | npt.ArrayLike
"""A fill, as `make_fill` takes it: "noise", "blur", a color, an image, or a `Fill`."""


def make_fill(spec: FillSpec) -> Fill:
    """Makes the fill that a short description stands for.

    Args:
        spec: `"noise"`, `"blur"`, a number or one number for each channel (`Constant`), an array
            (H, W, c) (`Image`), or a fill, which is returned.

    Returns:
        A fill.

    Raises:
        ValueError: `spec` is none of these, or holds values other than raw pixels in [0, 255].
    """
    if isinstance(spec, Fill):
        return spec
    if isinstance(spec, str) and spec in _NAMED:
        return _NAMED[spec]()
    values = np.asarray(spec)
    if _is_numeric(values) and values.ndim <= 1:
        return Constant(values)
    if _is_numeric(values) and values.ndim == 3:
        return Image(values)
    raise ValueError(
        f"`fill` must be {', '.join(map(repr, _NAMED))}, a number from 0 to 255, one number for "
        "each channel, an array (height, width, channels) of raw pixels or an instance of "
        f"tf_taintradar.fills.Fill. Received: {spec!r}."
    )


_NAMED: dict[str, type[Fill]] = {"noise": Noise, "blur": Blur}
