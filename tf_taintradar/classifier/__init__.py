"""A look into any Keras image classifier: its feature map, its logits, its preprocessing."""

from tf_taintradar.classifier.opened import OpenedClassifier, open_classifier
from tf_taintradar.classifier.preprocessing import make_preprocessor

__all__ = ["OpenedClassifier", "make_preprocessor", "open_classifier"]
