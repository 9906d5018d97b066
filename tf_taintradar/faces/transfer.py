"""Transfer learning: a frozen face network with a new last layer for your own subjects."""

import dataclasses
import os
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.calibration.record import wilson_interval
from tf_taintradar.classifier.kinds import PreprocessorSpec
from tf_taintradar.faces.features import compute_features
from tf_taintradar.faces.heads import HEADS, embedding_of, make_prototypes, train_dense
from tf_taintradar.faces.photographs import Photographs
from tf_taintradar.faces.subjects import Subjects, find_subjects
from tf_taintradar.support.checks import require


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
    held_out: str | os.PathLike[str] | None = None,
    n_train: int = 40,
    seed: int = 0,
    **settings: Any,
) -> Transfer:
    """Makes a classifier of your own subjects from the frozen features of a face network.

    Example: an embedding network and a gallery of one photograph or more of each person:
        `transfer("gallery", network, head="prototypes", held_out="probes", preprocessor="tf")`

    Args:
        folder: folder with one sub-folder of photographs for each subject; see `find_subjects`.
        network: a built Functional model: `VGGFace(weights="vggface")`, or any Keras network that
            answers embeddings, or names of other people.
        held_out: folder with the photographs to test with, in sub-folders of the same names, for
            some of the subjects or all. All photographs in `folder` are then used for training.
            None: `folder` is divided at random.
        n_train: number of training photographs of each subject, without `held_out`; all others are
            held out.
        seed: random seed of the division, the new layer and the batches.
        settings: other arguments of `teach`: `head`, `preprocessor`, `kept`, `cache`, ...

    Returns:
        The classifier, and the photographs held out.

    Raises:
        ImageError: the folder does not hold photographs of at least two subjects, or `held_out`
            holds other people or a photograph of `folder`.
        UnsupportedClassifierError: the network has no layer `kept`.
        ValueError: a subject has too few photographs, or another argument is out of range.

    Source: section VI-A of the paper: 143 subjects of PubFig, 40 training photographs each, the
    first 37 layers of VGG-Face kept. Our additions: the kept layers are frozen, and their features
    are centered and scaled first, so that one learning rate suits any network; prototypes.
    """
    embedding_of(network, settings.get("kept"))  # before the photographs are read
    _check_head(settings.get("head", "dense"))
    subjects = find_subjects(folder, network.input_shape[1:])
    subjects, train, test = subjects.divide(network.input_shape[1:], held_out, n_train, seed)
    return teach(network, subjects, train, test, seed=seed, **settings)


def teach(
    network: keras.Model,
    subjects: Subjects,
    train: Photographs,
    test: Photographs,
    *,
    head: Literal["dense", "prototypes"] = "dense",
    preprocessor: PreprocessorSpec | None = "vggface",
    kept: str | None = None,
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
    """Makes a new last layer from some photographs of the subjects, and tests it on others.

    Args:
        network: a built Functional model, for instance `VGGFace(weights="vggface")`.
        subjects: the people and all their photographs.
        train: photographs to train on, at least one of each subject.
        test: photographs to test with.
        head: "dense" trains a fully connected layer. "prototypes" trains nothing: an image is
            compared with the mean embedding of each subject, by cosines whose scale is chosen for
            the training photographs, see `heads.choose_scale`; one photograph a subject is enough,
            for a network that was trained on faces.
        preprocessor: raw pixels -> the network's input, as `TaintRadarModel` takes it.
        kept: name of the last layer that is kept; if its output is spatial, it is averaged. None:
            of a network that ends in a softmax, all up to its last layer with weights, of VGG-Face
            "fc7_relu"; any other network is kept whole.
        epochs: largest number of epochs. Training stops early when the loss on a tenth of the
            training photographs, which is held back, does not improve for ten epochs.
        learning_rate: learning rate of Adam.
        dropout: rate of the dropout between the kept layers and the new one.
        cache: folder in which the features of all photographs are stored. The next run reuses them,
            with any head and any division of the photographs.
        log: path of a CSV file for the loss and accuracy of every epoch of a dense head.
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
        ValueError: `head` is neither of the two.
    """
    _check_head(head)
    embedding = embedding_of(network, kept)
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
    n = len(subjects.names)
    if head == "prototypes":
        top = make_prototypes(seen, train.labels, n)
    else:
        rates: dict[str, Any] = {"learning_rate": learning_rate, "dropout": dropout}
        top = train_dense(seen, train.labels, n, epochs=epochs, log=log, seed=seed, **rates)
    answer = embedding.output
    for layer in top.layers:
        answer = layer(answer)
    predicted = top.predict(held, verbose=0).argmax(axis=1)
    classifier = keras.Model(embedding.input, answer, name=f"{network.name}_subjects")
    return Transfer(classifier, subjects, train, test, predicted)


def _check_head(head: Any) -> None:
    require(head in HEADS, "head", head, " or ".join(f'"{name}"' for name in HEADS))
