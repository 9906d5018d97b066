"""OpenCV, which only some of the rivals need."""

from typing import Any


def import_cv2(feature: str) -> Any:
    """The module cv2.

    Args:
        feature: what it is needed for, for the error.

    Raises:
        ImportError: it is not installed; the text says how to get it.
    """
    try:
        import cv2
    except ImportError as error:
        raise ImportError(
            f"{feature} needs OpenCV: pip install 'tf_taintradar[baselines]'."
        ) from error
    return cv2
