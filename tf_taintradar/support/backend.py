"""Refuses another backend of Keras than TensorFlow, when it is imported: before anything else."""

import os

_OTHERS = ("jax", "torch")


def check_backend() -> None:
    """Does nothing where Keras runs on TensorFlow.

    Raises:
        ImportError: it runs, or is asked to run, on another backend.
    """
    name = os.environ.get("KERAS_BACKEND") or _backend_of_keras()
    if name != "tensorflow":
        raise ImportError(
            f"tf_taintradar needs Keras on TensorFlow. Received: the backend {name!r}. Set the "
            "environment variable KERAS_BACKEND=tensorflow before Keras is imported."
        )


def _backend_of_keras() -> str:
    """What the file ~/.keras/keras.json says, if there is one; whether it is installed or not."""
    try:
        import keras
    except ModuleNotFoundError as error:
        if error.name not in _OTHERS:
            raise
        return str(error.name)
    return str(keras.config.backend())


check_backend()
