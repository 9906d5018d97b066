"""SentiNet's class proposals: other labels that segments of an image show."""

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.support.extras import import_extra

_SMALLEST = 0.2  # of a segment, as a fraction of the image's sides


class SelectiveSearch:
    """Segments of images, found by OpenCV's selective search in its fast mode.

    Args:
        n_segments: largest number of segments of an image, chosen evenly from the largest to the
            smallest. The search's own order comes from a generator that cannot be seeded.

    Raises:
        ImportError: OpenCV with its contributed modules is not installed.

    Source: Uijlings et al., "Selective Search for Object Recognition", IJCV 2013.
    """

    def __init__(self, n_segments: int) -> None:
        cv2 = import_extra("cv2", feature="The selective search of SentiNet", extra="baselines")
        self.n_segments = n_segments
        self._search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()

    def crops(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The segments of an image (H, W, c), each resized to its size: (m, H, W, c), m >= 0.

        Segments with a side below a fifth of the image's side are left out.
        """
        height, width, channels = image.shape
        pixels = np.rint(image).astype(np.uint8)
        if channels == 1:
            pixels = np.repeat(pixels, 3, axis=-1)
        found = self._boxes(np.ascontiguousarray(pixels[..., ::-1]))
        boxes = sorted(
            {
                (w * h, x, y, w, h)
                for x, y, w, h in map(tuple, found)
                if w >= _SMALLEST * width and h >= _SMALLEST * height
            },
            reverse=True,
        )
        chosen = np.unique(np.linspace(0, len(boxes) - 1, self.n_segments).round().astype(int))
        crops = [
            tf.image.resize(image[y : y + h, x : x + w], (height, width)).numpy()
            for _, x, y, w, h in (boxes[i] for i in chosen if boxes)
        ]
        return np.array(crops, np.float32).reshape(-1, *image.shape)

    def _boxes(self, picture: npt.NDArray[np.uint8]) -> Any:
        self._search.clearImages()
        self._search.clearGraphSegmentations()
        self._search.clearStrategies()
        self._search.setBaseImage(picture)
        self._search.switchToSelectiveSearchFast()
        return self._search.process()


def likeliest_others(
    probabilities: npt.NDArray[np.float32], label: int, n_labels: int
) -> list[int]:
    """The other labels that segments show with the highest confidence.

    Args:
        probabilities: (m, n) probabilities of n labels for m segments.
        label: the label to leave out.
        n_labels: largest number of labels.

    Returns:
        The labels that are first on at least one segment, in order of confidence.
    """
    surest: dict[int, float] = {}
    for row in probabilities:
        first = int(row.argmax())
        if first != label:
            surest[first] = max(surest.get(first, 0.0), float(row[first]))
    return sorted(surest, key=lambda one: -surest[one])[:n_labels]
