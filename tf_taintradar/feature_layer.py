"""Where to cut a classifier: its last spatial feature map that still has weights above it.

"The last convolution" is the wrong rule: in SqueezeNet it is the class map itself, above which
nothing can hold a label down. The feature map is the last spatial tensor with weights between it
and the logits, taken after the batch norm, addition and activation that follow a convolution, but
before pooling or flattening.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from tf_taintradar.errors import UnsupportedClassifierError
from tf_taintradar.graph import Step, cuts

_INPUT = 0
_UNCHANGING = (
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.AlphaDropout,
    keras.layers.Identity,
)


@dataclasses.dataclass(frozen=True)
class Cut:
    """Where the network is split: `position` steps are the trunk, `key` is the feature map."""

    layer: str
    key: int
    position: int


def choose(steps: Sequence[Step], shapes: dict[int, tuple]) -> Cut:
    """The cut at the last spatial feature map that has weights between it and the logits.

    Args:
        steps: the network up to its logits.
        shapes: static shape of every tensor.

    Raises:
        UnsupportedClassifierError: the network has no such tensor.
    """
    for cut in reversed(_spatial_cuts(steps, shapes)):
        step = _producer(steps, cut.key)
        above = steps[cut.position :]
        if any(_mixes(s.operation) for s in above) and not _passes_on(step, shapes):
            return cut
    raise UnsupportedClassifierError(
        "`classifier` has no spatial feature map (batch, height, width, channels) with weights "
        "between it and the logits, through which everything flows. TaintRadar needs a "
        "convolutional network with at least one layer above its last feature map."
    )


def find(steps: Sequence[Step], shapes: dict[int, tuple], name: str) -> Cut:
    """The cut at the output of the layer `name` (`"conv5"`, or `"base/conv5"` where ambiguous).

    Raises:
        UnsupportedClassifierError: no such layer, several, not spatial, or part of the network
            bypasses it.
    """
    matches = [s for s in steps if s.name == name or s.name.endswith("/" + name)]
    possible = _spatial_cuts(steps, shapes)
    hint = "Possible layers, last first: " + ", ".join(c.layer for c in possible[:-9:-1]) + "."
    if len(matches) != 1:
        found = ", ".join(s.name for s in matches) or "none"
        raise UnsupportedClassifierError(
            f"`feature_layer` must name one layer of the classifier. Received: {name!r}, which "
            f"matches {found}. {hint}"
        )
    for cut in possible:
        if cut.key in matches[0].outputs:
            return cut
    shape = shapes[matches[0].outputs[0]]
    raise UnsupportedClassifierError(
        f"`feature_layer` must be a spatial feature map through which everything flows. Received: "
        f"{name!r}, shape {shape}"
        + (", which part of the network bypasses. " if _is_spatial(shape) else ". ")
        + hint
    )


def _spatial_cuts(steps: Sequence[Step], shapes: dict[int, tuple]) -> list[Cut]:
    return [
        Cut(_producer(steps, key).name, key, position)
        for key, position in cuts(steps, _INPUT).items()
        if key != _INPUT and _is_spatial(shapes[key])
    ]


def _producer(steps: Sequence[Step], key: int) -> Step:
    return next(step for step in steps if key in step.outputs)


def _is_spatial(shape: tuple) -> bool:
    return len(shape) == 4 and None not in shape[1:] and shape[1] * shape[2] > 1


def _mixes(operation: Any) -> bool:
    """Whether the operation weighs channels or places against each other, as a kernel does."""
    weights = getattr(operation, "weights", [])
    return not isinstance(operation, keras.layers.PReLU) and any(len(w.shape) >= 2 for w in weights)


def _passes_on(step: Step, shapes: dict[int, tuple]) -> bool:
    """Whether the step only hands a feature map on: pooled, padded, resized or unchanged."""
    if _mixes(step.operation):
        return False
    same_grid = any(
        shapes[key][1:3] == shapes[step.outputs[0]][1:3]
        for key in step.inputs
        if len(shapes[key]) == 4
    )
    return not same_grid or isinstance(step.operation, _UNCHANGING)
