"""The attacks of an evaluation: specifications of attacks to run, and ready attacked images."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from tf_taintradar.attacks import AdversarialPatch, AttackResult, PatchAttack, ScatteredPatch
from tf_taintradar.attacks.apply_and_classify import groups_of
from tf_taintradar.attacks.goal import Target, TargetClass
from tf_taintradar.classifier.opened import OpenedClassifier
from tf_taintradar.images.pixels import Shape, as_whole_pixels
from tf_taintradar.support.checks import check_integer, require

Pixels = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class Attacked:
    """Images that have been attacked already.

    Attributes:
        images: (m, H, W, c) uint8 raw pixels.
        index: (m,) int, indices of the original images among those passed to `evaluate`.
        target: the label that the attacker wants, or (m,) one for each image; None: any but the one
            of the clean image.
    """

    images: Pixels
    index: npt.NDArray[np.integer[Any]]
    target: int | npt.NDArray[np.integer[Any]] | None

    def checked(self, name: str, input_shape: Shape, n_images: int, n_classes: int) -> "Attacked":
        """The same, its images as whole pixels and its indices as an array.

        Args:
            name: name of the attack, for errors.
            input_shape: (H, W, c) of the classifier.
            n_images: number of images that were passed to `evaluate`.
            n_classes: number of labels.

        Raises:
            ImageError: there is no image, or one has the wrong shape, type or value range.
            ValueError: the indices do not fit the images, or the target is no label.
        """
        what = f"attacks[{name!r}]"
        images = as_whole_pixels(self.images, input_shape, argument=f"{what}.images")
        index = np.asarray(self.index)
        one_each = index.shape == (len(images),) and index.dtype.kind in "iu"
        received = f"shape {index.shape}, dtype {index.dtype}"
        expected = f"({len(images)},) integers, one for each attacked image"
        require(one_each, f"{what}.index", received, expected)
        outside = index[(index < 0) | (index >= n_images)]
        expected = f"from 0 to {n_images - 1}, the numbers of the images passed to `evaluate`"
        require(not outside.size, f"{what}.index", outside[:5].tolist(), expected)
        target = None if self.target is None else np.asarray(self.target)
        if target is not None:
            fits = target.shape in ((), index.shape) and target.dtype.kind in "iu"
            fits &= bool(((target >= 0) & (target < n_classes)).all())
            expected = f"an integer from 0 to {n_classes - 1}, or one for each attacked image"
            require(fits, f"{what}.target", self.target, expected)
        return Attacked(images, index, target)


@dataclasses.dataclass(frozen=True)
class AttackSpec:
    """The specification of an attack with patches.

    Attributes:
        images_per_patch: number of images that share a patch; None: all images share one.
        settings: arguments of `attack`, except the classifier and the target.
        attack: the class of the attack.
        draws_labels: whether the attacker wants a label drawn at random for each image, instead of
            one for all; only with a patch for each image.
    """

    images_per_patch: int | None
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    attack: type[PatchAttack] = AdversarialPatch
    draws_labels: bool = False

    def __post_init__(self) -> None:
        if self.images_per_patch is not None:
            check_integer("images_per_patch", self.images_per_patch, 1)
        object.__setattr__(self, "settings", MappingProxyType(dict(self.settings)))
        is_possible = not self.draws_labels or self.images_per_patch == 1
        require(is_possible, "images_per_patch", self.images_per_patch, "1, with `draws_labels`")

    def targets(
        self, target: int | None, answers: npt.NDArray[np.integer[Any]], n_classes: int, seed: int
    ) -> Target:
        """What the attacker wants: `target`, or a label for each image, never its own.

        Args:
            target: the label of attacks that draw none.
            answers: (m,) the labels of the clean images.
            n_classes: number of labels.
            seed: random seed.
        """
        if not self.draws_labels:
            return target
        away = np.random.default_rng([seed, 2]).integers(1, n_classes, len(answers))
        return ((answers + away) % n_classes).astype(np.int32)

    def run(
        self,
        classifier: OpenedClassifier,
        images: npt.NDArray[np.float32],
        target: TargetClass,
        seed: int,
        verbose: int,
    ) -> list[AttackResult]:
        """Runs the attack.

        Args:
            classifier: the opened classifier.
            images: (n, H, W, c) float32 raw pixels, 0..255.
            target: what `targets` says; None: any label but the one of the clean image.
            seed: random seed, unless `settings` has one.
            verbose: 1 for a progress bar of each patch, 0 for silence.

        Returns:
            The results of all groups of images that share a patch, in the order of the images.
        """
        settings = {"seed": seed, **self.settings, "target_class": target}
        if self.images_per_patch == 1:
            return [self.attack(classifier, **settings).partial(images, verbose=verbose)]
        groups = groups_of(len(images), self.images_per_patch or len(images))
        return [
            self.attack(classifier, **{**settings, "seed": settings["seed"] + i}).universal(
                images[group], verbose=verbose
            )
            for i, group in enumerate(groups)
        ]

    mount = run
    """The name of `run` in earlier versions."""

    def __str__(self) -> str:
        """The specification in one line."""
        made = {1: "one patch an image", None: "one patch for all"}
        whom = made.get(self.images_per_patch, f"one patch for {self.images_per_patch} images")
        if self.attack is not AdversarialPatch:
            whom = f"{self.attack.__name__}, {whom}"
        if self.draws_labels:
            whom += ", labels drawn at random"
        return ", ".join([whom, *(f"{k}={v!r}" for k, v in self.settings.items())])


def _spec(
    images_per_patch: int,
    *,
    attack: type[PatchAttack] = AdversarialPatch,
    draws_labels: bool = False,
    **settings: Any,
) -> AttackSpec:
    return AttackSpec(images_per_patch, settings, attack, draws_labels)


ATTACKS: Mapping[str, AttackSpec] = MappingProxyType(
    {
        "universal-corner-40": _spec(16, diameter=0.4, place="bottom_right", steps=80),
        "universal-30": _spec(16, diameter=0.3, steps=150),
        "partial-corner-30": _spec(1, diameter=0.3, place="bottom_right", steps=80),
        "partial-30": _spec(1, diameter=0.3, steps=80),
        "drawn-labels-30": _spec(1, draws_labels=True, diameter=0.3, steps=80),
        "star-40": _spec(1, diameter=0.4, shape="star", steps=100),
        "two-20": _spec(1, diameter=0.2, n_patches=2, steps=100),
        "many-pieces": _spec(1, attack=ScatteredPatch, n_pieces=8, area=0.07, steps=100),
    }
)
"""The default attacks of `evaluate`, named by their kind, place and size in per cent."""

Threat, THREATS = AttackSpec, ATTACKS
"""The names of `AttackSpec` and `ATTACKS` in earlier versions."""
