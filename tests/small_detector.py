"""The network and the images of many tests, and how a SavedModel is handed to them."""

import pathlib
from typing import NamedTuple

import keras
import numpy as np

from tf_taintradar import TaintRadarModel


def build_small_classifier(channels: int = 3) -> keras.Model:
    """See the fixture `small_classifier`."""
    keras.utils.set_random_seed(7)
    inputs = keras.Input((24, 16, channels))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="last")(x)
    x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(16, activation="relu")(x)
    return keras.Model(inputs, keras.layers.Dense(5, activation="softmax")(x))


def draw_images(n: int, channels: int = 3) -> np.ndarray:
    """See the fixture `images`."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (n, 6, 4, channels)).repeat(4, axis=1).repeat(4, axis=2)
    noise = rng.integers(-20, 21, (n, 24, 16, channels))
    return np.clip(coarse + noise, 0, 255).astype(np.uint8)


def plain(*colour: float) -> np.ndarray:
    """An image (24, 16, 3) of one colour, float32."""
    return np.full((24, 16, 3), colour, np.float32)


class Exported(NamedTuple):
    """A detector, its SavedModel, and images (n, H, W, c) uint8 of which it flags a part."""

    radar: TaintRadarModel
    folder: pathlib.Path
    images: np.ndarray
