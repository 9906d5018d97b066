"""A feature map of a classifier, be it a map or the tokens of a transformer."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Stage:
    """A feature map of the classifier, and the way from there to the next one.

    The classifier goes on with the stage's state. In a convolutional network that is the map. In a
    transformer it is tokens (b, t + h w, channels): t special ones, such as the class token, and
    then one for each place of the map, row by row.

    Attributes:
        layer: name of the layer whose output is the state.
        shape: (h, w, channels) of the map.
        onwards: state -> the next stage's state, of the last stage the logits; float32.
        n_special: t, how many special tokens there are; None if the state is the map.
    """

    layer: str
    shape: tuple[int, int, int]
    onwards: Callable[[tf.Tensor], tf.Tensor]
    n_special: int | None = None

    @property
    def state_shape(self) -> tuple[int, ...]:
        """The shape of the state of one image."""
        if self.n_special is None:
            return self.shape
        height, width, channels = self.shape
        return self.n_special + height * width, channels

    def as_map(self, state: tf.Tensor) -> tf.Tensor:
        """The map (b, h, w, channels) of a state."""
        if self.n_special is None:
            return state
        return tf.reshape(state[:, self.n_special :], (-1, *self.shape))

    def with_map(self, state: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
        """The states with other maps, and the special tokens that they have.

        Args:
            state: of b images.
            maps: (b s, h, w, channels), s of them for each image, one image after the other.
        """
        if self.n_special is None:
            return maps
        rows = tf.shape(maps)[0] // tf.maximum(tf.shape(state)[0], 1)
        special = tf.repeat(state[:, : self.n_special], rows, axis=0)
        height, width, channels = self.shape
        return tf.concat([special, tf.reshape(maps, (-1, height * width, channels))], axis=1)
