"""A look into any Keras image classifier: its feature map, its logits, its preprocessing."""

from tf_taintradar.classifier.closed import ClosedClassifier, close_classifier
from tf_taintradar.classifier.kinds import PreprocessorSpec
from tf_taintradar.classifier.onnx import OnnxLayer
from tf_taintradar.classifier.opened import ClassifierLike, OpenedClassifier, open_classifier
from tf_taintradar.classifier.preprocessing import make_preprocessor
from tf_taintradar.support.names import ClassNames

__all__ = [
    "ClassNames",
    "ClassifierLike",
    "ClosedClassifier",
    "OnnxLayer",
    "OpenedClassifier",
    "PreprocessorSpec",
    "close_classifier",
    "make_preprocessor",
    "open_classifier",
]
