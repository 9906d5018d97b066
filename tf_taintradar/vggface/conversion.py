"""Conversion of networks that were made with the package keras-vggface to Keras 3."""

import json
import os
import pathlib
from typing import Any

import h5py
import keras
import numpy as np

from tf_taintradar.errors import WeightsError
from tf_taintradar.vggface.weights import assign, load_weights


def from_keras_vggface(network: Any) -> keras.Model:
    """Converts a network that was made with keras-vggface to Keras 3, with its weights.

    That package does not run on Keras 3, but its networks do: VGG16, ResNet50 and SENet50. The
    conversion changes neither the package, nor the given network, nor any global state.

    Args:
        network: the path of a whole model that was saved with keras-vggface,
            `model.save("face.h5")`; or a model of Keras 2 (`tf_keras`, or an object with
            `get_config()` and `layers`, each with `name` and `get_weights()`). A Keras 3 model is
            returned unchanged.

    Returns:
        A Keras 3 model with the same layers, `_` for `/` in their names.

    Raises:
        WeightsError: the file cannot be read, holds only weights, or its layers are unknown to
            Keras 3; the message says what to do.
    """
    if isinstance(network, keras.Model):
        return network
    if isinstance(network, (str, os.PathLike)):
        return _from_file(pathlib.Path(network))
    if not hasattr(network, "get_config") or not hasattr(network, "layers"):
        raise WeightsError(
            "`network` must be a model, or the path of one that was saved with model.save. "
            f"Received: {type(network).__qualname__}."
        )
    model = _build({"class_name": "Functional", "config": network.get_config()}, "the network")
    tensors = {
        layer.name.replace("/", "_"): [np.asarray(one) for one in layer.get_weights()]
        for layer in network.layers
        if layer.get_weights()
    }
    assign(model, tensors, "the network")
    return model


def _from_file(path: pathlib.Path) -> keras.Model:
    if path.suffix == ".keras":
        return keras.models.load_model(path, compile=False)
    try:
        with h5py.File(path, "r") as file:
            config = file.attrs.get("model_config")
    except OSError as error:
        raise WeightsError(
            f"Cannot read {os.fspath(path)!r} as a model of Keras: {error}."
        ) from error
    if config is None:
        raise WeightsError(
            f"{os.fspath(path)!r} holds only weights: build the network first, "
            "`VGGFace(weights=path)` for VGG16; for another one, save the whole model where "
            "keras-vggface runs, model.save('face.h5')."
        )
    model = _build(json.loads(config), os.fspath(path))
    load_weights(model, path)
    return model


def _build(config: dict[str, Any], source: str) -> keras.Model:
    """The model of a Keras 2 config, `_` for `/` in the names of its layers."""
    names = {layer["config"]["name"] for layer in config["config"]["layers"]}
    renamed = {name: name.replace("/", "_") for name in names if "/" in name}
    config = _renamed(config, renamed)
    try:
        return keras.Model.from_config(config["config"])
    except (TypeError, ValueError, KeyError, AttributeError, IndexError) as error:
        raise WeightsError(
            f"Keras 3 cannot rebuild {source!r}: {error}. For VGG16, save only its weights, "
            "model.save_weights('face.h5'), and load them with VGGFace(weights='face.h5')."
        ) from error


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """The value with every string that is one of the names replaced."""
    if isinstance(value, dict):
        return {key: _renamed(one, names) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_renamed(one, names) for one in value]
    return names.get(value, value) if isinstance(value, str) else value
