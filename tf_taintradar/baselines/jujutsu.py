"""Jujutsu's first stage: checks whether a salient window carries its label to other images."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from typing_extensions import Self

from tf_taintradar.baselines.base import Baseline, require_fitted
from tf_taintradar.baselines.smoothgrad import smooth_gradients
from tf_taintradar.classifier.kinds import PreprocessorSpec
from tf_taintradar.classifier.opened import ClassifierLike
from tf_taintradar.detection.pipeline import Tensors
from tf_taintradar.detection.ranks import lead
from tf_taintradar.images.pixels import ImagesLike, as_pixels
from tf_taintradar.support.checks import check_fraction, check_integer, require
from tf_taintradar.support.progress import Verbosity


class _Hosts(NamedTuple):
    """Images into which suspicious windows are transplanted.

    Attributes:
        images: (m, H, W, c) float32, raw pixels.
        labels: (m,) int32, the classifier's labels.
        corners: (m, 2) int32, top left pixel of the least salient window of each image.
    """

    images: tf.Tensor
    labels: tf.Tensor
    corners: tf.Tensor


class Jujutsu(Baseline):
    """Scores whether the most salient window of an image carries its label to other images.

    The window is found by SmoothGrad and pasted where the other image is least salient. The score
    is the label's lead over the best other label there, in nats, averaged over the hosts that have
    another label themselves: above 0, the label has moved with the window.

    Args:
        classifier: any Keras image classifier that `TaintRadarModel` takes, or one that is opened
            already: `radar.opened`, or the result of `open_classifier`.
        preprocessor: raw pixels -> the classifier's input, as `TaintRadarModel` takes it; None for
            an opened classifier, which has its own.
        window: side of the window, as a fraction of the image's side, in (0, 1).
        n_hosts: number of benign images into which windows are transplanted, >= 1.
        n_samples: number of noisy copies in SmoothGrad, >= 1.
        noise: standard deviation of SmoothGrad's noise, as a fraction of 255.
        seed: random seed of the noise.

    Raises:
        ValueError: an argument is out of range.

    Source: Chen, Dash, Pattabiraman, "Turning Your Strength against You: Detecting and Mitigating
    Robust and Universal Adversarial Patch Attacks", AsiaCCS 2023, the detection. The network that
    repaints is left out; the continuous score is ours.
    """

    def __init__(
        self,
        classifier: ClassifierLike,
        *,
        preprocessor: PreprocessorSpec | None = None,
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

    def fit(self, images: ImagesLike, *, verbose: Verbosity = 0) -> Self:
        """Chooses the hosts among benign images, with different labels as far as possible.

        Args:
            images: (n, H, W, c) raw pixels, 0..255, at least `n_hosts` images, not used for the
                calibration.
            verbose: not used.

        Returns:
            The defence itself.

        Raises:
            ImageError: `images` are not raw pixels of the classifier's input shape.
            ValueError: there are too few images.
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

    def _answer(self, images: tf.Tensor) -> Tensors:
        hosts = require_fitted(self._hosts, self)
        labels, most, _ = self._locate(images)
        scores = [
            self._transplanted(hosts, *row)
            for row in zip(np.asarray(images), labels.numpy(), most.numpy(), strict=True)
        ]
        return {"label": labels, "score": tf.constant(scores, tf.float32)}

    def _windows(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The labels (b,) and the corners (b, 2) of the most and the least salient windows."""
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
        """The label's mean lead in the hosts with the image's window, in nats."""
        height, width = self._size
        piece = image[corner[0] : corner[0] + height, corner[1] : corner[1] + width]
        mixed = hosts.images.numpy().copy()
        for host, (top, left) in zip(mixed, hosts.corners.numpy(), strict=True):
            host[top : top + height, left : left + width] = piece
        leads = lead(self._logits(mixed), tf.fill((len(mixed),), label)).numpy()
        others = hosts.labels.numpy() != label
        return float(leads[others].mean() if others.any() else leads.mean())
