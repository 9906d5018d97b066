"""Finds the logits of a network: the tensor before its softmax, however the softmax was written."""

from collections.abc import Sequence
from typing import Any

import keras

from tf_taintradar.errors import UnsupportedClassifierError
from tf_taintradar.graph import Step, call_step

_TO_PROBABILITIES = ("softmax", "log_softmax")
_NOTHING = ("linear", "identity")


def split_logits(steps: Sequence[Step], output: int) -> tuple[list[Step], int, list[Step]]:
    """Cuts a classifier's steps at its logits.

    The softmax may be a layer of its own, an operation, or the `activation` of the last layer; in
    the last case a shallow copy of that layer, on the same weights, computes the logits.

    Args:
        steps: the classifier's steps.
        output: the key of its answer.

    Returns:
        The steps up to the logits, the key of the logits, and the steps from them to the answer
        (none if the classifier answers logits).

    Raises:
        UnsupportedClassifierError: the answer is neither logits nor a softmax over them.
    """
    position = len(steps) - 1
    while _activation(steps[position]) in _NOTHING and _is_plain(steps[position]):
        position -= 1
    last = steps[position]
    activation = _activation(last)
    if activation in _NOTHING:
        return list(steps), output, []
    if activation not in _TO_PROBABILITIES:
        raise UnsupportedClassifierError(_why_not(last.name, activation))
    tail = list(steps[position + 1 :])
    if _is_plain(last):
        return list(steps[:position]), last.inputs[0], [last, *tail]
    logits = max(key for step in steps for key in step.outputs) + 1
    bare = Step(_without_activation(last.operation), last.name, last.inputs, (logits,), last.bind)
    softmax = keras.layers.Activation(last.operation.activation, dtype=last.operation.dtype_policy)
    rest = [call_step(softmax, last.name, logits, last.outputs[0]), *tail]
    return [*steps[:position], bare], logits, rest


def _activation(step: Step) -> str:
    """Name of the function that the step applies last; "linear" if it applies none."""
    operation = step.operation
    if hasattr(operation, "activation"):
        return getattr(operation.activation, "__name__", str(operation.activation))
    known = ("Softmax", "LogSoftmax", "Sigmoid", "LogSigmoid", "HardSigmoid", "Identity")
    kind = type(operation).__name__
    if kind not in known:
        return "linear"
    return "".join("_" + c.lower() if c.isupper() else c for c in kind).lstrip("_")


def _is_plain(step: Step) -> bool:
    """Whether the step is an activation alone, not a weighted layer that ends with one."""
    return type(step.operation).__name__ in (
        "Activation", "Identity", "Softmax", "LogSoftmax", "Sigmoid", "LogSigmoid", "HardSigmoid",
    )  # fmt: skip


def _without_activation(layer: Any) -> Any:
    """The layer on the same weights with a linear activation; the layer itself is not touched."""
    bare = object.__new__(type(layer))  # not copy.copy, for which Keras saves and loads the layer
    vars(bare).update(vars(layer), activation=keras.activations.linear)
    return bare


def _why_not(name: str, activation: str) -> str:
    if "sigmoid" in activation:
        return (
            f"`classifier` ends in a {activation} (layer `{name}`), as multi-label networks do: "
            "its labels do not compete, and TaintRadar looks for a region that holds the other "
            "labels down. Only softmax classifiers are supported."
        )
    return (
        f"`classifier` ends in the activation `{activation}` (layer `{name}`); expected a softmax "
        "or plain logits. Give the network without that activation."
    )
