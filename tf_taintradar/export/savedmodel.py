"""Writes a detector as one SavedModel: graphs, weights, requests to warm up with, a description."""

import hashlib
import io
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from tf_taintradar.export.signatures import Endpoint
from tf_taintradar.support.extras import MissingExtraError, import_extra
from tf_taintradar.support.version import __version__

BATCH_SIZES = (1, 2, 4, 8, 16, 32)
"""The batch sizes that a server is set to, and warmed up with."""

MODEL_FILE, METADATA_FILE = "saved_model.pb", "assets/metadata.json"
"""What a SavedModel's folder holds, beside its weights."""

_GREY = 128
_LOG = logging.getLogger(__name__)


def versions_in(base: Path) -> dict[int, Path]:
    """The folder of each version of a SavedModel, as TensorFlow Serving finds them in `base`."""
    return {int(path.name): path for path in base.glob("*") if path.name.isdecimal()}


def check_replaceable(folder: str | os.PathLike[str]) -> None:
    """Refuses a folder whose place a SavedModel must not take.

    Args:
        folder: it does not exist, is empty, or is an older SavedModel.

    Raises:
        FileExistsError: it is a file, or holds something else.
    """
    path = Path(folder)
    is_older = path.is_dir() and ((path / MODEL_FILE).exists() or not any(path.iterdir()))
    if path.exists() and not is_older:
        raise FileExistsError(
            f"{path} exists and is no SavedModel: it would be replaced as a whole. Name a new "
            f"folder, such as {path / '1'}."
            if path.is_dir()
            else f"{path} is a file. Name a new folder."
        )


def write_savedmodel(
    folder: Path,
    endpoints: dict[str, Endpoint],
    *,
    weights: Sequence[keras.Variable],
    description: dict[str, Any],
) -> None:
    """Writes the SavedModel; `folder` is new, and useless if this fails half-way.

    Args:
        folder: where `saved_model.pb`, `variables/`, `assets/metadata.json` and
            `assets.extra/tf_serving_warmup_requests` go; the last one only if
            tensorflow-serving-api is installed.
        endpoints: see `signatures.signatures`.
        weights: those of the detector, for their checksum.
        description: what else `metadata.json` says, ready for JSON.
    """
    archive = keras.export.ExportArchive()
    for name, (function, spec) in endpoints.items():
        archive.add_endpoint(name, function, input_signature=[spec])
    archive.add_endpoint("serve", _serve(endpoints))
    archive.write_out(str(folder), verbose=False)
    _write_warmup(folder / "assets.extra" / "tf_serving_warmup_requests", endpoints)
    metadata = {
        **description,
        "signatures": sorted(endpoints),
        "batch_sizes": BATCH_SIZES,
        "weights": sum_up(weights),
        "versions": {
            "tf_taintradar": __version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
    }
    file = folder / METADATA_FILE
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")


def _serve(endpoints: dict[str, Endpoint]) -> tf.types.experimental.PolymorphicFunction:
    """Keras's name for the default; in Python the loaded function takes float32 images, too."""
    defaults = [endpoints[name] for name in ("serving_default", "serve_float")]
    by_dtype = {spec.dtype: function for function, spec in defaults}
    serve = tf.function(lambda images: by_dtype[images.dtype](images), autograph=False)
    for _, spec in defaults:
        serve.get_concrete_function(spec)
    return serve


def sum_up(weights: Sequence[keras.Variable]) -> dict[str, Any]:
    """How many weights there are, their size, and the SHA-256 of their bytes in order.

    Args:
        weights: those of a detector, in its order.

    Returns:
        `tensors`, `bytes` and, in hexadecimal, `sha256`, ready for JSON.
    """
    digest, size = hashlib.sha256(), 0
    for weight in weights:
        values = np.ascontiguousarray(weight.numpy())
        digest.update(values.tobytes())
        size += values.nbytes
    return {"tensors": len(weights), "bytes": size, "sha256": digest.hexdigest()}


def _write_warmup(path: Path, endpoints: dict[str, Endpoint]) -> None:
    """One request for each signature and batch size, so that no client waits for the first run.

    Each is a grey image, kept as a single number, which stands for all elements of its tensor.
    Without tensorflow-serving-api, logs a warning instead.
    """
    try:
        prediction_log = import_extra(
            "tensorflow_serving.apis.prediction_log_pb2", feature="Writing them", extra="serving"
        )
    except MissingExtraError as error:
        _LOG.warning(
            "Exported without warm-up requests: a server is slow to answer the first ones. %s",
            error,
        )
        return
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, (_, spec) in sorted(endpoints.items()):
            for batch_size in BATCH_SIZES:
                log = prediction_log.PredictionLog()
                request = log.predict_log.request
                request.model_spec.signature_name = name
                value = _grey_png() if spec.dtype == tf.string else _GREY
                tensor = tf.make_tensor_proto(value, spec.dtype, (batch_size, *spec.shape[1:]))
                request.inputs[spec.name].CopyFrom(tensor)
                writer.write(log.SerializeToString())


def _grey_png() -> bytes:
    """A grey image as the bytes of a PNG file."""
    file = io.BytesIO()
    Image.new("L", (64, 64), _GREY).save(file, "PNG")
    return file.getvalue()
