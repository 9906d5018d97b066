"""Finds the logits of a network: the tensor before its softmax, however the softmax was written."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras

from tf_taintradar.classifier.graph import Form, Step, call_step
from tf_taintradar.errors import UnsupportedClassifierError

LINEAR, SIGMOID = "linear", "sigmoid"
_SOFTMAX = ("softmax", "log_softmax", "softmax_v2", "log_softmax_v2")  # v2: of tf.nn
_NOTHING = (LINEAR, "identity")
_ACTIVATIONS = ("Identity", "Softmax", "LogSoftmax", "Sigmoid", "LogSigmoid", "HardSigmoid")
_SAME_VALUES = ("Cast", "Flatten", "Reshape", "Squeeze")


class Split(NamedTuple):
    """A classifier cut at its logits.

    Attributes:
        body: the steps up to the logits.
        logits: their key.
        tail: the steps from them to the answer; none if the classifier answers logits.
        activation: what makes the answer of the logits: `LINEAR` (nothing), `SIGMOID`, or the name
            of a softmax.
    """

    body: list[Step]
    logits: int
    tail: list[Step]
    activation: str


def split_logits(steps: Sequence[Step], output: int, forms: dict[int, Form]) -> Split:
    """Cuts a classifier's steps at its logits.

    The softmax or sigmoid may be a layer of its own, an operation, or the `activation` of the last
    layer; in the last case a second layer object, on the same weights, computes the logits. Casts
    and reshapes may follow it.

    Args:
        steps: the classifier's steps.
        output: the key of its answer.
        forms: the forms of all tensors.

    Raises:
        UnsupportedClassifierError: the answer is neither logits nor a softmax or sigmoid of them.
    """
    position = next((i for i in reversed(range(len(steps))) if not _changes_nothing(steps[i])), 0)
    last = steps[position]
    activation = _activation(last)
    if activation in _NOTHING:
        return Split(list(steps), output, [], LINEAR)
    if activation not in (*_SOFTMAX, SIGMOID):
        raise UnsupportedClassifierError(_why_not(last.name, activation))
    (result,) = last.outputs
    if activation != SIGMOID:
        _check_axis(last, forms[result], forms[output])
    tail = list(steps[position + 1 :])
    if _is_plain(last):
        return Split(list(steps[:position]), last.inputs[0], [last, *tail], activation)
    layer = last.operation
    applied = keras.layers.Activation(layer.activation, dtype=layer.compute_dtype, name=layer.name)
    bare = Step(_without_activation(layer), last.name, last.inputs, last.outputs, last.bind)
    tail = [call_step(applied, last.name, result, result), *tail]
    return Split([*steps[:position], bare], result, tail, activation)


def _changes_nothing(step: Step) -> bool:
    """Whether the values that the step is given are all that it answers."""
    if type(step.operation).__name__ in _SAME_VALUES or not isinstance(
        step.operation, keras.Operation
    ):
        return True
    return _is_plain(step) and _activation(step) in _NOTHING


def _activation(step: Step) -> str:
    """Name of the function that the step applies last; "linear" if it applies none."""
    operation = step.operation
    if hasattr(operation, "activation"):
        return getattr(operation.activation, "__name__", str(operation.activation))
    kind = type(operation).__name__
    return re.sub("(?<!^)(?=[A-Z])", "_", kind).lower() if kind in _ACTIVATIONS else "linear"


def _is_plain(step: Step) -> bool:
    """Whether the step is an activation alone, not a weighted layer that ends with one."""
    return type(step.operation).__name__ in ("Activation", *_ACTIVATIONS)


def _without_activation(layer: Any) -> Any:
    """The layer on the same weights with a linear activation; the layer itself is not touched."""
    bare = object.__new__(type(layer))  # not copy.copy, for which Keras saves and loads the layer
    vars(bare).update(vars(layer), activation=keras.activations.linear)
    return bare


def _check_axis(last: Step, form: Form, answer: Form) -> None:
    """Refuses a softmax that does not compare the classes of one image with each other."""
    axis = getattr(last.operation, "axis", -1)
    (axis,) = axis if isinstance(axis, list | tuple) and len(axis) == 1 else (axis,)
    if axis in (-1, len(form.shape) - 1) and form.shape[-1] == answer.shape[-1]:
        return
    raise UnsupportedClassifierError(
        f"`classifier` ends in a softmax (layer `{last.name}`) over the axis {axis} of a tensor of "
        f"shape {form.shape}; expected one over its {answer.shape[-1]} classes, the last axis."
    )


def _why_not(name: str, activation: str) -> str:
    return (
        f"`classifier` ends in the activation `{activation}` (layer `{name}`); expected a "
        "softmax, a sigmoid, or plain logits. Give the network without that activation."
    )
