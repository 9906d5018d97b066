"""Features of photographs in a frozen network, computed once and stored."""

import functools
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.classifier.preprocessing import make_preprocessor
from tf_taintradar.faces.batches import Batches
from tf_taintradar.faces.devices import place
from tf_taintradar.faces.photographs import Photographs
from tf_taintradar.support.progress import Progress
from tf_taintradar.support.resumable import Arrays, Store, checksum

_CHUNK = 256  # photographs that are stored together: the most an interrupt can cost

KEPT = {"kind": "features of photographs"}
"""The setting of a `Store` of features."""


def compute_features(
    network: keras.Model,
    preprocessor: object,
    photographs: Photographs,
    *,
    cache: Path | None,
    batch_size: int = 16,
    strategy: tf.distribute.Strategy | None = None,
    verbose: int = 1,
) -> npt.NDArray[np.float32]:
    """The network's features of photographs.

    Args:
        network: preprocessed images (b, H, W, 3) -> features (b, d).
        preprocessor: raw pixels -> the network's input, as `TaintRadarModel` takes it.
        photographs: n photographs.
        cache: folder in which the features are stored. They are reused if the network's weights
            and the photographs' contents are the same; otherwise they are computed anew.
        batch_size: number of photographs that are computed at once, on each device.
        strategy: distribution strategy that computes on several devices; None: TensorFlow's default
            device.
        verbose: 0 for silence, 1 for a progress bar.

    Returns:
        (n, d) float32.

    Raises:
        ImageError: a photograph cannot be read.
    """
    preprocess = make_preprocessor(preprocessor, network.input_shape[1:])
    store = Store(cache, KEPT)
    own = checksum(*(weight.numpy() for weight in [*network.weights, *preprocess.weights]))
    settings = {**preprocess.get_config(), "name": type(preprocess).__name__}
    placed = place(network, strategy)

    def answers(chunk: Photographs) -> Arrays:
        found = placed.predict(Batches(chunk, network, preprocess, batch_size, strategy), verbose=0)
        return {"features": found[: len(chunk.files)].astype(np.float32)}

    bar = Progress(len(photographs.files), verbose)
    parts = []
    for start in range(0, len(photographs.files), _CHUNK):
        chunk = photographs.take(np.arange(len(photographs.files))[start : start + _CHUNK])
        key = checksum(np.array([own, repr(settings), *chunk.hashes]))
        parts.append(store.keep(key, "", functools.partial(answers, chunk))["features"])
        bar.add(len(chunk.files))
    return np.concatenate(parts)
