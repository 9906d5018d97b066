"""OpenCV, which only some parts need."""

from typing import Any


def import_cv2(feature: str, extra: str) -> Any:
    """The module cv2.

    Args:
        feature: what it is needed for, for the error.
        extra: which extra of this package brings it.

    Raises:
        ImportError: it is not installed; the text says how to get it.
    """
    try:
        import cv2
    except ImportError as error:
        raise ImportError(
            f"{feature} needs OpenCV: pip install 'tf_taintradar[{extra}]'."
        ) from error
    return cv2
