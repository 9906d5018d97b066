"""Whether a network's weights are still those that a calibration was made for."""

import hashlib
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

_VALUES = 64  # of each weight, evenly spaced: training changes all of them


class WeightsChecksum:
    """The SHA-256 of a sample of the weights, fast enough to be asked for with every batch.

    Up to 64 values or a few more of each weight are looked at. Training changes nearly all values
    of what it trains; a single value that is changed by hand may go unseen.

    Args:
        weights: the network's weights, in their order.
    """

    def __init__(self, weights: Sequence[keras.Variable]) -> None:
        self._weights = weights
        self._sample = tf.function(self._take, input_signature=[], autograph=False)
        self._known: tuple[bytes, str] | None = None

    def __call__(self) -> str:
        """The checksum of the weights as they are now."""
        sample = self._sample().numpy().tobytes()
        if self._known is None or self._known[0] != sample:
            self._known = sample, hashlib.sha256(sample).hexdigest()
        return self._known[1]

    def _take(self) -> tf.Tensor:
        parts = [
            tf.cast(tf.reshape(weight, (-1,))[:: max(1, int(np.prod(weight.shape)) // _VALUES)],
                    tf.float32)
            for weight in self._weights
        ]  # fmt: skip
        return tf.concat(parts, axis=0) if parts else tf.zeros((0,))
