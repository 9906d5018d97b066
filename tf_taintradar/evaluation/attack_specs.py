"""The attacks of an evaluation: some to be mounted, some that lie ready."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from tf_taintradar.attacks import AdversarialPatch, AttackResult
from tf_taintradar.attacks.apply_and_classify import groups_of
from tf_taintradar.classifier.opened import OpenedClassifier
from tf_taintradar.support.checks import check_integer

Pixels = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class Attacked:
    """Images with an attack on them.

    Attributes:
        images: (m, H, W, c) uint8 raw pixels.
        index: (m,) int, the images they were made from, counted as `evaluate` was given them.
        target: the label the attacker wants; None: any but that of the clean image.
    """

    images: Pixels
    index: npt.NDArray[np.integer[Any]]
    target: int | None


@dataclasses.dataclass(frozen=True)
class AttackSpec:
    """An attack with patches that is to be mounted.

    Attributes:
        images_per_patch: 1 makes a patch for each image, more makes one for each so many images,
            None one for all.
        settings: arguments of `AdversarialPatch`, all but the classifier and the target.
    """

    images_per_patch: int | None
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.images_per_patch is not None:
            check_integer("images_per_patch", self.images_per_patch, 1)

    def run(
        self,
        classifier: OpenedClassifier,
        images: npt.NDArray[np.float32],
        target: int | None,
        seed: int,
        verbose: int,
    ) -> list[AttackResult]:
        """Attacks images (n, H, W, c), raw pixels; the results in the order of the images."""
        settings = {"seed": seed, **self.settings, "target_class": target}
        if self.images_per_patch == 1:
            return [AdversarialPatch(classifier, **settings).partial(images, verbose=verbose)]
        groups = groups_of(len(images), self.images_per_patch or len(images))
        return [
            AdversarialPatch(classifier, **{**settings, "seed": settings["seed"] + i}).universal(
                images[group], verbose=verbose
            )
            for i, group in enumerate(groups)
        ]

    mount = run
    """The name of `run` in earlier versions."""

    def __str__(self) -> str:
        """One line that says all of it."""
        made = {1: "one patch an image", None: "one patch for all"}
        whom = made.get(self.images_per_patch, f"one patch for {self.images_per_patch} images")
        return ", ".join([whom, *(f"{k}={v!r}" for k, v in self.settings.items())])


def _spec(images_per_patch: int, **settings: Any) -> AttackSpec:
    return AttackSpec(images_per_patch, MappingProxyType(settings))


ATTACKS: Mapping[str, AttackSpec] = MappingProxyType(
    {
        "universal-corner-40": _spec(16, diameter=0.4, place="bottom_right", steps=80),
        "universal-30": _spec(16, diameter=0.3, steps=150),
        "partial-corner-30": _spec(1, diameter=0.3, place="bottom_right", steps=80),
        "partial-30": _spec(1, diameter=0.3, steps=80),
        "star-40": _spec(1, diameter=0.4, shape="star", steps=100),
        "two-20": _spec(1, diameter=0.2, n_patches=2, steps=100),
    }
)
"""The attacks that `evaluate` mounts by default: their kind, place and size in per cent."""

Threat, THREATS = AttackSpec, ATTACKS
"""The names of `AttackSpec` and `ATTACKS` in earlier versions."""
