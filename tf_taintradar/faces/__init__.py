"""Faces: a network learns one's own subjects, and their detector is tried with glasses.

`transfer` teaches a face network one's own subjects (`teach`, if one divides their photographs
oneself), `fine_tune` goes on from there; `average_face` is the paper's fill for faces.
`train_face_detector` does all of it in one call.
"""

from tf_taintradar.faces.average import average_face
from tf_taintradar.faces.detector import FaceDetector, train_face_detector
from tf_taintradar.faces.subjects import Photographs, Subjects, find_subjects
from tf_taintradar.faces.transfer import Transfer, teach, transfer
from tf_taintradar.faces.tuning import fine_tune

__all__ = [
    "FaceDetector",
    "Photographs",
    "Subjects",
    "Transfer",
    "average_face",
    "find_subjects",
    "fine_tune",
    "teach",
    "train_face_detector",
    "transfer",
]
