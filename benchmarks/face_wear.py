"""What wearing and filming do to a photograph: turned, moved, lit, blurred, compressed."""

import io
from collections.abc import Callable

import numpy as np
from patch_sets import Pixels
from PIL import Image, ImageEnhance, ImageFilter

Change = Callable[[Pixels], Pixels]


def moved(
    image: Pixels,
    *,
    angle: float = 0.0,
    scale: float = 1.0,
    right: float = 0.0,
    down: float = 0.0,
) -> Pixels:
    """Turned by degrees, scaled about the centre, shifted by fractions of the height.

    What comes in at the borders repeats the edge.
    """
    side = image.shape[0]
    padded = np.pad(image, ((side, side), (side, side), (0, 0)), mode="edge")
    cosine, sine = (f(np.deg2rad(angle)) / scale for f in (np.cos, np.sin))
    centre = 1.5 * side
    x, y = centre + right * side, centre + down * side
    inverse = (
        *(cosine, sine, centre - cosine * x - sine * y),
        *(-sine, cosine, centre + sine * x - cosine * y),
    )
    picture = Image.fromarray(padded).transform(
        (3 * side, 3 * side), Image.Transform.AFFINE, inverse, Image.Resampling.BILINEAR
    )
    return np.asarray(picture)[side : 2 * side, side : 2 * side]


def lit(image: Pixels, brightness: float) -> Pixels:
    """Brighter or darker by a factor."""
    return np.asarray(ImageEnhance.Brightness(Image.fromarray(image)).enhance(brightness))


def blurred(image: Pixels, radius: float) -> Pixels:
    """A Gaussian blur of a radius in pixels."""
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)))


def compressed(image: Pixels, quality: int) -> Pixels:
    """Through JPEG."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def filmed(image: Pixels, rng: np.random.Generator) -> Pixels:
    """A frame of a film: a little of everything, drawn at random."""
    angle, scale, right, down, light = rng.uniform(-1, 1, 5)
    turned = moved(
        image, angle=4 * angle, scale=1 + 0.04 * scale, right=0.02 * right, down=0.02 * down
    )
    soft = blurred(lit(turned, 1 + 0.2 * light), float(rng.uniform(0, 0.7)))
    return compressed(soft, int(rng.integers(60, 95)))


WEAR: dict[str, Change] = {
    "as they are": lambda image: image,
    "turned by 5 degrees": lambda image: moved(image, angle=5),
    "scaled by 1.06": lambda image: moved(image, scale=1.06),
    "3 pixels to the right": lambda image: moved(image, right=3 / 112),
    "darker by 30 %": lambda image: lit(image, 0.7),
    "blurred, radius 0.7": lambda image: blurred(image, 0.7),
    "JPEG, quality 50": lambda image: compressed(image, 50),
}
