"""Copies of a network that compute what the network computes."""

import functools
import tempfile
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.classifier.graph import Step, flatten, forms, inference, is_graph, run
from tf_taintradar.classifier.logits import split_logits
from tf_taintradar.errors import UnsupportedClassifierError

_ROUNDING = {"float32": 1e-3, "float16": 0.05, "bfloat16": 0.2}  # of the answers' range
_N_PROBES = 4
_INPUT = 0

Array = npt.NDArray[Any]


def copy_network(
    network: keras.Model, *, precision: str = "float32", probe: Array | None = None
) -> keras.Model:
    """A copy of a network with its own weights, which gives the same answers.

    What layers derive from their weights, such as the mean of an adapted `Normalization`, is
    derived again; layers that are called several times stay one layer. Original and copy are
    compared on a few images.

    Args:
        network: a built Functional or Sequential model; nested models are copied, too.
        precision: what the copy computes in: "float32" leaves every layer as it is, "float16" and
            "bfloat16" change all of them. Weights stay float32.
        probe: (b, ...) float32, inputs of the range that the network takes; by default random
            images from 0 to 255.

    Raises:
        UnsupportedClassifierError: the network cannot be copied, or the copy answers otherwise.
    """
    (copy,) = copy_networks([network], precision=precision, probe=probe)
    return copy


def copy_networks(
    networks: Sequence[keras.Model], *, precision: str = "float32", probe: Array | None = None
) -> list[keras.Model]:
    """Copies of networks, each of which takes what the one before answers; see `copy_network`."""
    copies = [_clone(network, precision) for network in networks]
    values = probe_of(networks[0].inputs[0].shape[1:]) if probe is None else probe
    for network, copy in zip(networks, copies, strict=True):
        answer = _answer(network, values)
        if not _agree(answer, _answer(copy, values), precision):
            raise UnsupportedClassifierError(_why_other(network, copy, values, precision))
        values = answer
    return copies


def probe_of(shape: Sequence[int | None]) -> Array:
    """A few random images (b, *shape) float32 from 0 to 255; an open size becomes 64."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (_N_PROBES, 3, 3, 1))
    sizes = [size or 64 for size in shape]
    if len(sizes) != 3:
        return rng.uniform(0, 255, (_N_PROBES, *sizes)).astype(np.float32)
    smooth = np.asarray(tf.image.resize(coarse, sizes[:2]))
    noise = rng.uniform(-60, 60, (_N_PROBES, *sizes))
    return np.clip(smooth + noise, 0, 255).astype(np.float32)


def _clone(network: keras.Model, precision: str) -> keras.Model:
    pairs: list[tuple[keras.layers.Layer, keras.layers.Layer]] = []

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if precision != "float32" and "dtype" in config:
            config = {**config, "dtype": keras.DTypePolicy(f"mixed_{precision}")}
        pairs.append((layer, type(layer).from_config(config)))
        return pairs[-1][1]

    try:
        copy = keras.models.clone_model(network, clone_function=clone, recursive=True)
        for layer, new in pairs:
            _hand_over(layer, new)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise UnsupportedClassifierError(
            f"`classifier` ({network.name}) cannot be copied{_to(precision)}: {error} "
            f"{_remedy(precision)}"
        ) from error
    return copy


def _hand_over(layer: keras.layers.Layer, new: keras.layers.Layer) -> None:
    """Gives a new layer the state of another one, as Keras does when it loads a file."""
    for old, own in zip(layer._flatten_layers(), new._flatten_layers(), strict=True):
        store: dict[str, Any] = {}
        old.save_own_variables(store)
        own.load_own_variables({name: np.asarray(value) for name, value in store.items()})
        if hasattr(old, "load_assets"):
            with tempfile.TemporaryDirectory() as folder:
                old.save_assets(folder)
                own.load_assets(folder)


def _answer(network: keras.Model, values: Array) -> Array:
    """What the network answers in inference mode, float32; logits instead of probabilities.

    Probabilities near 0 and 1 look alike whatever their logits are.
    """
    call: Any = network
    if is_graph(network) and len(network.inputs) == len(network.outputs) == 1:
        steps, key = _up_to_logits(*flatten(network), values.shape[1:])
        call = functools.partial(_run_to, steps, key)
    return np.asarray(keras.tree.flatten(inference(call)(tf.constant(values)))[0], np.float32)


def _up_to_logits(steps: list[Step], output: int, shape: Sequence[int]) -> tuple[list[Step], int]:
    known = forms(steps, _INPUT, tf.TensorSpec((None, *shape), tf.float32))
    try:
        return split_logits(steps, output, known)[:2]
    except UnsupportedClassifierError:  # no classifier: features, or several labels at once
        return steps, output


def _run_to(steps: list[Step], key: int, tensor: tf.Tensor) -> tf.Tensor:
    return run(steps, {_INPUT: tensor})[key]


def _agree(answer: Array, other: Array, precision: str) -> bool:
    """Whether two answers (b, ...) to the same images differ by rounding alone."""
    known = np.isfinite(answer)
    if answer.shape != other.shape or (known & ~np.isfinite(other)).any():
        return False
    if not known.any():
        return True
    width = max(np.ptp(answer[known]), 1e-3 * abs(answer[known]).max())
    return bool((abs(answer - other)[known] <= _ROUNDING[precision] * width + 1e-6).all())


def _why_other(network: keras.Model, copy: keras.Model, values: Array, precision: str) -> str:
    layer = _first_other(network, copy, values, precision)
    where = f", from its layer `{layer}` on" if layer else ""
    return (
        f"`classifier` ({network.name}) must answer the same when it is copied{_to(precision)}. "
        f"Received: other answers{where}. The layer may hold values that are neither weights nor "
        f"in its `get_config()`, or leave the range of {precision}. {_remedy(precision)}"
    )


def _first_other(
    network: keras.Model, copy: keras.Model, probe: Array, precision: str
) -> str | None:
    """The name of the first layer whose answers differ; None: it cannot be found."""
    if not all(is_graph(one) and len(one.inputs) == 1 for one in (network, copy)):
        return None
    values: list[dict[int, Any]] = [{_INPUT: tf.constant(probe)} for _ in range(2)]
    for steps in zip(flatten(network)[0], flatten(copy)[0], strict=False):
        found = []
        for step, known in zip(steps, values, strict=True):
            inference(functools.partial(_add, step, known))(probe)
            found.append(np.asarray(known[step.outputs[0]], np.float32))
        if not _agree(found[0], found[1], precision):
            return steps[0].name
    return None


def _add(step: Step, values: dict[int, Any], _: Any) -> None:
    step(values)


def _to(precision: str) -> str:
    return "" if precision == "float32" else f" to compute in {precision}"


def _remedy(precision: str) -> str:
    if precision == "float32":
        return "Give its layers a `get_config()` and a `from_config()` that tell all they hold."
    return (
        "Export it in float32, or build it under keras.mixed_precision.set_global_policy"
        f"('mixed_{precision}')."
    )
