"""The adversarial patch: a printable picture that makes a classifier predict a chosen label."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_taintradar.attacks.base import PatchAttack
from tf_taintradar.attacks.descent import Optimizer
from tf_taintradar.attacks.goal import TargetClass, short_target
from tf_taintradar.attacks.masks import MaskShape, make_mask
from tf_taintradar.attacks.pasting import Pasting, Transformations, TransformedPasting
from tf_taintradar.attacks.penalties import Penalties
from tf_taintradar.attacks.placement import Place, Placement
from tf_taintradar.classifier.kinds import PreprocessorSpec
from tf_taintradar.classifier.opened import ClassifierLike, open_classifier
from tf_taintradar.support.checks import check_integer, is_in_unit_interval, require


class AdversarialPatch(PatchAttack):
    """A patch that makes a classifier predict `target_class`, independent of the rest of the image.

    Example:
        attack = AdversarialPatch(classifier, target_class=859, preprocessor="tf")
        result = attack.universal(images)                       # result.patches: (1, d, d, 3)
        elsewhere = attack.apply(result.patches, other_images)  # elsewhere.success_rate

    Args:
        classifier: any Keras image classifier that `TaintRadarModel` takes, or one that is opened
            already: `radar.opened`, or the result of `open_classifier`.
        target_class: the label that the attacker wants, from 0, or one for each image, see
            `likely_targets`; None: any label but that of the clean image.
        preprocessor: raw pixels -> the classifier's input, as `TaintRadarModel` takes it; None for
            an opened classifier, which has its own.
        diameter: the longer side of the patch as a fraction of the image's smaller side, in (0, 1].
            If several are given, each step draws one for each patch; the finished patch has the
            largest size, and `resize_patches` resizes it.
        shape: "disk", "square", "star", "lightning", or any mask; see `masks.make_mask`.
        place: "random", "bottom_right", or (row, column) of the patch's top left pixel; or a
            sequence of such pairs for several patches. For `universal`, a random place is drawn
            anew for each image and step, so that the patch works anywhere; for `partial`, once for
            each image.
        n_patches: number of copies of the patch on each image, which do not overlap.
        transformations: random transformations of the patch in training, besides its place; the
            finished patch is pasted unchanged. None: no transformations.
        penalties: penalties for colors that cannot be printed and for rough edges; None: no
            penalties.
        stop_probability: in (0, 1]. A patch is finished when the target (or, without a target, all
            other labels together) has this probability, averaged over all images that share the
            patch. None: after `steps`.
        steps: largest number of steps of gradient descent, >= 1.
        learning_rate: largest root mean square change of the painted pixels in one step, in pixel
            values, 0..255.
        optimizer: turns gradients into steps; by default momentum on normalized gradients.
        batch_size: number of images that are attacked together, >= 1. For more images, `partial`
            processes one group after another, `universal` draws a random batch for each step.
        seed: random seed, >= 0; the same seed gives the same result.

    Raises:
        UnsupportedClassifierError: the classifier cannot be opened.
        ImageError: the mask's picture cannot be read.
        ValueError: another argument is out of range.

    Source: Brown et al., "Adversarial Patch", 2017 (arXiv:1712.09665).
    """

    def __init__(
        self,
        classifier: ClassifierLike,
        *,
        target_class: TargetClass,
        preprocessor: PreprocessorSpec | None = None,
        diameter: float | Sequence[float] = 0.4,
        shape: MaskShape = "disk",
        place: Place = "random",
        n_patches: int = 1,
        transformations: Transformations | None = None,
        penalties: Penalties | None = None,
        stop_probability: float | None = None,
        steps: int = 200,
        learning_rate: float = 16.0,
        optimizer: Optimizer | None = None,
        batch_size: int = 16,
        seed: int = 0,
    ) -> None:
        opened = open_classifier(classifier, preprocessor=preprocessor)
        image_size = opened.input_shape[:2]
        sizes = _in_pixels(diameter, image_size)
        n_patches = check_integer("n_patches", n_patches, 1)
        mask = make_mask(shape, max(sizes))
        placement = Placement(place, n_patches, mask.shape, image_size)
        pasting = Pasting(mask, placement)
        if transformations is not None or len(sizes) > 1:
            factors = tuple(size / max(sizes) for size in sizes)
            pasting = TransformedPasting(
                mask, placement, transformations or Transformations(), factors
            )
        super().__init__(
            opened,
            target_class=target_class,
            mask=mask,
            placement=placement,
            pasting=pasting,
            optimizer=optimizer,
            penalties=penalties,
            stop_probability=stop_probability,
            steps=steps,
            learning_rate=learning_rate,
            batch_size=batch_size,
            seed=seed,
        )
        self.diameter = diameter
        self.shape = shape
        self.place = place
        self.n_patches = n_patches
        self.transformations = transformations

    def __repr__(self) -> str:
        shape = self.shape if isinstance(self.shape, str) else f"mask {self.patch_shape[:2]}"
        return (
            f"{type(self).__name__}(target_class={short_target(self.target_class)}, "
            f"diameter={self.diameter}, shape={shape!r}, place={self.place!r}, "
            f"n_patches={self.n_patches}, "
            f"steps={self.steps}, learning_rate={self.learning_rate}, seed={self.seed})"
        )


def _in_pixels(diameter: Any, image_size: tuple[int, int]) -> list[int]:
    """The longer side of the patch in whole pixels, for each size."""
    smaller = min(image_size)
    fractions = list(diameter) if np.ndim(diameter) == 1 else [diameter]
    require(
        len(fractions) > 0 and all(map(is_in_unit_interval, fractions)),
        "diameter",
        diameter,
        "a fraction of the image's smaller side in (0, 1], or several",
        f"d pixels are the fraction d / {smaller} here.",
    )
    pixels = [round(one * smaller) for one in fractions]
    require(min(pixels) > 0, "diameter", diameter, f"at least one pixel, 1 / {smaller} here")
    return pixels
