"""The errors a caller can cause, each with its remedy in the text."""


class TaintRadarError(Exception):
    """Base of every error of this package that a caller can mend."""

    __init__ = Exception.__init__  # a message alone: Keras and AutoGraph then keep the error's type


class ImageError(TaintRadarError, ValueError):
    """Images of the wrong shape, type or value range, or a file that cannot be read as an image."""


class UnsupportedClassifierError(TaintRadarError, ValueError):
    """The classifier cannot be opened; the text says why and what to do."""


class BlindDetectorError(TaintRadarError, ValueError):
    """The feature layer shows the detector nothing: calibrating it would only hide that."""


class CalibrationError(TaintRadarError, ValueError):
    """No setting meets the target false positive rate on these images."""


class NotCalibratedError(TaintRadarError, RuntimeError):
    """A decision was asked for before a threshold was set."""
