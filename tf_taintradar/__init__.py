"""Detects localized adversarial attacks, such as patches and eyeglasses, on any Keras classifier.

The words used throughout:

*map*: real-valued, one number for each place. *region*: the places that belong to it, true or
false. *fill*: what the defender paints into a region so that its content no longer supports any
label. *rank* of a label: how many labels have a larger logit, 0 = predicted. *tainted region*: the
region that suppresses all other labels. *rank shift*: how far the predicted label drops once the
tainted region is filled.

Images are raw RGB pixels 0..255 unless stated otherwise.

Shapes: a batch of images is (b, H, W, c), a feature map (b, h, w, channels), logits are (b, n). Of
a whole collection, n is the number of images.
"""

import importlib
import sys
from typing import Any

import tf_taintradar.support.backend  # noqa: F401, first of all; isort: split
from tf_taintradar import attacks, baselines, fills, vggface, video
from tf_taintradar.calibration.record import Calibration
from tf_taintradar.detection import Detection, rules
from tf_taintradar.detection.diagnosis import Diagnosis
from tf_taintradar.detection.explanation import Explanation
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
    "rules",
    "vggface",
    "video",
]

_FORMER = {
    "applications": "opening",
    "cam": "detection.cam",
    "cover": "detection.cover",
    "decoding": "images.decoding",
    "dense": "classifier.dense",
    "diagnosis": "detection.diagnosis",
    "explanation": "detection.explanation",
    "feature_layer": "classifier.feature_layer",
    "files": "support.files",
    "glasses": "faces.glasses",
    "graph": "classifier.graph",
    "image_files": "images",
    "logits": "classifier.logits",
    "occlusion": "detection.by_window",
    "paper": "detection.paper",
    "pipeline": "detection.pipeline",
    "precision": "classifier.precision",
    "preprocessing": "classifier.preprocessing",
    "rank_calibration": "calibration.by_rank",
    "ranks": "detection.ranks",
    "regions": "detection.regions",
    "savedmodel": "export.savedmodel",
    "score_calibration": "calibration.by_score",
    "settings": "support.checks",
    "signatures": "export.signatures",
    "store": "support.resumable",
    "vggface.average": "faces.average",
    "vggface.batches": "faces.batches",
    "vggface.features": "faces.features",
    "vggface.subjects": "faces.subjects",
    "vggface.transfer": "faces.transfer",
    "vggface.tuning": "faces.tuning",
}
"""Where modules stood before 0.2, and where they stand: both ways of importing them work."""

for _old, _new in _FORMER.items():
    sys.modules[f"{__name__}.{_old}"] = importlib.import_module(f"{__name__}.{_new}")
fills.fill_region = sys.modules[f"{__name__}.regions"].fill_region  # type: ignore[attr-defined]


def __getattr__(name: str) -> Any:
    if name in _FORMER:
        return sys.modules[f"{__name__}.{name}"]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
