"""The errors a caller can cause, each with its remedy in the text."""

NO_THRESHOLD = (
    "This detector has no threshold yet. Call `calibrate(clean_images, target_fpr=0.06)` on benign "
    "images, or pass `score_threshold=`, or for the paper's rule `rank_threshold=`, to "
    "TaintRadarModel (the paper's scene setting: top_k=9, rank_threshold=2). `score` and `explain` "
    "work without one."
)
BLIND = (
    "The detector is blind at `{}`: nearly all of its maps are empty, so it sees nothing there "
    "that supports a label or suppresses one. Usually no weight lies between that layer and the "
    "logits. Leave `feature_layer` out to have it found, or name an earlier layer; "
    "`diagnose(images)` shows what a layer sees."
)

FORMER_RULE = (
    "This detector of variant {!r} is from before 0.2, when its score was another one: its "
    "threshold has no meaning now and is dropped. Call `calibrate(benign_images)` again and save "
    "it."
)

MOVED_ON = (
    "The classifier's weights have changed since this detector was calibrated, so its threshold "
    "no longer applies. Call `calibrate(benign_images)` again."
)


class TaintRadarError(Exception):
    """Base class of all errors of this package that a caller can correct."""

    __init__ = Exception.__init__  # a message alone: Keras and AutoGraph then keep the error's type


class ImageError(TaintRadarError, ValueError):
    """Images of the wrong shape, type or value range, or a file that cannot be read as an image."""


class UnsupportedClassifierError(TaintRadarError, ValueError):
    """The classifier cannot be opened; the text says why and what to do."""


class BlindDetectorError(TaintRadarError, ValueError):
    """The detector sees nothing at its feature layer, and a calibration would only hide that."""


class CalibrationError(TaintRadarError, ValueError):
    """No setting meets the target false positive rate on these images."""


class NotCalibratedError(TaintRadarError, RuntimeError):
    """A decision was asked for before a threshold was set."""


class NotFittedError(TaintRadarError, RuntimeError):
    """A baseline was asked for a score before it was fitted to benign images."""


class WeightsError(TaintRadarError, ValueError):
    """A weights file cannot be read, or does not fit the network."""


class ServingError(TaintRadarError, RuntimeError):
    """A SavedModel, or the server that runs it, does not answer as a detector does."""
