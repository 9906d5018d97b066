"""The average face: the paper's fill for faces."""

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tf_taintradar.errors import ImageError
from tf_taintradar.faces.features import KEPT
from tf_taintradar.fills import mean_image
from tf_taintradar.images.pixels import Shape
from tf_taintradar.images.sources import ImageSource, files_of
from tf_taintradar.support.files import sha256_of
from tf_taintradar.support.resumable import Store, checksum


def average_face(
    source: ImageSource,
    input_shape: Shape = (224, 224, 3),
    *,
    cache: str | os.PathLike[str] | None = None,
) -> npt.NDArray[np.uint8]:
    """The mean of all photographs, for `TaintRadarModel(..., fill=average_face("people"))`.

    Args:
        source: a folder (searched with its sub-folders), a list of files, a batched dataset or an
            array of raw pixels. Only one batch is in memory at a time.
        input_shape: (H, W, 3) of the classifier.
        cache: folder in which the mean is stored, if `source` is a folder or a list of files; it is
            reused as long as the contents of the files are the same.

    Returns:
        (H, W, 3) uint8 raw pixels.

    Raises:
        ImageError: there are no photographs, or they are not raw pixels of this shape.
        ValueError: `cache` is given, and `source` is neither a folder nor a list of files.

    Source: section V-B of the paper, the filling pattern for faces.
    """
    if cache is None:
        return _average(source, input_shape)
    files = files_of(source)
    if files is None:
        raise ValueError(
            "`cache` must be left out unless `source` is a folder or a list of files: only files "
            "can be compared with those of another run. Received: a source of type "
            f"{type(source).__name__}. Keep the result instead."
        )
    hashes = [_checksum(file) for file in files]
    store = Store(Path(cache), KEPT)
    key = f"average-{checksum(np.array(hashes), np.array(input_shape))}"
    return store.keep(key, "", lambda: {"average": _average(files, input_shape)})["average"]


def _average(source: ImageSource, input_shape: Shape) -> npt.NDArray[np.uint8]:
    return np.rint(mean_image(source, input_shape)).astype(np.uint8)


def _checksum(file: Path) -> str:
    try:
        return sha256_of(file)
    except OSError as error:
        raise ImageError(f"Cannot read {str(file)!r} as an image: {error}") from error
