"""Localized attacks: patches that make a classifier predict the label an attacker wants.

`AdversarialPatch` is the printable patch of Brown et al., `EyeglassesAttack` the glasses of Sharif
et al.; `AdaptivePatch` and `MisleadingPatch` know the detector; `certify` tells on which images no
attack can succeed, `certainty` on how many. Every attack is a `PatchAttack`: one loop of gradient
descent and a few hooks. All return an `AttackResult`, which `save_attack` writes as pictures that
can be printed.
"""

from tf_taintradar.attacks.adaptive import AdaptivePatch, MisleadingPatch
from tf_taintradar.attacks.base import PatchAttack
from tf_taintradar.attacks.certificate import Certainty, certainty, certify
from tf_taintradar.attacks.eyeglasses import EyeglassesAttack
from tf_taintradar.attacks.goal import TargetClass
from tf_taintradar.attacks.masks import MaskShape
from tf_taintradar.attacks.pasting import Transformations
from tf_taintradar.attacks.patch import AdversarialPatch
from tf_taintradar.attacks.penalties import Penalties
from tf_taintradar.attacks.placement import Place
from tf_taintradar.attacks.result import AttackResult
from tf_taintradar.attacks.scattered import ScatteredPatch
from tf_taintradar.attacks.storage import load_patch, resize_patches, save_attack
from tf_taintradar.attacks.targets import likely_target, likely_targets

__all__ = [
    "AdaptivePatch",
    "AdversarialPatch",
    "AttackResult",
    "Certainty",
    "EyeglassesAttack",
    "MaskShape",
    "MisleadingPatch",
    "PatchAttack",
    "Penalties",
    "Place",
    "ScatteredPatch",
    "TargetClass",
    "Transformations",
    "certainty",
    "certify",
    "likely_target",
    "likely_targets",
    "load_patch",
    "resize_patches",
    "save_attack",
]
