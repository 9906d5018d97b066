"""Why a file of Keras cannot be read, and what to do about it."""

import json
import zipfile

import h5py

_KERAS_2 = (
    "{path!r} was written by Keras {version}, that is by Keras 2, not all of whose layers Keras 3 "
    "reads ({reason}). Take its weights over: with `pip install tf_keras`, "
    "`tf_keras.models.load_model({path!r}, compile=False).save_weights('weights.h5')`; then build "
    "the same network with Keras 3, `network.load_weights('weights.h5')` and "
    "`network.save('classifier.keras')`."
)
_WEIGHTS_ALONE = (
    "{path!r} holds weights alone, without the network. Build the network, "
    "`network.load_weights({path!r})`, then `network.save('classifier.keras')`."
)
_LAMBDA = (
    "Cannot read {path!r} as a Keras model: {reason} Its Lambda layer keeps Python code, which "
    "could do anything, so Keras does not run it (`safe_mode`). Write the function as a layer "
    "registered with @keras.saving.register_keras_serializable(), and save the network again; or, "
    "for a file that you trust, call `keras.config.enable_unsafe_deserialization()` before you "
    "load it in Python."
)
_CUSTOM = (
    "Cannot read {path!r} as a Keras model: {reason} If the class is your own, import its module "
    "before, or, on the command line, give --custom module:Class."
)


def why_unreadable(path: str, reason: str) -> str:
    """What to say of a file that Keras cannot load.

    Args:
        path: a `.keras` or `.h5` file.
        reason: what Keras says.
    """
    version = keras_version(path)
    told = "Cannot read {path!r} as a Keras model: {reason}"
    if "No model config" in reason:
        told = _WEIGHTS_ALONE
    elif version is not None and version.split(".")[0] in ("1", "2"):
        told = _KERAS_2
    elif "ambda" in reason:
        told = _LAMBDA
    elif "Could not locate" in reason or "Unknown layer" in reason:
        told = _CUSTOM
    return told.format(path=path, reason=reason, version=version)


def keras_version(path: str) -> str | None:
    """The version of Keras that wrote a file; None: the file does not say."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return str(json.loads(archive.read("metadata.json"))["keras_version"])
        with h5py.File(path) as file:
            version = file.attrs["keras_version"]
            return version.decode() if isinstance(version, bytes) else str(version)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None
