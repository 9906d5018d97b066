"""A Keras network as a flat list of steps that run on real tensors.

Nested models are inlined, so that a layer inside a nested base can be named and the network can be
cut there. Running the steps calls the user's own layers; nothing is cloned, rewired or recorded on
them, which is how the classifier stays untouched.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tf_taintradar.errors import UnsupportedClassifierError


@dataclasses.dataclass(frozen=True)
class Step:
    """One call of one operation.

    Attributes:
        operation: the Keras layer or operation that is called, or another function.
        name: its name, after the names of the nested models around it: `"base/conv5"`.
        inputs: keys of the tensors it takes.
        outputs: keys of the tensors it makes.
        bind: turns the input tensors (in the order of `inputs`) into the call's arguments.
    """

    operation: Any
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    bind: Callable[[Sequence[Any]], tuple[tuple[Any, ...], dict[str, Any]]]

    def __call__(self, values: dict[int, Any]) -> None:
        """Runs the step: reads its inputs from `values`, adds its outputs."""
        args, kwargs = self.bind([values[key] for key in self.inputs])
        if isinstance(self.operation, keras.layers.Layer) and _takes_training(self.operation):
            kwargs = {**kwargs, "training": False}
        results = keras.tree.flatten(self.operation(*args, **kwargs))
        if len(results) != len(self.outputs):
            raise UnsupportedClassifierError(
                f"`{self.name}` must answer {len(self.outputs)} tensor. Received: {len(results)}."
            )
        values.update(zip(self.outputs, results, strict=True))


def call_step(operation: Callable[[Any], Any], name: str, source: int, result: int) -> Step:
    """A step that calls `operation` on the one tensor with the key `source`."""
    return Step(operation, name, (source,), (result,), lambda tensors: (tuple(tensors), {}))


class Form(NamedTuple):
    """What is known of a tensor before it is computed; the shape is () where it is not known.

    Of what a layer answers beside tensors, such as None, nothing is known.
    """

    shape: tuple[Any, ...]
    dtype: tf.DType | None


def is_graph(model: Any) -> bool:
    """Whether Keras holds `model` as a graph of layers: Functional, or Sequential and built.

    A subclass of a Functional model with a `call` of its own is no graph: what it does is code.
    """
    if isinstance(model, keras.Sequential):
        return hasattr(model, "inputs") and type(model).call is keras.Sequential.call
    is_function = isinstance(model, keras.Model) and isinstance(model, keras.Function)
    return is_function and type(model).call is _functional_class(model).call


def flatten(model: keras.Model, start: int = 0) -> tuple[list[Step], int]:
    """The steps of a graph model with one input and one output, in an order in which they can run.

    Parts of a nested model that the output does not need are left out.

    Args:
        model: a model for which `is_graph` holds.
        start: the key under which the model's input is found.

    Returns:
        The steps and the key of the model's output.
    """
    flattener = _Flattener(next_key=start + 1)
    (output,) = flattener.inline(model, [start], prefix="")
    return needed(flattener.steps, output), output


class _Flattener:
    def __init__(self, next_key: int) -> None:
        self.steps: list[Step] = []
        self._next_key = next_key

    def inline(self, model: keras.Model, inputs: Iterable[int], prefix: str) -> list[int]:
        graph = keras.Function(model.inputs, model.outputs)
        keys = {
            id(tensor): self._enter(tensor, key, prefix)
            for tensor, key in zip(model.inputs, inputs, strict=True)
        }
        for node in _nodes_in_order(graph):
            sources = [keys[id(tensor)] for tensor in node.input_tensors]
            name = prefix + node.operation.name
            if _can_be_inlined(node):
                results = self.inline(node.operation, sources, name + "/")
            else:
                results = self._append(node, name, sources)
            keys.update((id(t), key) for t, key in zip(node.outputs, results, strict=True))
        return [keys[id(tensor)] for tensor in model.outputs]

    def _enter(self, symbol: Any, source: int, prefix: str) -> int:
        """Casts to the dtype of the model's input, as Keras does when it calls a model."""
        cast = functools.partial(keras.ops.cast, dtype=symbol.dtype)
        (result,) = self._new_keys(1)
        self.steps.append(call_step(cast, prefix + symbol.name, source, result))
        return result

    def _append(self, node: Any, name: str, sources: list[int]) -> list[int]:
        def bind(tensors: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
            symbols = (id(tensor) for tensor in node.input_tensors)
            args, kwargs = node.arguments.fill_in(dict(zip(symbols, tensors, strict=True)))
            return args, kwargs

        results = self._new_keys(len(node.outputs))
        self.steps.append(Step(node.operation, name, tuple(sources), tuple(results), bind))
        return results

    def _new_keys(self, count: int) -> list[int]:
        self._next_key += count
        return list(range(self._next_key - count, self._next_key))


def run(steps: Iterable[Step], values: dict[int, Any]) -> dict[int, Any]:
    """Runs the steps on `values` (key -> tensor) and returns it with all results added."""
    for step in steps:
        step(values)
    return values


def inference(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`function` of one tensor as Keras runs a model in `predict`, whoever calls it.

    Every layer is in inference mode, also one that only hands the mode on to its own layers, also
    under a caller that trains. Variables keep their values, and no layer's losses change.
    """
    layer = _Inference(function)

    def call(tensor: Any) -> Any:
        with keras.StatelessScope():
            return layer(tensor, training=False)

    return call


class _Inference(keras.layers.Layer):
    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__(name="inference", dtype="float32", autocast=False)
        self._function = function
        self.built = True

    def call(self, tensor: Any, training: bool = False) -> Any:
        return self._function(tensor)


def compiled(step: Callable[..., Any], image_shape: Sequence[int]) -> Callable[[Any], Any]:
    """The step on images (b, H, W, c) float32 as one graph for every batch size."""
    spec = tf.TensorSpec((None, *image_shape), tf.float32)
    return tf.function(step, input_signature=[spec], autograph=False)


def finite_rows(tensors: Iterable[Any]) -> tf.Tensor:
    """(b,) bool: the rows in which all floats of the tensors (b, ...) are finite."""
    known = [
        tf.math.is_finite(t) for t in map(tf.convert_to_tensor, tensors) if t.dtype.is_floating
    ]
    return tf.reduce_all([tf.reduce_all(t, axis=range(1, t.shape.rank)) for t in known], axis=0)


def forms(steps: Sequence[Step], start: int, spec: tf.TensorSpec) -> dict[int, Form]:
    """The form of every tensor of the steps, by tracing them once; nothing is computed."""
    found: dict[int, Form] = {}

    def trace(tensor: tf.Tensor) -> None:
        for key, value in run(steps, {start: tensor}).items():
            known = value is not None and value.shape.rank is not None
            found[key] = Form(tuple(value.shape) if known else (), getattr(value, "dtype", None))

    tf.function(inference(trace), autograph=False).get_concrete_function(spec)
    return found


def cuts(steps: Sequence[Step], start: int) -> dict[int, int]:
    """The tensors through which everything flows: key -> number of steps before the cut.

    A network can be split at such a tensor into a trunk and a head that needs nothing else.
    """
    last_use = {key: i for i, step in enumerate(steps) for key in step.inputs}
    live = {start}
    found: dict[int, int] = {}
    for i, step in enumerate(steps):
        live |= {key for key in step.outputs if key in last_use}
        live -= {key for key in step.inputs if last_use[key] == i}
        if len(live) == 1:
            (key,) = live
            found.setdefault(key, i + 1)
    return found


def _nodes_in_order(graph: keras.Function) -> list[Any]:
    """Keras's own record of the calls, inputs first (as `keras.Function` itself runs them)."""
    by_depth = graph._nodes_by_depth
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    return [node for node in nodes if not node.is_input]


def needed(steps: Sequence[Step], output: int) -> list[Step]:
    """The steps that lead to the tensor `output`."""
    wanted, kept = {output}, []
    for step in reversed(steps):
        if wanted.intersection(step.outputs):
            wanted.update(step.inputs)
            kept.append(step)
    return kept[::-1]


def _can_be_inlined(node: Any) -> bool:
    """Whether the node calls a graph model with exactly its inputs, in the order it holds them."""
    model, arguments = node.operation, node.arguments.args
    if not is_graph(model) or len(node.input_tensors) != len(model.inputs):
        return False
    if len(model.inputs) > 1 and not (arguments and isinstance(arguments[0], list | tuple)):
        return False
    pairs = zip(node.input_tensors, model.inputs, strict=True)
    return all(len(given.shape) == len(taken.shape) for given, taken in pairs)


def _functional_class(model: keras.Model) -> Any:
    return next(c for c in type(model).__mro__ if c.__name__ == "Functional")


def _takes_training(layer: keras.layers.Layer) -> bool:
    return "training" in inspect.signature(layer.call).parameters
