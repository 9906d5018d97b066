"""Weights files, loaded completely or not at all."""

import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import h5py
import keras
import numpy as np
import numpy.typing as npt

from tf_taintradar.errors import WeightsError

Tensors = Mapping[str, Sequence[npt.NDArray[np.floating]]]


def load_weights(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Loads the weights of all layers of a model by their names, or of none.

    Args:
        model: a network whose layers are named as in the file, with `_` for `/`.
        path: path of a `.h5` or `.hdf5` file of Keras 2, with only weights or a whole model, as
            keras-vggface publishes and writes them; or of a `.weights.h5` or `.keras` file of
            Keras 3, which Keras reads itself.

    Raises:
        WeightsError: the file cannot be read, lacks a layer of the model or holds one of another
            shape, or holds numbers that are not finite. The model is not changed then.
    """
    file = pathlib.Path(path)
    if not file.is_file():
        raise WeightsError(f"There is no weights file {os.fspath(path)!r}.")
    if file.name.endswith((".weights.h5", ".keras")):
        _load_keras_3(model, file)
        return
    try:
        with h5py.File(file, "r") as opened:
            tensors = dict(_tensors(opened.get("model_weights", opened)))
    except (OSError, KeyError, AttributeError) as error:
        raise WeightsError(
            f"Cannot read {os.fspath(path)!r} as a weights file of Keras: {error}. If it was "
            "downloaded, it may be cut off: delete it and download it again."
        ) from error
    assign(model, tensors, os.fspath(path))


def assign(model: keras.Model, tensors: Tensors, source: str) -> None:
    """Assigns tensors to all layers of a model, or to none.

    Args:
        model: the network.
        tensors: tensors of each layer by its name, with `_` for `/`.
        source: name of the tensors' origin in an error.

    Raises:
        WeightsError: a layer's tensors are missing, of other shapes or not finite.
    """
    wanted = [layer for layer in model.layers if layer.weights]
    missing = [layer.name for layer in wanted if layer.name not in tensors]
    if missing:
        found = ", ".join(list(tensors)[:6]) + (", ..." if len(tensors) > 6 else "")
        raise WeightsError(
            f"{source!r} lacks {len(missing)} of the {len(wanted)} layers: {', '.join(missing)}. "
            f"It holds {found or 'nothing'}. {_hint(missing)}"
        )
    for layer in wanted:
        shapes = [tuple(weight.shape) for weight in layer.weights]
        found_shapes = [tensor.shape for tensor in tensors[layer.name]]
        if shapes != found_shapes:
            raise WeightsError(
                f"{source!r} does not fit: layer {layer.name} has weights of shape {shapes}, the "
                f"file {found_shapes}. Build the network with the file's `classes`, "
                "`input_shape` and `width`."
            )
        if not all(np.isfinite(tensor).all() for tensor in tensors[layer.name]):
            raise WeightsError(f"{source!r} holds NaN or infinite numbers in layer {layer.name}.")
    for layer in wanted:
        layer.set_weights(tensors[layer.name])


def _tensors(group: h5py.Group) -> Iterator[tuple[str, list[npt.NDArray[np.floating]]]]:
    """The names and tensors of all layers of a Keras 2 file that have weights."""
    for name in map(_text, group.attrs["layer_names"]):
        names = [_text(weight) for weight in group[name].attrs["weight_names"]]
        if names:
            yield name.replace("/", "_"), [np.asarray(group[name][weight]) for weight in names]


def _load_keras_3(model: keras.Model, file: pathlib.Path) -> None:
    before = model.get_weights()
    try:
        model.load_weights(file)
    except Exception as error:  # on another network's file Keras raises nearly anything
        model.set_weights(before)
        raise WeightsError(f"Cannot load {os.fspath(file)!r}: {error}") from error


def _hint(missing: Sequence[str]) -> str:
    if all(name.startswith("fc") for name in missing):
        return "It is a file without the top: pass include_top=False, or the file with it."
    return "It belongs to another network."


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
