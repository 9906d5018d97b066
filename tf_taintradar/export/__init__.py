"""One SavedModel on disk for each version of a detector, for TensorFlow Serving."""

from tf_taintradar.export.versions import export_savedmodel, with_precision

__all__ = ["export_savedmodel", "with_precision"]
