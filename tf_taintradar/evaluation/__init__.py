"""Attacks against defences in one table: `evaluate`, and `selftest` for your own detector."""

from tf_taintradar.evaluation.attack_specs import ATTACKS, THREATS, Attacked, AttackSpec, Threat
from tf_taintradar.evaluation.defences import DEFENCES, Defence, make_defence
from tf_taintradar.evaluation.metrics import auroc
from tf_taintradar.evaluation.record import BenignRow, Row
from tf_taintradar.evaluation.result import Evaluation
from tf_taintradar.evaluation.run import evaluate
from tf_taintradar.evaluation.selftest import SelfTest, selftest

__all__ = [
    "ATTACKS",
    "DEFENCES",
    "THREATS",
    "AttackSpec",
    "Attacked",
    "BenignRow",
    "Defence",
    "Evaluation",
    "Row",
    "SelfTest",
    "Threat",
    "auroc",
    "evaluate",
    "make_defence",
    "selftest",
]
