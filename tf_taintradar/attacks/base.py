"""The optimization loop of every attack with patches, and its hooks."""

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.attacks.apply_and_classify import apply_and_classify, classify, groups_of
from tf_taintradar.attacks.descent import DescentState, Momentum, Optimizer
from tf_taintradar.attacks.goal import (
    StepInputs,
    TargetClass,
    check_target_class,
    target_loss,
    wanted_labels,
)
from tf_taintradar.attacks.masks import Mask
from tf_taintradar.attacks.pasting import Corners, Pasting, Pose
from tf_taintradar.attacks.penalties import Penalties
from tf_taintradar.attacks.placement import Placement
from tf_taintradar.attacks.result import AttackResult
from tf_taintradar.classifier.closed import check_gradients
from tf_taintradar.classifier.opened import OpenedClassifier
from tf_taintradar.errors import ImageError
from tf_taintradar.images.pixels import ImagesLike, as_pixels
from tf_taintradar.support.checks import check_integer, check_positive, is_in_unit_interval, require
from tf_taintradar.support.progress import Progress

_TRAINING, _FINAL = 0, 1  # the two streams of random numbers drawn from one seed


class PatchAttack:
    """Gradient descent on the pixels of patches, with hooks for what differs between attacks.

    A subclass may override the attacker's goal (`objective`), and the position and appearance of
    the patches during training (`draw_pose`). The classifier is not changed.

    Args:
        classifier: the opened classifier, see `classifier.open_classifier`.
        target_class: the label that the attacker wants, from 0, or one for each image; None: any
            label but the one of the clean image.
        mask: (h, w) uint8, 1 where a patch is painted, else 0.
        placement: position of the finished patches.
        pasting: how patches get into the images they are trained on; by default in the same way as
            the finished ones, `Pasting(mask, placement)`.
        optimizer: turns gradients into steps; by default `Momentum(mask)`.
        penalties: penalties for patches that cannot be printed; None: no penalties.
        stop_probability: in (0, 1]. A patch is finished when the attacker's goal has this
            probability, averaged over all images that share the patch. None: after `steps`.
        steps: largest number of steps of gradient descent, >= 1.
        learning_rate: step size in pixel values, 0..255, > 0.
        batch_size: number of images that are attacked together, >= 1.
        seed: random seed, >= 0.

    Attributes:
        image_shape: (H, W, c) of the classifier's input.
        patch_shape: (h, w, c) of the patches.

    Raises:
        UnsupportedClassifierError: no gradients pass the classifier.
        ValueError: an argument is out of range.

    Source: Brown et al., "Adversarial Patch", 2017 (arXiv:1712.09665), the expectation over
    locations.
    """

    def __init__(
        self,
        classifier: OpenedClassifier,
        *,
        target_class: TargetClass,
        mask: Mask,
        placement: Placement,
        pasting: Pasting | None = None,
        optimizer: Optimizer | None = None,
        penalties: Penalties | None,
        stop_probability: float | None,
        steps: int,
        learning_rate: float,
        batch_size: int,
        seed: int,
    ) -> None:
        check_gradients(classifier)
        can_stop = stop_probability is None or is_in_unit_interval(stop_probability)
        expected = "above 0 and at most 1, or None"
        require(can_stop, "stop_probability", stop_probability, expected)
        check_positive("learning_rate", learning_rate)
        self.target_class = check_target_class(target_class, classifier.n_classes)
        self.penalties = penalties or Penalties()
        self.stop_probability = stop_probability
        self.steps = check_integer("steps", steps, 1)
        self.learning_rate = learning_rate
        self.batch_size = check_integer("batch_size", batch_size, 1)
        self.seed = check_integer("seed", seed, 0)
        self.image_shape = classifier.input_shape
        self.patch_shape = (*mask.shape, classifier.input_shape[-1])
        printability, n_channels = self.penalties.printability, self.patch_shape[-1]
        expected = f"0 for images of {n_channels} channels: it is about RGB colors"
        require(n_channels == 3 or not printability, "printability", printability, expected)
        self._classifier = classifier
        self._mask = mask
        self._placement = placement
        self._final = Pasting(mask, placement)
        self._pasting = pasting or self._final
        self._optimizer = optimizer or Momentum(mask)
        self._step = tf.function(self._descend, input_signature=self._signature(), autograph=False)

    def universal(self, images: ImagesLike, *, verbose: int = 1) -> AttackResult:
        """Makes one patch that works on all images.

        Args:
            images: (n, H, W, c) raw RGB pixels, uint8 or float, 0..255.
            verbose: 1 for a progress bar with the current loss, 2 for a line at the end, 0 for
                silence, as in `keras.Model.fit`.

        Returns:
            The images with the finished patch applied; `patches` is (1, h, w, c).

        Raises:
            ImageError: `images` are not raw pixels of the classifier's input shape.
        """
        pixels = as_pixels(images, self._classifier.input_shape)
        clean = self._labels(pixels)
        wanted = wanted_labels(self.target_class, clean)
        bar, rng = self._progress(1, verbose), self._random(_TRAINING)
        found = self._optimise(pixels, wanted, None, rng, bar)
        return self._result(*found, pixels, clean, self._places(len(pixels)))

    def partial(self, images: ImagesLike, *, verbose: int = 1) -> AttackResult:
        """Makes a patch for each image, which need not work on any other.

        Args:
            images: (n, H, W, c) raw RGB pixels, uint8 or float, 0..255.
            verbose: 1 for a progress bar with the current loss, 2 for a line at the end, 0 for
                silence, as in `keras.Model.fit`.

        Returns:
            Each image with its own patch applied; `patches` is (n, h, w, c).

        Raises:
            ImageError: `images` are not raw pixels of the classifier's input shape.
        """
        pixels = as_pixels(images, self._classifier.input_shape)
        clean, top_left = self._labels(pixels), self._places(len(pixels))
        wanted = wanted_labels(self.target_class, clean)
        groups = groups_of(len(pixels), self.batch_size)
        bar, rng = self._progress(len(groups), verbose), self._random(_TRAINING)
        found = [
            self._optimise(pixels[group], wanted[group], top_left[group], rng, bar)
            for group in groups
        ]
        patches, n_steps = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return self._result(patches, n_steps, pixels, clean, top_left)

    def apply(self, patches: ImagesLike, images: ImagesLike) -> AttackResult:
        """Applies finished patches to images, for instance to images they were not made for.

        Args:
            patches: (1, h, w, c) or (n, h, w, c) raw RGB pixels, 0..255, of this attack's size.
            images: (n, H, W, c) raw RGB pixels, uint8 or float, 0..255.

        Returns:
            The attacked images. Random locations depend only on the seed.

        Raises:
            ImageError: `images` or `patches` are not raw pixels, or have another shape.
        """
        pixels = as_pixels(images, self._classifier.input_shape)
        shape = np.shape(patches)
        if shape[1:] != self.patch_shape or shape[0] not in (1, len(pixels)):
            expected = ", ".join(map(str, self.patch_shape))
            raise ImageError(
                f"`patches` must have shape (1, {expected}), or ({len(pixels)}, {expected}) for "
                f"{len(pixels)} images. Received: {shape}. Take the `patches` of this attack's "
                "result, or bring others to that size with `attacks.resize_patches`."
            )
        finished = as_pixels(patches, self.patch_shape, argument="patches")
        n_steps, clean = np.zeros(len(finished), np.int32), self._labels(pixels)
        wanted_labels(self.target_class, clean)
        return self._result(finished, n_steps, pixels, clean, self._places(len(pixels)))

    def objective(self, inputs: StepInputs) -> tuple[tf.Tensor, tf.Tensor]:
        """Hook: the loss that the attack minimizes, and how close it is to its goal.

        Args:
            inputs: the attacked images of one step.

        Returns:
            (b,) float32, the loss of each image, and (b,) float32, the probability that
            `stop_probability` is compared with: by default both come from `target_loss`.
        """
        return self.target_loss(self._classifier.logits(inputs.images), inputs.labels)

    def target_loss(self, logits: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The loss on this attack's goal, and the goal's probability; see `goal.target_loss`."""
        return target_loss(logits, labels, is_targeted=self.target_class is not None)

    def draw_pose(self, n_images: int, rng: np.random.Generator, top_left: Corners | None) -> Pose:
        """Hook: position and appearance of the patches in one step; see `Pasting.draw`.

        Args:
            n_images: number of images, b.
            rng: random number generator.
            top_left: (b, m, 2) int32, the fixed positions of `partial`; None in `universal`.
        """
        return self._pasting.draw(n_images, rng, top_left)

    def _optimise(
        self,
        images: npt.NDArray[np.float32],
        labels: npt.NDArray[np.int32],
        top_left: Corners | None,
        rng: np.random.Generator,
        bar: Progress,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
        """The finished patches (k, h, w, c) in 0..255, from mid-gray, and their steps (k,).

        There is one for each image if `top_left` is given, else one for all.
        """
        n_patches = 1 if top_left is None else len(images)
        state = DescentState(
            patches=tf.fill((n_patches, *self.patch_shape), 127.5),
            memory=tf.zeros((self._optimizer.n_moments, n_patches, *self.patch_shape)),
            is_running=tf.fill((n_patches,), True),
            n_steps=tf.zeros((n_patches,), tf.int32),
        )
        for step in range(self.steps):
            chosen = np.arange(len(images))
            if len(images) > self.batch_size:
                chosen = rng.choice(len(images), self.batch_size, replace=False)
            pose = self.draw_pose(len(chosen), rng, top_left)
            state, loss = self._step(state, images[chosen], labels[chosen], step, pose)
            bar.add(1, [("loss", float(loss))])
            if self.stop_probability is not None and not state.is_running.numpy().any():
                bar.add(self.steps - step - 1)
                break
        return state.patches.numpy(), state.n_steps.numpy()

    def _descend(
        self, state: DescentState, images: tf.Tensor, labels: tf.Tensor, step: tf.Tensor, pose: Pose
    ) -> tuple[DescentState, tf.Tensor]:
        patches, memory, is_running, n_steps = state
        n_patches = tf.shape(patches)[0]
        with tf.GradientTape() as tape:
            tape.watch(patches)
            attacked = self._pasting.paste(images, patches, pose)
            losses, wanted = self.objective(StepInputs(attacked, labels, step, pose))
            fines = self.penalties.of(patches, self._mask)
            losses = tf.reshape(losses, (n_patches, -1)) + fines[:, None]
        gradient = tape.gradient(losses, patches)
        direction, memory = self._optimizer.direction(gradient, memory, step)
        moved = tf.clip_by_value(patches - self.learning_rate * direction, 0.0, 255.0)
        if self.stop_probability is not None:
            wanted = tf.reduce_mean(tf.reshape(wanted, (n_patches, -1)), axis=1)
            is_running &= wanted < self.stop_probability
            moved = tf.where(is_running[:, None, None, None], moved, patches)
        n_steps += tf.cast(is_running, tf.int32)
        return DescentState(moved, memory, is_running, n_steps), tf.reduce_mean(losses)

    def _signature(self) -> list[Any]:
        state = DescentState(
            patches=tf.TensorSpec((None, *self.patch_shape), tf.float32),
            memory=tf.TensorSpec((self._optimizer.n_moments, None, *self.patch_shape), tf.float32),
            is_running=tf.TensorSpec((None,), tf.bool),
            n_steps=tf.TensorSpec((None,), tf.int32),
        )
        images = tf.TensorSpec((None, *self._classifier.input_shape), tf.float32)
        labels, step = tf.TensorSpec((None,), tf.int32), tf.TensorSpec((), tf.int32)
        return [state, images, labels, step, self._pasting.signature]

    def _labels(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
        return classify(self._classifier, pixels, batch_size=self.batch_size)

    def _result(
        self,
        patches: npt.NDArray[np.float32],
        n_steps: npt.NDArray[np.int32],
        images: npt.NDArray[np.float32],
        clean_labels: npt.NDArray[np.int32],
        top_left: Corners,
    ) -> AttackResult:
        """The result for 1 or n patches, 0..255, on n images; the patches are rounded first."""
        rounded = np.rint(patches * self._mask[..., np.newaxis]).astype(np.uint8)
        attacked, labels = apply_and_classify(
            self._classifier, self._final, rounded, images, top_left, batch_size=self.batch_size
        )
        return AttackResult(
            images=attacked,
            patches=rounded,
            mask=self._mask.copy(),
            top_left=top_left,
            labels=labels,
            clean_labels=clean_labels,
            steps=n_steps,
            target_class=self.target_class,
        )

    def _places(self, n_images: int) -> Corners:
        """The positions (n_images, m, 2) of finished patches, which depend only on the seed."""
        return self._placement.draw(n_images, self._random(_FINAL))

    def _random(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, stream])

    def _progress(self, n_runs: int, verbose: int) -> Progress:
        return Progress(n_runs * self.steps, verbose, unit="steps", stateful_metrics=["loss"])
