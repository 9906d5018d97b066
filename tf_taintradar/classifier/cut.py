"""A place at which a network is cut in two."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from tf_taintradar.classifier.graph import Step

INPUT = 0
"""The key of the network's input."""

PASSES_ON = (
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.AlphaDropout,
    keras.layers.ActivityRegularization,
    keras.layers.Identity,
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
)
"""Layers that only hand a feature map on."""


@dataclasses.dataclass(frozen=True)
class Cut:
    """Where the network is split: `position` steps are the trunk, `key` is the feature map.

    Attributes:
        layer: the layer whose output is the map.
        key: the map.
        position: how many steps lead to it.
        instead_of: a later layer, whose map is too coarse to look at; None: there is none.
    """

    layer: str
    key: int
    position: int
    instead_of: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenCut(Cut):
    """Where a transformer is split, at tokens (b, n_special + h * w, channels).

    Attributes:
        size: (height, width) of the map, whose places come last, row by row.
        n_special: how many special tokens come before them.
    """

    size: tuple[int, int]
    n_special: int


def producer(steps: Sequence[Step], key: int) -> Step:
    """The step that makes the tensor `key`."""
    return next(step for step in steps if key in step.outputs)


def mixes(operation: Any) -> bool:
    """Whether the operation weighs channels or places against each other, as a kernel does."""
    shapes = [weight.shape for weight in getattr(operation, "weights", [])]
    makes_one = any(len(shape) == 2 and shape[0] > 1 == shape[1] for shape in shapes)
    return makes_one or any(sum(size > 1 for size in shape) >= 2 for shape in shapes)
