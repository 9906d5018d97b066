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

from tf_taintradar.classifier.cut import INPUT, PASSES_ON, Cut, TokenCut, mixes, producer
from tf_taintradar.classifier.graph import Form, Step, cuts
from tf_taintradar.classifier.tokens import choose_tokens, earlier_tokens, token_cuts
from tf_taintradar.errors import UnsupportedClassifierError
from tf_taintradar.support.checks import require

COARSEST = 5
"""Cells along the longer side below which a map is too coarse, if there is a finer one."""

_FINE = 6  # cells along the longer side from which on a map is taken instead


def choose_all(
    steps: Sequence[Step], forms: dict[int, Form], names: str | Sequence[str] | None, n: int
) -> list[Cut]:
    """The cut at the feature map, last, and up to n earlier ones, first to last.

    Args:
        steps: the network up to its logits.
        forms: the form of every tensor.
        names: the layer of the feature map, or the layers of all cuts, first to last; None: see
            `choose`.
        n: how many earlier cuts are looked for where they are not named, see `earlier`.

    Raises:
        UnsupportedClassifierError: there are no such cuts.
        ValueError: several names are not in the order of the network.
    """
    if names is None or isinstance(names, str):
        cut = choose(steps, forms) if names is None else find(steps, forms, names)
        return [*earlier(steps, forms, cut, n), cut]
    found = [find(steps, forms, name) for name in names]
    places = [cut.position for cut in found]
    is_ordered = len(places) > 0 and places == sorted(set(places))
    expected = "a layer, or different ones in the order of the network, the feature map's last"
    require(is_ordered, "feature_layer", names, expected)
    return found


def choose(steps: Sequence[Step], forms: dict[int, Form], *, is_fine: bool = True) -> Cut:
    """The cut at the last spatial feature map that has weights between it and the logits.

    A map of fewer than five cells a side, in both directions, says too little about where something
    is: then it is the last one of at least six, if the network has one. Where places live on as
    tokens, as in a transformer, it is the map of tokens that `tokens.choose_tokens` finds.

    Args:
        steps: the network up to its logits.
        forms: the form of every tensor.
        is_fine: whether coarse maps are passed over; they were not before 0.2.

    Raises:
        UnsupportedClassifierError: the network has no such tensor.
    """
    possible = [
        cut
        for cut in reversed(_spatial_cuts(steps, forms))
        if any(mixes(step.operation) for step in steps[: cut.position])
        and any(mixes(step.operation) for step in steps[cut.position :])
        and not _passes_on(producer(steps, cut.key), forms)
    ]
    if not possible or _tokens_above(possible[0], steps, forms):
        tokens = choose_tokens(steps, forms)
        if tokens is None:
            raise UnsupportedClassifierError(_why_none(steps, forms, possible))
        return tokens
    last = possible[0]
    if not is_fine or _n_cells(forms, last) >= COARSEST:
        return last
    fine = next((cut for cut in possible if _n_cells(forms, cut) >= _FINE), last)
    return last if fine is last else dataclasses.replace(fine, instead_of=last.layer)


def earlier(steps: Sequence[Step], forms: dict[int, Form], cut: Cut, n: int) -> list[Cut]:
    """The n nearest cuts before a cut, each with more spatially mixing operations in between.

    An operation mixes places if its kernel is larger than 1 x 1. Of the cuts with equally many of
    them in between, the one with most channels is taken, the latest of equal ones: a map before a
    squeezing convolution rather than the squeezed one. Maps of more than twice the rows or columns
    are too early. Of tokens, see `tokens.earlier_tokens`.

    Args:
        steps: the network up to its logits.
        forms: the form of every tensor.
        cut: the feature map.
        n: how many to find.

    Returns:
        The cuts, first to last; fewer if the network has no more.
    """
    if isinstance(cut, TokenCut):
        return earlier_tokens(steps, forms, cut, n)
    best: dict[int, Cut] = {}
    for other in _spatial_cuts(steps, forms):
        between = sum(_mixes_places(s.operation) for s in steps[other.position : cut.position])
        if between == 0 or not _is_alike(steps, forms, other, cut):
            continue
        known = best.get(between)
        if known is None or forms[other.key].shape[-1] >= forms[known.key].shape[-1]:
            best[between] = other
    return [best[between] for between in sorted(best)[:n]][::-1]


def find(steps: Sequence[Step], forms: dict[int, Form], name: str) -> Cut:
    """The cut at the output of the layer `name`, or at its last one if it is called several times.

    Args:
        steps: the network up to its logits.
        forms: the form of every tensor.
        name: `"base/conv5"`; `"conv5"` if only one layer, nested or not, ends so.

    Raises:
        UnsupportedClassifierError: no such layer, several, not spatial, or part of the network
            bypasses it.
    """
    names = {s.name for s in steps if isinstance(s.operation, keras.Operation)}
    matches = {name} & names or {n for n in names if n.endswith("/" + name)}
    maps = [*token_cuts(steps, forms), *_spatial_cuts(steps, forms)]
    possible = sorted(maps, key=lambda cut: cut.position)
    hint = "Possible layers, last first: " + ", ".join(c.layer for c in possible[:-9:-1]) + "."
    if len(matches) != 1:
        raise UnsupportedClassifierError(
            f"`feature_layer` must name one layer of the classifier. Received: {name!r}, which "
            f"matches {', '.join(sorted(matches)) or 'none'}. {hint}"
        )
    (full_name,) = matches
    for cut in reversed(possible):
        if cut.layer == full_name:
            return cut
    shape = next(forms[s.outputs[0]].shape for s in reversed(steps) if s.name == full_name)
    bypassed = ", which part of the network bypasses" if _is_spatial(shape) else ""
    if shape == () or None in shape[1:]:
        bypassed = ", unknown in part until it is computed: give it a fixed shape"
    raise UnsupportedClassifierError(
        f"`feature_layer` must be a spatial feature map (batch, height, width, channels) or its "
        f"tokens, through which everything flows. Received: {name!r}, shape {shape or '?'}"
        f"{bypassed}. {hint}"
    )


def _spatial_cuts(steps: Sequence[Step], forms: dict[int, Form]) -> list[Cut]:
    """All tensors of layers at which the network can be cut and that are spatial, first to last."""
    return [
        Cut(producer(steps, key).name, key, position)
        for key, position in cuts(steps, INPUT).items()
        if key != INPUT
        and _is_spatial(forms[key].shape)
        and isinstance(producer(steps, key).operation, keras.Operation)
    ]


def _n_cells(forms: dict[int, Form], cut: Cut) -> int:
    """The cells of a map along its longer side."""
    return max(forms[cut.key].shape[1:3])


def _is_spatial(shape: tuple[int | None, ...]) -> bool:
    if len(shape) != 4 or None in shape[1:]:
        return False
    return shape[1:3] != (1, 1)


def _is_alike(steps: Sequence[Step], forms: dict[int, Form], other: Cut, cut: Cut) -> bool:
    """Whether an earlier cut is at a computed map of at most twice the rows and columns."""
    near = zip(forms[other.key].shape[1:3], forms[cut.key].shape[1:3], strict=True)
    is_computed = any(mixes(step.operation) for step in steps[: other.position])
    passes_on = _passes_on(producer(steps, other.key), forms)
    return is_computed and not passes_on and all(one <= 2 * own for one, own in near)


def _mixes_places(operation: Any) -> bool:
    """Whether the operation weighs places against each other: a kernel larger than 1 x 1."""
    kernels = (weight.shape for weight in getattr(operation, "weights", []))
    return any(len(shape) == 4 and max(shape[:2]) > 1 for shape in kernels)


def _passes_on(step: Step, forms: dict[int, Form]) -> bool:
    """Whether the step only hands a feature map on: pooled, padded, resized or unchanged."""
    if mixes(step.operation):
        return False
    grid = forms[step.outputs[0]].shape[1:3]
    same_grid = any(forms[k].shape[1:3] == grid for k in step.inputs if len(forms[k].shape) == 4)
    return not same_grid or isinstance(step.operation, PASSES_ON)


def _tokens_above(cut: Cut, steps: Sequence[Step], forms: dict[int, Form]) -> str | None:
    """The layer above a map that weighs tokens (b, places, channels); None: there is none."""
    for step in steps[cut.position :]:
        if mixes(step.operation) and any(len(forms[key].shape) == 3 for key in step.inputs):
            return step.name
    return None


def _why_none(steps: Sequence[Step], forms: dict[int, Form], possible: Sequence[Cut]) -> str:
    opaque = [s.name for s in steps if isinstance(s.operation, keras.layers.TFSMLayer)]
    if opaque:
        return (
            f"`classifier` holds a SavedModel (layer `{opaque[0]}`), which keeps no layers to look "
            "into. Load the network from its .keras file, or rebuild it and load its weights."
        )
    if possible:
        last = possible[0].layer
        return (
            f"`classifier` goes on with a sequence of tokens (layer "
            f"`{_tokens_above(possible[0], steps, forms)}`) above its last spatial feature map "
            f"(`{last}`), and they are not those of a vision transformer: a few special ones, then "
            "one for each place of a map with the proportions of the image, row by row, on which "
            f"the logits depend. If that map is the one to look at, pass feature_layer={last!r}."
        )
    return (
        "`classifier` has no spatial feature map (batch, height, width, channels) with weights "
        "before it and between it and the logits, through which everything flows, nor tokens of "
        "one (batch, special tokens + height * width, channels). TaintRadar needs a convolutional "
        "network with at least one layer above its last feature map, or a vision transformer with "
        "at least one block."
    )
