"""Scales that make numbers in different units comparable and keep the promise of a calibration.

Every number of an image is centred on the benign median and divided by the distance from there to
the benign 97 % quantile: 0 is an ordinary benign image, 1 as far out as three in a hundred.

Taking scales and threshold from the same images breaks the exchangeability that the promise of
`smallest_threshold` rests on. Full conformal prediction would find the scales anew for each image,
with the image itself counted in. That is cheap here: the r-th smallest of n + 1 numbers is the new
one, clipped to the (r - 1)-th and the r-th smallest of the other n. So an image is scaled with its
own scales by two clips, and the scales of any further image are known to lie between bounds. The
threshold is chosen on the benign scores at the worst of these bounds, so that a further benign
image is flagged with a probability of at most the target.

n images, m numbers of each.
"""

import math

import numpy as np
import numpy.typing as npt
import tensorflow as tf

QUANTILE = 0.97
_SMALLEST = 1e-6  # spread of a number that hardly varies
_BEYOND = 1e30  # no bound, as a number that JSON and float32 hold


def find_bounds(numbers: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """The bounds of the median and of the 97 % quantile of n + 1 images, n of which are known.

    Args:
        numbers: (n, m) floats of benign images.

    Returns:
        (4, m) float64: the lowest and the highest median, the lowest and the highest quantile.

    Fewer than 33 images have no such quantile: the second largest of n + 1 numbers takes its place.

    Source: Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005: full conformal
    prediction.
    """
    n, m = numbers.shape
    edge = np.full((1, m), _BEYOND)
    ordered = np.concatenate([-edge, np.sort(np.asarray(numbers, np.float64), axis=0), edge])
    middle, high = math.ceil((n + 1) / 2), min(math.ceil(QUANTILE * (n + 1)), n)
    return ordered[[middle - 1, middle, high - 1, high]]


def find_usual(
    values: npt.NDArray[np.floating], own: npt.NDArray[np.integer]
) -> npt.NDArray[np.float64]:
    """The bounds of what each label has in n + 1 benign images, n of which are known.

    That is the median over the images. In each image the mean over all labels takes the place of
    its own label's value: labels that are frequent among the images would seem to have more.

    Args:
        values: (n, k) floats, what each of k labels has in each image.
        own: (n,) ints, the label of each image.

    Returns:
        (2, k) float64: the lowest and the highest median.
    """
    others = np.array(values, np.float64)
    others[np.arange(len(own)), own] = others.mean(axis=1)
    return find_bounds(others)[:2]


def scale(numbers: tf.Tensor, bounds: tf.Tensor) -> tf.Tensor:
    """The numbers (..., m) float32 on the scale of `find_bounds`, each image counted in itself."""
    median = tf.clip_by_value(numbers, bounds[0], bounds[1])
    high = tf.clip_by_value(numbers, bounds[2], bounds[3])
    return (numbers - median) / tf.maximum(high - median, _SMALLEST)


def highest_scaled(
    numbers: npt.NDArray[np.floating], bounds: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """The numbers (n, m) of the calibration images at the worst of all scales they may get."""
    values = np.asarray(numbers, np.float64)
    corners = [(m, h) for m in bounds[:2] for h in bounds[2:]]
    scaled = [(values - m) / np.maximum(h - m, _SMALLEST) for m, h in corners]
    return np.max(scaled, axis=0)
