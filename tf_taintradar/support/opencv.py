"""OpenCV, which only the baselines and the reading of videos need."""

from typing import Any

from tf_taintradar.support.extras import import_extra


def import_cv2(feature: str, extra: str) -> Any:
    """The module `cv2`; see `import_extra` for the arguments and the error."""
    return import_extra("cv2", feature=feature, extra=extra)
