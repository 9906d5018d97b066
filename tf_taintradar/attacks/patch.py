"""The adversarial patch: a printable thing that makes a classifier answer one label."""

import numbers
from typing import Any

import tensorflow as tf

from tf_taintradar.attacks.base import PatchAttack
from tf_taintradar.attacks.placement import Place, make_mask
from tf_taintradar.classifier import open_classifier


class AdversarialPatch(PatchAttack):
    """A patch that makes a classifier answer `target_class`, whatever else the image shows.

    Example:
        attack = AdversarialPatch(classifier, target_class=859, preprocessor="tf")
        result = attack.universal(images)                       # result.patches: (1, d, d, 3)
        elsewhere = attack.apply(result.patches, other_images)  # elsewhere.success_rate

    Args:
        classifier: any Keras image classifier that `TaintRadarModel` takes.
        target_class: the label that the attacker wants, from 0.
        preprocessor: raw pixels -> the classifier's input, as `TaintRadarModel` takes it.
        diameter: side of the patch as a fraction of the image's smaller side, in (0, 1].
        shape: "disk" or "square".
        place: "random", "bottom_right", or (row, column) of the patch's top left pixel. A random
            place is drawn anew for each image and step, so that the patch works anywhere.
        steps: of gradient descent.
        learning_rate: root mean square change of the painted pixels in one step, at most, in the
            units of a pixel, 0..255.
        batch_size: how many images are attacked together, >= 1. Of more images, `partial` takes
            one group after another, `universal` draws so many at random for each step.
        seed: of the random places and batches, >= 0; the same seed gives the same result.

    Raises:
        UnsupportedClassifierError: the classifier cannot be opened.
        ValueError: another argument is out of range.

    Source: Brown et al., "Adversarial Patch", 2017 (arXiv:1712.09665). Theirs is also rotated and
    scaled; this one is only moved.
    """

    def __init__(
        self,
        classifier: Any,
        *,
        target_class: int,
        preprocessor: Any = None,
        diameter: float = 0.4,
        shape: str = "disk",
        place: Place = "random",
        steps: int = 200,
        learning_rate: float = 16.0,
        batch_size: int = 16,
        seed: int = 0,
    ) -> None:
        opened = open_classifier(classifier, preprocessor=preprocessor)
        super().__init__(
            opened,
            target_class=target_class,
            mask=make_mask(shape, _in_pixels(diameter, opened.input_shape[:2])),
            place=place,
            steps=steps,
            learning_rate=learning_rate,
            batch_size=batch_size,
            seed=seed,
        )
        self.diameter = diameter
        self.shape = shape

    def __repr__(self) -> str:
        return (
            f"AdversarialPatch(target_class={self.target_class}, diameter={self.diameter}, "
            f"shape={self.shape!r}, place={self.place!r}, steps={self.steps}, "
            f"learning_rate={self.learning_rate}, seed={self.seed})"
        )

    def objective(self, attacked: tf.Tensor) -> tf.Tensor:
        """Cross-entropy (b,) between `target_class` and the softmax of the logits."""
        logits = self._classifier.logits(attacked)
        labels = tf.fill(tf.shape(logits)[:1], self.target_class)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def _in_pixels(diameter: float, image_size: tuple[int, int]) -> int:
    """The side of the patch in whole pixels."""
    smaller = min(image_size)
    if not isinstance(diameter, numbers.Real) or not 0 < diameter <= 1:
        raise ValueError(
            "`diameter` must be a fraction of the image's smaller side, above 0 and at most 1; "
            f"received {diameter!r}. A diameter in pixels is diameter / {smaller} here."
        )
    pixels = round(diameter * smaller)
    if pixels == 0:
        raise ValueError(
            f"`diameter` must be at least one pixel, 1 / {smaller} here; received {diameter!r}."
        )
    return pixels
