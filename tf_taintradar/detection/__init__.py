"""The algorithm: Figure 2 of the paper, and the rules by which a region is removed and judged."""

from tf_taintradar.detection.detection import Detection
from tf_taintradar.detection.diagnosis import Diagnosis
from tf_taintradar.detection.explanation import Explanation
from tf_taintradar.detection.pipeline import detect
from tf_taintradar.detection.rule import Rule
from tf_taintradar.detection.rules import (
    RULES,
    Bands,
    Cover,
    Occlusion,
    Paper,
    RuleSpec,
    Windows,
    make_rule,
    register_rule,
)

__all__ = [
    "RULES",
    "Bands",
    "Cover",
    "Detection",
    "Diagnosis",
    "Explanation",
    "Occlusion",
    "Paper",
    "Rule",
    "RuleSpec",
    "Windows",
    "detect",
    "make_rule",
    "register_rule",
]
