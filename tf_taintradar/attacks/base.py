"""The loop that every patch attack runs, and the hooks it runs on."""

import numbers
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.attacks.placement import Place, corner_range, paste
from tf_taintradar.attacks.result import AttackResult
from tf_taintradar.classifier import OpenedClassifier
from tf_taintradar.errors import ImageError
from tf_taintradar.images import as_pixels

_TRAINING, _FINAL = 0, 1  # the two streams of random numbers drawn from one seed


class PatchAttack:
    """Gradient descent on the pixels of a patch: a loop, and hooks that say what differs.

    A subclass says what the attacker wants (`objective`) and may replace any other hook: where a
    patch lies (`draw_places`), how it gets into an image (`paste`), how far a step goes
    (`normalize`), which patches are allowed (`project`). The classifier is not changed.

    Args:
        classifier: the opened classifier, see `classifier.open_classifier`.
        mask: (h, w) uint8, 1 where a patch is painted, else 0.
        target_class, place, steps, learning_rate, batch_size, seed: see `AdversarialPatch`.

    Raises:
        ValueError: an argument is out of range.

    Source: Brown et al., "Adversarial Patch", 2017 (arXiv:1712.09665) for the expectation over
    places; Dong et al., "Boosting Adversarial Attacks with Momentum", CVPR 2018, for the normalised
    gradient with momentum.
    """

    momentum = 0.9

    def __init__(
        self,
        classifier: OpenedClassifier,
        *,
        target_class: int,
        mask: npt.NDArray[np.uint8],
        place: Place,
        steps: int,
        learning_rate: float,
        batch_size: int,
        seed: int,
    ) -> None:
        self.target_class = _check_integer("target_class", target_class, 0, classifier.n_classes)
        self.place = place
        self.steps = _check_integer("steps", steps, 1)
        if not learning_rate > 0:
            raise ValueError(f"`learning_rate` must be positive; received {learning_rate!r}.")
        self.learning_rate = learning_rate
        self.batch_size = _check_integer("batch_size", batch_size, 1)
        self.seed = _check_integer("seed", seed, 0)
        self._classifier = classifier
        self._mask = mask
        self._corners = corner_range(place, mask.shape, classifier.input_shape[:2])
        self._patch_shape = (*mask.shape, classifier.input_shape[-1])
        patches = tf.TensorSpec((None, *self._patch_shape), tf.float32)
        images = tf.TensorSpec((None, *classifier.input_shape), tf.float32)
        top_left = tf.TensorSpec((None, 2), tf.int32)
        self._step = tf.function(
            self._descend, input_signature=[patches, patches, images, top_left], autograph=False
        )

    def universal(self, images: npt.ArrayLike, *, verbose: int = 1) -> AttackResult:
        """One patch that works on all images.

        Args:
            images: (n, H, W, c) raw RGB pixels, uint8 or float, 0..255.
            verbose: 1 for a progress bar with the current loss, 2 for a line at the end, 0 for
                silence, as in `keras.Model.fit`.

        Returns:
            The images with the finished patch on; `patches` is (1, h, w, c).

        Raises:
            ImageError: `images` are not raw pixels of the classifier's input shape.
        """
        pixels = as_pixels(images, self._classifier.input_shape)
        bar = self._progress(1, verbose)
        return self._result(self._optimise(pixels, 1, self._random(_TRAINING), bar), pixels)

    def partial(self, images: npt.ArrayLike, *, verbose: int = 1) -> AttackResult:
        """A patch for each image, which need not work on any other.

        Args:
            images: (n, H, W, c) raw RGB pixels, uint8 or float, 0..255.
            verbose: as in `universal`.

        Returns:
            Each image with its own patch on; `patches` is (n, h, w, c).

        Raises:
            ImageError: `images` are not raw pixels of the classifier's input shape.
        """
        pixels = as_pixels(images, self._classifier.input_shape)
        groups = [pixels[group] for group in self._groups(len(pixels))]
        bar, rng = self._progress(len(groups), verbose), self._random(_TRAINING)
        patches = [self._optimise(group, len(group), rng, bar) for group in groups]
        return self._result(np.concatenate(patches), pixels)

    def apply(self, patches: npt.ArrayLike, images: npt.ArrayLike) -> AttackResult:
        """Finished patches on images, for instance on ones that they were not made for.

        Args:
            patches: (1, h, w, c) or (n, h, w, c) raw RGB pixels, 0..255, of this attack's size.
            images: (n, H, W, c) raw RGB pixels, uint8 or float, 0..255.

        Returns:
            The attacked images. Random places depend on the seed alone.

        Raises:
            ImageError: `images` or `patches` are not raw pixels, or of another shape.
        """
        pixels = as_pixels(images, self._classifier.input_shape)
        shape = np.shape(patches)
        if shape[1:] != self._patch_shape or shape[0] not in (1, len(pixels)):
            expected = ", ".join(map(str, self._patch_shape))
            raise ImageError(
                f"`patches` must have shape (1, {expected}), or ({len(pixels)}, {expected}) for "
                f"{len(pixels)} images; received {shape}. Take the `patches` of this attack's "
                "result, or make an attack whose patches are of that size."
            )
        return self._result(as_pixels(patches, self._patch_shape, argument="patches"), pixels)

    def objective(self, attacked: tf.Tensor) -> tf.Tensor:
        """Hook: what the attack minimises.

        Args:
            attacked: (b, H, W, c) float32 raw pixels, 0..255, patches pasted.

        Returns:
            (b,) float32, the loss of each image.
        """
        raise NotImplementedError

    def draw_places(self, n_images: int, rng: np.random.Generator) -> npt.NDArray[np.int32]:
        """Hook: (n_images, 2) int32, row and column of each patch's top left pixel."""
        first, last = self._corners
        return rng.integers(first, last, (n_images, 2), dtype=np.int32, endpoint=True)

    def paste(self, images: tf.Tensor, patches: tf.Tensor, top_left: tf.Tensor) -> tf.Tensor:
        """Hook: the images with their patches; shapes and ranges as in `placement.paste`."""
        return paste(images, patches, self._mask, top_left)

    def normalize(self, gradient: tf.Tensor) -> tf.Tensor:
        """Hook: the gradient (k, h, w, c) of each patch at root mean square 1 where it paints."""
        n_values = float(self._mask.sum()) * gradient.shape[-1]
        squares = tf.reduce_sum(gradient**2, axis=[1, 2, 3], keepdims=True)
        return tf.math.divide_no_nan(gradient, tf.sqrt(squares / n_values))

    def project(self, patches: tf.Tensor) -> tf.Tensor:
        """Hook: the allowed patches (k, h, w, c) nearest to these: pixels from 0 to 255."""
        return tf.clip_by_value(patches, 0.0, 255.0)

    def _optimise(
        self,
        images: npt.NDArray[np.float32],
        n_patches: int,
        rng: np.random.Generator,
        bar: keras.utils.Progbar,
    ) -> npt.NDArray[np.float32]:
        """The finished patches (n_patches, h, w, c) in 0..255, from mid-grey ones."""
        patches = tf.fill((n_patches, *self._patch_shape), 127.5)
        velocity = tf.zeros_like(patches)
        for _ in range(self.steps):
            batch = images
            if len(images) > self.batch_size:
                batch = rng.choice(images, self.batch_size, replace=False)
            top_left = self.draw_places(len(batch), rng)
            patches, velocity, loss = self._step(patches, velocity, batch, top_left)
            bar.add(1, [("loss", float(loss))])
        return patches.numpy()

    def _descend(
        self, patches: tf.Tensor, velocity: tf.Tensor, images: tf.Tensor, top_left: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(patches)
            losses = self.objective(self.paste(images, patches, top_left))
        direction = self.normalize(tape.gradient(losses, patches))
        velocity = self.momentum * velocity + (1 - self.momentum) * direction
        patches = self.project(patches - self.learning_rate * velocity)
        return patches, velocity, tf.reduce_mean(losses)

    def _result(
        self, patches: npt.NDArray[np.float32], images: npt.NDArray[np.float32]
    ) -> AttackResult:
        """The record of (1 or n) patches on n images, judged after rounding to whole pixels."""
        n_images = len(images)
        rounded = np.rint(patches * self._mask[..., np.newaxis])
        per_image = np.broadcast_to(rounded, (n_images, *self._patch_shape))
        top_left = self.draw_places(n_images, self._random(_FINAL))
        attacked = np.empty(images.shape, np.uint8)
        labels = np.empty(n_images, np.int32)
        for group in self._groups(n_images):
            attacked[group] = np.rint(self.paste(images[group], per_image[group], top_left[group]))
            labels[group] = np.argmax(self._classifier.logits(attacked[group]), axis=-1)
        return AttackResult(
            images=attacked,
            patches=rounded.astype(np.uint8),
            mask=self._mask.copy(),
            top_left=top_left,
            labels=labels,
            target_class=self.target_class,
        )

    def _groups(self, n_images: int) -> list[slice]:
        starts = range(0, n_images, self.batch_size)
        return [slice(start, start + self.batch_size) for start in starts]

    def _random(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, stream])

    def _progress(self, n_runs: int, verbose: int) -> keras.utils.Progbar:
        return keras.utils.Progbar(n_runs * self.steps, verbose=verbose, stateful_metrics=["loss"])


def _check_integer(argument: str, value: Any, low: int, stop: int | None = None) -> int:
    """The value as an int, if it is an integer from `low`, and below `stop` if there is one."""
    if not isinstance(value, numbers.Integral) or value < low or not (stop is None or value < stop):
        expected = f"of at least {low}" if stop is None else f"from {low} to {stop - 1}"
        raise ValueError(f"`{argument}` must be an integer {expected}; received {value!r}.")
    return int(value)
