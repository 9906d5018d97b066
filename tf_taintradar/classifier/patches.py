"""A transformer without some of its patches: their tokens are left out before the first block.

What a token is made of are the pixels of its patch alone, and from its position on the transformer
takes tokens in any number and order. So without the tokens of a window the transformer answers
what it sees of the rest, whatever the pixels under the window are; and it has less to compute.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.classifier.copying import probe_of

_ROUNDING = 1e-3
_SURELY = 1e-5  # of the largest change of any token: more than rounding

Function = Callable[[tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Patches:
    """A transformer, cut where its tokens know their places and not yet of each other.

    Attributes:
        tokens: raw pixels (b, H, W, c) float32 -> tokens (b, n_special + h w, channels) float32.
        onwards: tokens, any number of them for places -> logits (b, n) float32.
        n_special: how many tokens belong to no place; they come first.
    """

    tokens: Function
    onwards: Function
    n_special: int

    def are_a_set(self, shape: tuple[int, int, int]) -> bool:
        """Whether tokens may be left out without a change of what the others mean.

        That is so if tokens are sums of pixels, so that noise shows which pixels they are made of,
        and if the order of tokens changes nothing. Both is tried on random images (H, W, c).
        """
        images = probe_of(shape)[:2]
        first, other, between = map(self.tokens, (images[:1], images[1:], images.mean(0)[None]))
        if not _alike((first + other) / 2, between):
            return False
        special, places = first[:, : self.n_special], first[:, self.n_special :]
        turned = tf.concat([special, places[:, ::-1]], axis=1)
        try:
            self.onwards(turned[:, :-1])
            return _alike(self.onwards(first), self.onwards(turned))
        except Exception:  # what a layer raises that wants all tokens
            return False

    def outside(
        self, rows: npt.NDArray[np.bool_], columns: npt.NDArray[np.bool_], n_channels: int
    ) -> list[npt.NDArray[np.int32]]:
        """Which tokens are made of no pixel of a window, and the special ones, for each of them.

        Args:
            rows: (v, H), of v windows.
            columns: (v, W).
            n_channels: of the images.
        """
        windows = rows[:, :, None] & columns[:, None]
        noise = np.random.default_rng(0).uniform(64, 255, (*windows.shape[1:], n_channels))
        with tf.init_scope():
            blank = self.tokens(tf.zeros((1, *noise.shape)))
            inside = [(noise * window[..., None])[None].astype(np.float32) for window in windows]
            changes = [np.asarray(self.tokens(tf.constant(one)) - blank)[0] for one in inside]
        sizes = np.stack([np.abs(change).max(axis=-1) for change in changes])
        sizes[:, : self.n_special] = 0
        return [np.flatnonzero(one <= _SURELY * sizes.max()).astype(np.int32) for one in sizes]


def _alike(one: tf.Tensor, other: tf.Tensor) -> bool:
    width = np.abs(np.asarray(one)).max()
    return bool(np.allclose(one, other, rtol=0, atol=_ROUNDING * width))
