"""What a frozen network sees in photographs, computed once and kept."""

import functools
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.graph import compiled
from tf_taintradar.image_files import read_image
from tf_taintradar.preprocessing import make_preprocessor
from tf_taintradar.store import Arrays, Store, checksum
from tf_taintradar.vggface.subjects import Photographs

_CHUNK = 256  # photographs that are kept together: what an interrupt can cost


def compute_features(
    network: keras.Model,
    preprocessor: object,
    photographs: Photographs,
    *,
    cache: Path | None,
    batch_size: int = 16,
    verbose: int = 1,
) -> npt.NDArray[np.float32]:
    """The network's answers to photographs.

    Args:
        network: preprocessed images (b, H, W, 3) -> features (b, d).
        preprocessor: see `TaintRadarModel`.
        photographs: n of them.
        cache: a folder where the answers are kept. They are found again if the network's weights
            and the photographs' contents are the same; otherwise they are computed anew.
        batch_size: how many are computed at once.
        verbose: 0 for silence, 1 for a progress bar.

    Returns:
        (n, d) float32.

    Raises:
        ImageError: a photograph cannot be read.
    """
    shape = network.input_shape[1:]
    preprocess = make_preprocessor(preprocessor, shape)
    store = Store(cache, {"kind": "features of photographs"})
    own = checksum(*(weight.numpy() for weight in network.weights))

    step = compiled(
        lambda pixels: tf.cast(network(preprocess(pixels), training=False), tf.float32), shape
    )

    def answers(files: list[Path]) -> Arrays:
        groups = [files[i : i + batch_size] for i in range(0, len(files), batch_size)]
        read = (np.stack([read_image(file, shape) for file in group]) for group in groups)
        return {"features": np.concatenate([step(tf.cast(images, tf.float32)) for images in read])}

    bar = keras.utils.Progbar(len(photographs.files), verbose=verbose)
    parts = []
    for start in range(0, len(photographs.files), _CHUNK):
        files = photographs.files[start : start + _CHUNK]
        hashes = photographs.hashes[start : start + _CHUNK]
        key = checksum(np.array([own, repr(preprocessor), *hashes]))
        parts.append(store.keep(key, "", functools.partial(answers, files))["features"])
        bar.add(len(files))
    return np.concatenate(parts)
