"""Last layers of face classifiers: what turns an embedding (b, d) into names (b, n).

A dense head is trained. A head of prototypes is computed: each person is the mean of the unit
embeddings of their photographs, and an image's logits are its cosines with them, scaled.
"""

import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tf_taintradar.errors import UnsupportedClassifierError

Features = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

HEADS = ("dense", "prototypes")

_VALIDATION = 0.1  # of the training photographs, for early stopping
_SCALES = np.arange(1.0, 65.0)
_USUAL_SCALE = 30.0  # where nobody has two photographs to choose one by


def embedding_of(network: keras.Model, kept: str | None = None) -> keras.Model:
    """The part of a network that is kept: preprocessed images (b, H, W, 3) -> (b, d).

    Args:
        network: a built Functional or Sequential model.
        kept: name of the last layer that is kept; if its output is spatial, it is averaged. None:
            of a classifier, which ends in a softmax, all up to its last layer with weights; any
            other network is an embedding, and kept whole.

    Raises:
        UnsupportedClassifierError: the network has no layer `kept`, more than one output, or
            takes images of any size.
    """
    if len(network.outputs) != 1:
        raise UnsupportedClassifierError(
            "`network` must answer one embedding for each image. Received: a model of "
            f"{len(network.outputs)} outputs. Make a keras.Model of its input and the embedding."
        )
    if None in network.input_shape[1:]:
        raise UnsupportedClassifierError(
            f"`network` must take images of one size. Received: an input of shape "
            f"{network.input_shape}. Fix it first: `inputs = keras.Input((112, 112, 3)); "
            "keras.Model(inputs, network(inputs))`."
        )
    output = _default_output(network) if kept is None else _output_of(network, kept)
    if len(output.shape) == 4:
        output = keras.layers.GlobalAveragePooling2D(name="subjects_pooling")(output)
    return keras.Model(network.inputs[0], output)


def _output_of(network: keras.Model, kept: str) -> Any:
    try:
        return network.get_layer(kept).output
    except ValueError as error:
        names = ", ".join(layer.name for layer in network.layers[-6:])
        raise UnsupportedClassifierError(
            f"`kept` must name a layer of the network. Received: {kept!r}. Its last layers: "
            f"{names}."
        ) from error


def _default_output(network: keras.Model) -> Any:
    """The tensor that the classes are computed from; of an embedding network, its answer."""
    last = network.layers[-1]
    activation = getattr(getattr(last, "activation", None), "__name__", "")
    if not (isinstance(last, keras.layers.Softmax) or "softmax" in activation):
        return network.outputs[0]
    return next(layer for layer in reversed(network.layers) if layer.weights).input


def train_dense(
    features: Features,
    labels: Labels,
    n: int,
    *,
    epochs: int,
    learning_rate: float,
    dropout: float,
    log: str | os.PathLike[str] | None,
    seed: int,
) -> keras.Sequential:
    """Trains a new last layer on features that are centered and scaled.

    Args:
        features: (m, d) of the training photographs.
        labels: (m,), 0 to n - 1.
        n: number of people.
        epochs: largest number of epochs. Training stops early when the loss on a tenth of the
            photographs, which is held back, does not improve for ten epochs.
        learning_rate: learning rate of Adam.
        dropout: rate of the dropout before the layer.
        log: path of a CSV file for the loss and accuracy of every epoch.
        seed: random seed of the layer and the batches.

    Returns:
        (b, d) -> (b, n) softmax probabilities.
    """
    keras.utils.set_random_seed(seed)
    mean, spread = features.mean(axis=0), features.var(axis=0).mean()
    scaling = keras.layers.Normalization(
        mean=mean, variance=np.full_like(mean, spread), name="subjects_scaling"
    )
    head = keras.Sequential(
        [
            keras.Input(features.shape[1:]),
            scaling,
            keras.layers.Dropout(dropout, name="subjects_dropout"),
            keras.layers.Dense(n, name="subjects"),
            keras.layers.Activation("softmax", name="subjects_softmax"),
        ]
    )
    compile_for_subjects(head, learning_rate)
    rest, held = validation_split(len(labels), seed)
    head.fit(
        features[rest],
        labels[rest],
        validation_data=(features[held], labels[held]),
        epochs=epochs,
        batch_size=32,
        callbacks=[keras.callbacks.EarlyStopping(patience=10, restore_best_weights=True)]
        + csv_log(log),
        verbose=0,
    )
    return head


def make_prototypes(features: Features, labels: Labels, n: int) -> keras.Sequential:
    """Computes a head that compares an embedding with the mean one of each person.

    Args:
        features: (m, d) of the training photographs, of any norm.
        labels: (m,), 0 to n - 1, each of them at least once.
        n: number of people.

    Returns:
        (b, d) -> (b, n) softmax probabilities. The layer "subjects" answers the cosines, in
        [-1, 1], which "subjects_scale" multiplies by `choose_scale`.
    """
    units = unit(features)
    head = keras.Sequential(
        [
            keras.Input(features.shape[1:]),
            keras.layers.UnitNormalization(name="subjects_unit"),
            keras.layers.Dense(n, use_bias=False, name="subjects"),
            keras.layers.Rescaling(choose_scale(units, labels, n), name="subjects_scale"),
            keras.layers.Activation("softmax", name="subjects_softmax"),
        ]
    )
    head.get_layer("subjects").set_weights([unit(_sums(units, labels, n)).T])
    return head


def choose_scale(units: Features, labels: Labels, n: int) -> float:
    """The scale of the cosines under which the training photographs are most likely.

    Each photograph is compared with a prototype of its person that it is no part of, so that the
    probabilities are about as sure as they should be of new photographs (temperature scaling, Guo
    et al., ICML 2017). Whole numbers from 1 to 64 are tried. It is 30, about what real networks
    get, if nobody has two photographs.

    Args:
        units: (m, d) unit embeddings.
        labels: (m,), 0 to n - 1.
        n: number of people.
    """
    sums, counts = _sums(units, labels, n), np.bincount(labels, minlength=n)
    several = np.flatnonzero(counts[labels] > 1)
    if n < 2 or not several.size:
        return _USUAL_SCALE
    own, mine = labels[several], units[several]
    cosines = mine @ unit(sums).T
    cosines[np.arange(len(own)), own] = np.sum(mine * unit(sums[own] - mine), axis=1)
    lacks = cosines - cosines[np.arange(len(own)), own][:, None]
    losses = [np.logaddexp.reduce(scale * lacks, axis=1).mean() for scale in _SCALES]
    return float(_SCALES[np.argmin(losses)])


def unit(vectors: Features) -> Features:
    """Vectors (m, d) divided by their length."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _sums(units: Features, labels: Labels, n: int) -> Features:
    sums = np.zeros((n, units.shape[1]), np.float32)
    np.add.at(sums, labels, units)
    return sums


def compile_for_subjects(model: keras.Model, learning_rate: float) -> None:
    """Compiles a model with softmax probabilities (b, subjects) for labels (b,)."""
    model.compile(
        keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )


def validation_split(n: int, seed: int) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.integer]]:
    """The indices of n photographs to train on, and of a tenth for early stopping."""
    order = np.random.default_rng(seed).permutation(n)
    n_held = max(1, int(_VALIDATION * n))
    return order[n_held:], order[:n_held]


def csv_log(file: str | os.PathLike[str] | None) -> list[keras.callbacks.Callback]:
    """A list of the callback that logs every epoch to a CSV file; empty for None."""
    if file is None:
        return []
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    return [keras.callbacks.CSVLogger(os.fspath(file))]
