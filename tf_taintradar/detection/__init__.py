"""The algorithm: Figure 2 of the paper, and the rules by which a region is removed and judged."""

from tf_taintradar.detection.diagnosis import Diagnosis
from tf_taintradar.detection.explanation import Explanation
from tf_taintradar.detection.rules import Detection, detect

__all__ = ["Detection", "Diagnosis", "Explanation", "detect"]
