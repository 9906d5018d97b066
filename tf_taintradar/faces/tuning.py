"""Fine-tuning: training of the upper layers of a face network on your own subjects."""

import dataclasses
import functools
import os

import keras
import numpy as np
import tensorflow as tf

from tf_taintradar.classifier.kinds import PreprocessorSpec
from tf_taintradar.errors import UnsupportedClassifierError
from tf_taintradar.faces.batches import Batches
from tf_taintradar.faces.devices import copy, scope
from tf_taintradar.faces.heads import compile_for_subjects, csv_log, validation_split
from tf_taintradar.faces.transfer import Transfer
from tf_taintradar.support.progress import fit_verbosity


def fine_tune(
    learnt: Transfer,
    first: str,
    *,
    preprocessor: PreprocessorSpec | None = "vggface",
    epochs: int = 10,
    learning_rate: float = 1e-5,
    log: str | os.PathLike[str] | None = None,
    batch_size: int = 16,
    strategy: tf.distribute.Strategy | None = None,
    seed: int = 0,
    verbose: int = 1,
) -> Transfer:
    """Fine-tunes a classifier of your own subjects, from one layer on.

    The photographs are read anew in every epoch, a batch at a time. Batch normalization keeps its
    statistics.

    Args:
        learnt: the result of `transfer`; it is not changed.
        first: name of the first layer that is trained, for instance "conv5_1", together with all
            layers after it.
        preprocessor: raw pixels -> the network's input, as `TaintRadarModel` takes it.
        epochs: largest number of epochs. Training stops early when the loss on a tenth of the
            training photographs, which is held back, does not improve for three epochs. If it never
            improves, `learnt` is returned.
        learning_rate: learning rate of Adam.
        log: path of a CSV file for the loss and accuracy of every epoch.
        batch_size: number of photographs in a step, on each device.
        strategy: distribution strategy that trains on several devices, for instance
            `tf.distribute.MirroredStrategy()`.
        seed: random seed of the order of the photographs.
        verbose: 0 for silence, 1 for progress bars.

    Returns:
        The same people and photographs with the new classifier and its predictions.

    Raises:
        ImageError: a photograph cannot be read.
        UnsupportedClassifierError: the classifier has no layer `first`.
    """
    read = functools.partial(
        Batches,
        network=learnt.classifier,
        preprocessor=preprocessor,
        batch_size=batch_size,
        strategy=strategy,
    )
    rest, held = map(learnt.train.take, validation_split(len(learnt.train.files), seed))
    model = copy(learnt.classifier, strategy)
    _freeze(model, first)
    with scope(strategy):
        compile_for_subjects(model, learning_rate)
    before = model.evaluate(read(held), verbose=0)[0]
    keras.utils.set_random_seed(seed)
    stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    model.fit(
        read(rest, rng=np.random.default_rng(seed)),
        validation_data=read(held),
        epochs=epochs,
        callbacks=[stop, *csv_log(log)],
        verbose=fit_verbosity(verbose),
    )
    if not stop.best < before:  # the loss of its best epoch, whose weights are back
        return learnt
    tuned = copy(learnt.classifier)
    tuned.set_weights(model.get_weights())
    answers = model.predict(read(learnt.test), verbose=0)[: len(learnt.test.files)]
    return dataclasses.replace(learnt, classifier=tuned, predicted=answers.argmax(axis=1))


def _freeze(model: keras.Model, first: str) -> None:
    """Makes only the layers from `first` on trainable, in the order of the network."""
    start = check_layer(model, first)
    for i, layer in enumerate(model.layers):
        is_upper = i >= start
        layer.trainable = is_upper and not isinstance(layer, keras.layers.BatchNormalization)


def check_layer(model: keras.Model, first: str, argument: str = "first") -> int:
    """The index of a layer in a model.

    Args:
        model: the network.
        first: name of the layer.
        argument: name of the argument that holds it, for the error.

    Raises:
        UnsupportedClassifierError: the model has no such layer.
    """
    names = [layer.name for layer in model.layers]
    if first not in names:
        raise UnsupportedClassifierError(
            f"`{argument}` must name a layer of the classifier. Received: {first!r}. Its layers "
            f"with weights: {', '.join(layer.name for layer in model.layers if layer.weights)}."
        )
    return names.index(first)
