"""Layers that hold a transformer's blocks and call them in turn, as KerasHub's encoders do."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_taintradar.classifier.graph import Form, Step, call_step, inference, needed, run

_ROUNDING = 1e-4


def unroll(steps: Sequence[Step], output: int, forms: dict[int, Form]) -> list[Step]:
    """The steps, with the calls of the blocks in place of the call of a layer that holds them.

    Such a layer takes tokens (b, t, channels), and holds several layers of one kind that have
    layers of their own, and perhaps one more that is called behind them. That there is no more to
    it is seen by what it answers to noise; where there is, its step stays as it is.

    Args:
        steps: the network.
        output: the key of its answer.
        forms: the form of every tensor.
    """
    keys = itertools.count(1 + max(forms))
    unrolled: list[Step] = []
    for step in steps:
        calls = _calls(step, forms, keys)
        if calls:  # the layer itself, for what else it may answer; left out if nobody asks for it
            unrolled.append(dataclasses.replace(step, outputs=(next(keys), *step.outputs[1:])))
            last = dataclasses.replace(calls[-1], outputs=(step.outputs[0], *calls[-1].outputs[1:]))
            unrolled += [*calls[:-1], last]
        else:
            unrolled.append(step)
    return needed(unrolled, output)


def _calls(step: Step, forms: dict[int, Form], keys: Iterator[int]) -> list[Step]:
    """The calls in place of a step, each on the first answer of the one before; [] if it stays."""
    chains = list(_chains(step.operation)) if len(step.inputs) == 1 else []
    form = forms[step.inputs[0]] if chains else Form((), tf.float32)
    if len(form.shape) != 3 or None in form.shape[1:]:
        return []
    noise = tf.cast(tf.random.stateless_normal((1, *form.shape[1:]), (0, 1)), form.dtype)
    for chain in chains:
        calls: list[Step] = []
        try:
            for layer in chain:
                source = calls[-1].outputs[0] if calls else step.inputs[0]
                calls.append(_call(layer, step.name, source, keys, noise))
            if _is_same(step, calls, noise):
                return calls
        except Exception:  # what a layer raises that is not called in this way
            continue
    return []


def _chains(layer: Any) -> Iterator[list[keras.layers.Layer]]:
    """The orders in which a layer may call those it holds; none if it holds no blocks."""
    if not isinstance(layer, keras.layers.Layer) or type(layer).__module__.startswith("keras."):
        return
    parts = [part for part in _parts(layer) if part.weights]
    for kind in dict.fromkeys(type(part) for part in parts if _parts(part)):
        blocks = [part for part in parts if type(part) is kind]
        if len(blocks) > 1:
            yield from ([*blocks, other] for other in parts if type(other) is not kind)
            yield blocks


def _parts(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    return list(layer._flatten_layers(include_self=False, recursive=False))


def _call(
    layer: keras.layers.Layer, prefix: str, source: int, keys: Iterator[int], noise: tf.Tensor
) -> Step:
    n_answers = len(keras.tree.flatten(inference(layer)(noise)))
    step = call_step(layer, f"{prefix}/{layer.name}", source, next(keys))
    return dataclasses.replace(
        step, outputs=(*step.outputs, *itertools.islice(keys, n_answers - 1))
    )


def _is_same(step: Step, calls: list[Step], noise: tf.Tensor) -> bool:
    """Whether the calls answer what the step does."""

    def answer(steps: Sequence[Step]) -> Any:
        key = steps[-1].outputs[0]
        compute = inference(lambda tensor: run(steps, {step.inputs[0]: tensor})[key])
        return np.asarray(compute(noise), np.float32)

    whole, other = answer([step]), answer(calls)
    tolerance = _ROUNDING * abs(whole).max(initial=1e-6)
    return whole.shape == other.shape and np.allclose(whole, other, rtol=0, atol=tolerance)
