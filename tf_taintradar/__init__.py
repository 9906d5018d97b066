"""Detects localized adversarial attacks, such as patches and eyeglasses, on any Keras classifier.

The words used throughout:

*map*: real-valued, one number a place. *region*: the places that belong, true or false. *fill*:
what the defender paints into a region so that its content no longer speaks for any label. *rank* of
a label: how many labels have a larger logit, 0 = predicted. *rank shift*: how far the predicted
label falls once the *tainted region*, the one that holds all other labels down, is filled.

Images are raw RGB pixels 0..255, (batch, height, width, channels), unless something else is said.
"""

from tf_taintradar import attacks, baselines, fills, vggface, video
from tf_taintradar.calibration.record import Calibration
from tf_taintradar.detection.diagnosis import Diagnosis
from tf_taintradar.detection.explanation import Explanation
from tf_taintradar.detection.rules import Detection
from tf_taintradar.evaluation import evaluate
from tf_taintradar.export.versions import export_savedmodel
from tf_taintradar.model import TaintRadarModel
from tf_taintradar.support.version import __version__

__all__ = [
    "Calibration",
    "Detection",
    "Diagnosis",
    "Explanation",
    "TaintRadarModel",
    "__version__",
    "attacks",
    "baselines",
    "evaluate",
    "export_savedmodel",
    "fills",
    "vggface",
    "video",
]
