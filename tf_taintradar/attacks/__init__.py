"""Localized attacks: patches that make a classifier answer what the attacker wants.

`AdversarialPatch` is the printable patch of Brown et al. Every attack is a `PatchAttack`: one loop
of gradient descent and a few hooks. All answer an `AttackResult`.
"""

from tf_taintradar.attacks.base import PatchAttack
from tf_taintradar.attacks.patch import AdversarialPatch
from tf_taintradar.attacks.result import AttackResult

__all__ = ["AdversarialPatch", "AttackResult", "PatchAttack"]
