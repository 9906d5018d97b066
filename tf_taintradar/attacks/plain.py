"""Ordinary glasses painted on photographs, so that a calibration includes honest wearers."""

import numpy as np
import numpy.typing as npt

from tf_taintradar.attacks.masks import eyeglasses_mask
from tf_taintradar.images.pixels import ImagesLike, as_pixels
from tf_taintradar.support.checks import require

COLORS = ((20, 20, 20), (75, 45, 30), (150, 30, 35), (35, 45, 90), (190, 160, 95), (200, 200, 205))
"""Of frames: black, brown, red, navy, gold, silver."""
THICKNESSES = (0.02, 0.032, 0.044)
"""Of rims, as fractions of the width of the glasses: thin, the usual one, thick."""


def plain_glasses(
    images: ImagesLike, *, eye_line: float = 0.42, width: float = 0.94, seed: int = 0
) -> npt.NDArray[np.uint8]:
    """Photographs of the same people wearing ordinary glasses: a frame of one color.

    Color and thickness are drawn for each photograph. A detector of glasses that is calibrated only
    on bare faces may take everybody who wears glasses for an attacker, so calibrate it on both, as
    two groups. Paint frames on some of the photographs and leave those out of the other group: a
    calibration holds for images that are independent of each other.

    Example:
        bare, other = np.array_split(photographs, 2)
        images = np.concatenate([bare, plain_glasses(other)])
        groups = ["without"] * len(bare) + ["with"] * len(other)
        radar.calibrate(images, 0.03, groups=groups)

    Args:
        images: (n, H, W, 3) raw RGB pixels, 0..255, of upright faces that fill the image.
        eye_line: height of the eyes as a fraction of the image's height, from the top.
        width: width of the glasses as a fraction of the image's width, in (0, 1].
        seed: random seed, >= 0; the same seed gives the same frames.

    Returns:
        (n, H, W, 3) uint8 raw pixels.

    Raises:
        ImageError: `images` are not raw RGB pixels of this shape.
        ValueError: the glasses do not lie inside the image.
    """
    shape = np.shape(images)
    is_batch = len(shape) == 4 and shape[-1] == 3
    require(is_batch, "images", shape, "photographs of shape (n, H, W, 3)")
    worn = np.rint(as_pixels(images, shape[1:])).astype(np.uint8)
    frames = [
        eyeglasses_mask(shape[1:3], eye_line=eye_line, width=width, thickness=thickness) > 0
        for thickness in THICKNESSES
    ]
    rng = np.random.default_rng([seed, 8])
    colors = rng.integers(len(COLORS), size=len(worn))
    thicknesses = rng.integers(len(frames), size=len(worn))
    for image, color, thickness in zip(worn, colors, thicknesses, strict=True):
        image[frames[thickness]] = COLORS[color]
    return worn
