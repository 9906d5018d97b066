"""Transfer learning: a frozen face network with a new last layer for your own subjects."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.calibration.record import wilson_interval
from tf_taintradar.errors import UnsupportedClassifierError
from tf_taintradar.faces.features import compute_features
from tf_taintradar.faces.subjects import Photographs, Subjects, find_subjects

_KEPT = "fc7_relu"  # of VGG-Face: with the dropout behind it its first 37 layers
_VALIDATION = 0.1  # of the training photographs, for early stopping


@dataclasses.dataclass(frozen=True, eq=False)
class Transfer:
    """A classifier of your own subjects, and its predictions for photographs held out.

    Attributes:
        classifier: preprocessed images (b, H, W, 3) -> softmax probabilities (b, subjects).
        subjects: the people and their photographs.
        train: the photographs it was trained on.
        test: the n photographs held out.
        predicted: (n,) int64, the predicted label of each photograph held out.
    """

    classifier: keras.Model
    subjects: Subjects
    train: Photographs
    test: Photographs
    predicted: npt.NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """The share of photographs held out that are classified correctly."""
        return float((self.predicted == self.test.labels).mean())

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the accuracy (Wilson)."""
        n_right = int((self.predicted == self.test.labels).sum())
        return wilson_interval(n_right, len(self.predicted))

    def confusions(self, n: int = 5) -> list[tuple[str, str, int]]:
        """The n most frequent mistakes: true name, predicted name, and count."""
        size = len(self.subjects.names)
        table = np.zeros((size, size), np.int64)
        np.add.at(table, (self.test.labels, self.predicted), 1)
        np.fill_diagonal(table, 0)
        worst = np.argsort(-table, axis=None, kind="stable")[:n]
        pairs = [(*divmod(int(i), size), int(table.flat[i])) for i in worst if table.flat[i]]
        names = self.subjects.names
        return [(names[true], names[seen], count) for true, seen, count in pairs]


def transfer(
    folder: str | os.PathLike[str],
    network: keras.Model,
    *,
    n_train: int = 40,
    seed: int = 0,
    **settings: Any,
) -> Transfer:
    """Trains a new last layer on the frozen features of a face network.

    Args:
        folder: folder with one sub-folder of photographs for each subject; see `find_subjects`.
        network: a built Functional model, for instance `VGGFace(weights="vggface")`.
        n_train: number of training photographs of each subject; all others are held out.
        seed: random seed of the division, the new layer and the batches.
        settings: other arguments of `teach`.

    Returns:
        The classifier, and the photographs held out.

    Raises:
        ImageError: the folder does not hold photographs of at least two subjects.
        UnsupportedClassifierError: the network has no layer `kept`.
        ValueError: a subject has too few photographs, or another argument is out of range.

    Source: section VI-A of the paper: 143 subjects of PubFig, 40 training photographs each, the
    first 37 layers of VGG-Face kept. Our additions: the kept layers are frozen, and their features
    are centered and scaled first, so that one learning rate suits any network.
    """
    _embedding(network, settings.get("kept", _KEPT))  # before the photographs are read
    subjects = find_subjects(folder, network.input_shape[1:])
    train, test = subjects.split(n_train, seed)
    return teach(network, subjects, train, test, seed=seed, **settings)


def teach(
    network: keras.Model,
    subjects: Subjects,
    train: Photographs,
    test: Photographs,
    *,
    preprocessor: Any = "vggface",
    kept: str = _KEPT,
    epochs: int = 200,
    learning_rate: float = 1e-3,
    dropout: float = 0.5,
    cache: str | os.PathLike[str] | None = None,
    log: str | os.PathLike[str] | None = None,
    batch_size: int = 16,
    strategy: tf.distribute.Strategy | None = None,
    seed: int = 0,
    verbose: int = 1,
) -> Transfer:
    """Trains a new last layer on some photographs of the subjects, and tests it on others.

    Args:
        network: a built Functional model, for instance `VGGFace(weights="vggface")`.
        subjects: the people and all their photographs.
        train: photographs to train on.
        test: photographs to test with.
        preprocessor: raw pixels -> the network's input, as `TaintRadarModel` takes it.
        kept: name of the last layer that is kept; if its output is spatial, it is averaged.
        epochs: largest number of epochs. Training stops early when the loss on a tenth of the
            training photographs, which is held back, does not improve for ten epochs.
        learning_rate: learning rate of Adam.
        dropout: rate of the dropout between the kept layers and the new one.
        cache: folder in which the features of all photographs are stored. The next run reuses them,
            with any division of the photographs.
        log: path of a CSV file for the loss and accuracy of every epoch.
        batch_size: number of photographs that are computed at once, on each device.
        strategy: distribution strategy that computes the features on several devices, for instance
            `tf.distribute.MirroredStrategy()`.
        seed: random seed of the new layer and the batches.
        verbose: 0 for silence, 1 for progress bars.

    Returns:
        The classifier and its predictions for `test`.

    Raises:
        ImageError: a photograph cannot be read.
        UnsupportedClassifierError: the network has no layer `kept`.
    """
    embedding = _embedding(network, kept)
    features = compute_features(
        embedding,
        preprocessor,
        subjects.photographs,
        cache=None if cache is None else Path(cache),
        batch_size=batch_size,
        strategy=strategy,
        verbose=verbose,
    )
    seen, held = (features[subjects.photographs.find(part)] for part in (train, test))
    keras.utils.set_random_seed(seed)
    mean, spread = seen.mean(axis=0), seen.var(axis=0).mean()
    scaling = keras.layers.Normalization(
        mean=mean, variance=np.full_like(mean, spread), name="subjects_scaling"
    )
    head = keras.Sequential(
        [
            keras.Input(seen.shape[1:]),
            scaling,
            keras.layers.Dropout(dropout, name="subjects_dropout"),
            keras.layers.Dense(len(subjects.names), name="subjects"),
            keras.layers.Activation("softmax", name="subjects_softmax"),
        ]
    )
    compile_for_subjects(head, learning_rate)
    _fit(head, seen, train.labels, epochs, log, seed)
    answer = embedding.output
    for layer in head.layers:
        answer = layer(answer)
    predicted = head.predict(held, verbose=0).argmax(axis=1)
    classifier = keras.Model(network.input, answer, name=f"{network.name}_subjects")
    return Transfer(classifier, subjects, train, test, predicted)


def _embedding(network: keras.Model, kept: str) -> keras.Model:
    try:
        output = network.get_layer(kept).output
    except ValueError as error:
        names = ", ".join(layer.name for layer in network.layers[-6:])
        raise UnsupportedClassifierError(
            f"`kept` must name a layer of the network. Received: {kept!r}. Its last layers: "
            f"{names}."
        ) from error
    if len(output.shape) == 4:
        output = keras.layers.GlobalAveragePooling2D(name="subjects_pooling")(output)
    return keras.Model(network.input, output)


def _fit(
    head: keras.Model,
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    epochs: int,
    log: str | os.PathLike[str] | None,
    seed: int,
) -> None:
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
