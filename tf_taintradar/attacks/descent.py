"""Gradient descent on patches: its state, and its optimizers.

k patches (h, w, c), pixels 0..255.
"""

from typing import NamedTuple, Protocol

import tensorflow as tf

from tf_taintradar.attacks.masks import Mask


class DescentState(NamedTuple):
    """The state of gradient descent on k patches.

    Attributes:
        patches: (k, h, w, c) float32, 0..255.
        memory: (n_moments, k, h, w, c) float32, the optimizer's moments.
        is_running: (k,) bool, false once a patch has reached the stop probability.
        n_steps: (k,) int32, number of steps taken by each patch.
    """

    patches: tf.Tensor
    memory: tf.Tensor
    is_running: tf.Tensor
    n_steps: tf.Tensor


class Optimizer(Protocol):
    """Turns gradients into steps.

    Attributes:
        n_moments: number of arrays of the patches' shape that the optimizer remembers.
    """

    n_moments: int

    def direction(
        self, gradient: tf.Tensor, memory: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The direction of a step, and the moments for the next one.

        Args:
            gradient: (k, h, w, c) float32, gradient of the loss with respect to the patches.
            memory: (n_moments, k, h, w, c) float32, the moments so far, zeros at first.
            step: () int32, number of the step, from 0.

        Returns:
            (k, h, w, c) float32, to be multiplied by the learning rate and subtracted; and the
            updated `memory`.
        """
        ...


class Momentum:
    """The running mean of gradients, each scaled to root mean square 1 over painted pixels.

    Args:
        mask: (h, w) uint8, 1 where a patch is painted.

    Source: Dong et al., "Boosting Adversarial Attacks with Momentum", CVPR 2018.
    """

    n_moments = 1
    decay = 0.9

    def __init__(self, mask: Mask) -> None:
        self._n_pixels = float(mask.sum())

    def direction(
        self, gradient: tf.Tensor, memory: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """See `Optimizer`."""
        n_values = self._n_pixels * gradient.shape[-1]
        squares = tf.reduce_sum(gradient**2, axis=[1, 2, 3], keepdims=True)
        normalized = tf.math.divide_no_nan(gradient, tf.sqrt(squares / n_values))
        velocity = self.decay * memory + (1 - self.decay) * normalized
        return velocity[0], velocity


class Adam:
    """Adam with its usual decay rates.

    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.
    """

    n_moments = 2
    decay = (0.9, 0.999)

    def direction(
        self, gradient: tf.Tensor, memory: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """See `Optimizer`."""
        rates = tf.reshape(tf.constant(self.decay), (2, 1, 1, 1, 1))
        memory = rates * memory + (1 - rates) * tf.stack([gradient, gradient**2])
        mean, square = tf.unstack(memory / (1 - rates ** tf.cast(step + 1, tf.float32)))
        return mean / (tf.sqrt(square) + 1e-8), memory
