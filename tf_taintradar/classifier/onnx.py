"""A network in an ONNX file as a Keras layer, which ONNX Runtime computes."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.errors import UnsupportedClassifierError
from tf_taintradar.support.checks import reason_of
from tf_taintradar.support.extras import import_extra

_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
_CHANNELS = (1, 3)


@keras.saving.register_keras_serializable(package="tf_taintradar")
class OnnxLayer(keras.layers.Layer):
    """Runs an ONNX file on images; for `TaintRadarModel(OnnxLayer(path), variant="cover")`.

    ONNX Runtime is called from Python and computes on the CPU or whatever else it was installed
    for. No gradients pass, so the network cannot be opened, and the layer cannot become part of a
    SavedModel. Channels may come first in the file; the layer takes them last, as Keras does.

    Args:
        filepath: the `.onnx` file, with one input of images and one output. It is not copied: a
            saved detector expects it at the same place.
        **kwargs: Keras's `name`, `dtype` and `trainable`.

    Raises:
        UnsupportedClassifierError: the file cannot be read, or takes or gives something else.
        MissingExtraError: ONNX Runtime is not installed.

    Call arguments:
        images: (b, H, W, c), what the network was trained on.
    """

    def __init__(self, filepath: str | os.PathLike[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filepath = os.fspath(filepath)
        runtime = import_extra("onnxruntime", feature="Running an ONNX file", extra="onnx")
        try:
            session = runtime.InferenceSession(
                self.filepath, providers=runtime.get_available_providers()
            )
        except Exception as error:  # ONNX Runtime has an error of its own for each cause
            raise UnsupportedClassifierError(
                f"Cannot read {self.filepath!r} as an ONNX file: {reason_of(error)}"
            ) from error
        inputs, outputs = session.get_inputs(), session.get_outputs()
        self._check(inputs, outputs)
        n_rows, *shape = (size if isinstance(size, int) else None for size in inputs[0].shape)
        self._channels_first = shape[2] not in _CHANNELS and shape[0] in _CHANNELS
        self.image_shape = (*shape[1:], shape[0]) if self._channels_first else tuple(shape)
        self._at_once = n_rows
        self._dtype_in = _DTYPES[inputs[0].type]
        self._run = lambda array: session.run(None, {inputs[0].name: array})[0]
        self.built = True

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """What the network answers, (b, n) float32."""
        return tf.numpy_function(self._answer, [images], tf.float32)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "filepath": self.filepath}

    def _answer(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        array = np.asarray(images, self._dtype_in)
        if self._channels_first:
            array = np.ascontiguousarray(np.moveaxis(array, -1, 1))
        step = self._at_once or max(1, len(array))
        parts = [self._run(array[i : i + step]) for i in range(0, len(array), step)]
        return np.concatenate(parts).astype(np.float32)

    def _check(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Refuses what is no network from one batch of images to one batch of answers."""
        found = [f"{one.name} {one.type} {one.shape}" for one in inputs]
        is_image = len(inputs) == 1 and len(inputs[0].shape) == 4 and inputs[0].type in _DTYPES
        if not is_image or inputs[0].shape[0] not in (1, None) and _is_number(inputs[0].shape[0]):
            raise UnsupportedClassifierError(
                f"{Path(self.filepath).name!r} must take one batch of images, of any number or one "
                f"at a time, as float32, float16 or uint8. Received: {', '.join(found)}. Export "
                "it with a dynamic batch axis."
            )
        if len(outputs) != 1:
            names = ", ".join(one.name for one in outputs)
            raise UnsupportedClassifierError(
                f"{Path(self.filepath).name!r} must have one output. Received: {names}. Export the "
                "class output alone."
            )


def _is_number(size: Any) -> bool:
    return isinstance(size, int)
