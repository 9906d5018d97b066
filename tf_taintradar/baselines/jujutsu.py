"""Jujutsu's first stage: what is salient here is transplanted; does it take its label along?"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from typing_extensions import Self

from tf_taintradar.baselines.base import Baseline, require_fitted
from tf_taintradar.baselines.smoothgrad import smooth_gradients
from tf_taintradar.detection.pipeline import Tensors
from tf_taintradar.detection.ranks import lead
from tf_taintradar.images.pixels import as_pixels
from tf_taintradar.support.checks import check_fraction, check_integer, require


class _Hosts(NamedTuple):
    """Images that suspicious windows are transplanted into.

    Attributes:
        images: (m, H, W, c) float32, raw pixels.
        labels: (m,) int32.
        corners: (m, 2) int32, the window in which each shows least.
    """

    images: tf.Tensor
    labels: tf.Tensor
    corners: tf.Tensor


class Jujutsu(Baseline):
    """Scores whether the most salient window of an image takes its label along to other images.

    The window is found by SmoothGrad and put where the other image is least salient. The score is
    the mean, over the hosts that have another label themselves, of the label's lead over the best
    other label there, in nats: above 0 the label has moved along.

    Args:
        classifier, preprocessor: see `Baseline`.
        window: side of the window, as a fraction of the image's side, in (0, 1).
        n_hosts: how many benign images are transplanted into, >= 1.
        n_samples: of SmoothGrad.
        noise: of SmoothGrad, as a fraction of the 255 values of a pixel.
        seed: of its noise.

    Raises:
        ValueError: an argument is out of range.

    Source: Chen, Dash, Pattabiraman, "Turning Your Strength against You: Detecting and Mitigating
    Robust and Universal Adversarial Patch Attacks", AsiaCCS 2023, the detection. Its network that
    repaints is left out; the score instead of a yes or no is ours.
    """

    def __init__(
        self,
        classifier: Any,
        *,
        preprocessor: Any = None,
        window: float = 0.35,
        n_hosts: int = 8,
        n_samples: int = 8,
        noise: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__(classifier, preprocessor=preprocessor)
        check_fraction("window", window, is_one_allowed=False)
        self.window = window
        self.n_hosts = check_integer("n_hosts", n_hosts, 1)
        self.n_samples = check_integer("n_samples", n_samples, 1)
        self.noise = noise
        self.seed = seed
        height, width = self._classifier.input_shape[:2]
        self._size = max(1, round(window * height)), max(1, round(window * width))
        self._hosts: _Hosts | None = None
        self._locate = self._compile(self._windows)
        self._logits = self._compile(self._classifier.logits)

    def fit(self, images: npt.ArrayLike, *, verbose: Any = 0) -> Self:
        """Takes the hosts from the images, of different labels as far as there are any.

        Arguments and errors as in `Baseline.fit`; at least `n_hosts` images.
        """
        pixels = as_pixels(images, self._classifier.input_shape)
        n_images, expected = len(pixels), f"at least {self.n_hosts} images, the hosts"
        require(n_images >= self.n_hosts, "images", n_images, expected)
        groups = [pixels[i : i + 32] for i in range(0, len(pixels), 32)]
        labels = np.concatenate([np.argmax(self._logits(group), axis=-1) for group in groups])
        first = np.sort(np.unique(labels, return_index=True)[1])
        chosen = np.concatenate([first, np.setdiff1d(np.arange(len(pixels)), first)])
        hosts = pixels[chosen[: self.n_hosts]]
        found, _, least = self._locate(hosts)
        self._hosts = _Hosts(tf.constant(hosts), found, least)
        return self

    def _answer(self, images: Any) -> Tensors:
        hosts = require_fitted(self._hosts, self)
        labels, most, _ = self._locate(images)
        scores = [
            self._transplanted(hosts, *row)
            for row in zip(np.asarray(images), labels.numpy(), most.numpy(), strict=True)
        ]
        return {"label": labels, "score": tf.constant(scores, tf.float32)}

    def _windows(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Labels (b,) and the corners (b, 2) of the windows with most and with least saliency."""
        logits, saliency = smooth_gradients(
            self._classifier,
            images,
            n_samples=self.n_samples,
            noise=self.noise,
            seed=self.seed,
        )
        inside = tf.nn.avg_pool2d(saliency[..., tf.newaxis], self._size, 1, "VALID")
        columns = inside.shape[2]
        flat = tf.reshape(inside, (-1, inside.shape[1] * columns))
        corners = [
            tf.stack([place // columns, place % columns], axis=-1)
            for place in (tf.argmax(flat, -1, tf.int32), tf.argmin(flat, -1, tf.int32))
        ]
        return tf.argmax(logits, axis=-1, output_type=tf.int32), *corners

    def _transplanted(
        self,
        hosts: _Hosts,
        image: npt.NDArray[np.float32],
        label: int,
        corner: npt.NDArray[np.int32],
    ) -> float:
        """The label's mean lead in the hosts with the image's window."""
        height, width = self._size
        piece = image[corner[0] : corner[0] + height, corner[1] : corner[1] + width]
        mixed = hosts.images.numpy().copy()
        for host, (top, left) in zip(mixed, hosts.corners.numpy(), strict=True):
            host[top : top + height, left : left + width] = piece
        leads = lead(self._logits(mixed), tf.fill((len(mixed),), label)).numpy()
        others = hosts.labels.numpy() != label
        return float(leads[others].mean() if others.any() else leads.mean())
