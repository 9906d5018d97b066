"""Faces: trains a network and its detector on your own subjects, and tests it with glasses.

`transfer` makes a classifier of your own subjects from the features of a face network (`teach` does
so with your own division of their photographs), `fine_tune` continues from there. `verify` makes
one of a single person and anyone else. `average_face` is the paper's fill for faces, `align` cuts
aligned faces out of photographs of any size, and `plain_glasses` paints ordinary glasses on them,
for a calibration that also holds for people who wear glasses. `train_face_detector` does all of
this in one call.
"""

from tf_taintradar.attacks.plain import plain_glasses
from tf_taintradar.faces.align import align
from tf_taintradar.faces.average import average_face
from tf_taintradar.faces.detector import train_face_detector
from tf_taintradar.faces.photographs import Photographs
from tf_taintradar.faces.report import FaceDetector
from tf_taintradar.faces.subjects import Subjects, find_subjects
from tf_taintradar.faces.transfer import Transfer, teach, transfer
from tf_taintradar.faces.tuning import fine_tune
from tf_taintradar.faces.verify import verify

__all__ = [
    "FaceDetector",
    "Photographs",
    "Subjects",
    "Transfer",
    "align",
    "average_face",
    "find_subjects",
    "fine_tune",
    "plain_glasses",
    "teach",
    "train_face_detector",
    "transfer",
    "verify",
]
