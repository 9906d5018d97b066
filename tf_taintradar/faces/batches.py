"""Batches of photographs for Keras's training and prediction, one in memory at a time."""

import math

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.classifier.kinds import PreprocessorSpec
from tf_taintradar.classifier.preprocessing import make_preprocessor
from tf_taintradar.faces.photographs import Photographs
from tf_taintradar.images.files import read_image


class Batches(keras.utils.PyDataset):
    """Preprocessed photographs (b, H, W, 3) float32 and their labels (b,), batch by batch.

    Args:
        photographs: n photographs.
        network: the model that takes the batches.
        preprocessor: raw pixels -> the network's input, as `TaintRadarModel` takes it.
        batch_size: number of photographs in a batch, for each device.
        strategy: divides each batch among several devices. Since convolutions on a CPU cannot take
            an empty batch, the last batch is filled up with its own first photographs, fewer than
            there are devices.
        rng: random number generator that shuffles the photographs after each epoch; None: they keep
            their order.
    """

    def __init__(
        self,
        photographs: Photographs,
        network: keras.Model,
        preprocessor: PreprocessorSpec | None,
        batch_size: int,
        strategy: tf.distribute.Strategy | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        self._photographs, self._rng = photographs, rng
        self._shape = network.input_shape[1:]
        self._preprocess = make_preprocessor(preprocessor, self._shape)
        self._n_devices = 1 if strategy is None else strategy.num_replicas_in_sync
        self._batch_size = batch_size * self._n_devices

    def __len__(self) -> int:
        return math.ceil(len(self._photographs.files) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        numbers = np.arange(len(self._photographs.files))
        numbers = numbers[index * self._batch_size :][: self._batch_size]
        n_shares = math.ceil(len(numbers) / self._n_devices)
        batch = self._photographs.take(np.resize(numbers, n_shares * self._n_devices))
        pixels = np.stack([read_image(file, self._shape) for file in batch.files])
        return np.asarray(self._preprocess(tf.cast(pixels, tf.float32))), batch.labels

    def on_epoch_end(self) -> None:
        """Shuffles the photographs for the next epoch."""
        if self._rng is not None:
            order = self._rng.permutation(len(self._photographs.files))
            self._photographs = self._photographs.take(order)
