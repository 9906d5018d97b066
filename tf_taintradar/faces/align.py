"""Photographs of any size: finds the one face in each, and aligns it.

Faces are found by MTCNN, whose package holds its weights; a similarity transform takes the five
landmarks to the places where the networks of ArcFace and many others expect them.
"""

import functools
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from tf_taintradar.errors import ImageError
from tf_taintradar.images.files import read_upright
from tf_taintradar.images.folders import find_images
from tf_taintradar.support.extras import import_extra
from tf_taintradar.support.files import require_new_folder, sha256_of
from tf_taintradar.support.progress import Progress
from tf_taintradar.support.resumable import Arrays, Store

_LOG = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

TEMPLATE: Points = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655],
     [70.7299, 92.2041]]
)  # fmt: skip
"""Column and row of the eyes, the tip of the nose and the corners of the mouth, left ones first, on
an aligned face of 112 x 112 pixels. Source: the alignment of ArcFace (Deng et al., CVPR 2019)."""

ALIGNED_EYE_LINE = float(TEMPLATE[:2, 1].mean() / 112)
"""Height of the eyes on an aligned face, as a fraction of the image's height, from the top."""

_LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
_SURE = 0.9  # the confidence from which on something is a face
_RIVAL = 0.5  # of the largest face's area: from here on, another one may be meant
_LARGEST_RESIDUAL = 8.0  # pixels of 112, root mean square: beyond, the face is turned away
_SMALLEST_SIDE = 32  # pixels: about the width of the smallest face
_SMALLEST_EYES = 12.0  # pixels between the eyes: below, a frame of 112 pixels is mostly made up


class Found(NamedTuple):
    """The faces of a photograph.

    Attributes:
        landmarks: (k, 5, 2) column and row in pixels, in the order of `TEMPLATE`.
        areas: (k,) pixels.
    """

    landmarks: Points
    areas: Points


def align(
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    size: int = 112,
    cache: str | os.PathLike[str] | None = None,
    verbose: int = 1,
) -> dict[Path, str]:
    """Writes the aligned face of every photograph with one clear face into another folder.

    Photographs without one are refused and named in the log: those with no face, with several, or
    with a face that is turned away or too small.

    Args:
        folder: folder of photographs, searched with its sub-folders, one for each subject.
        output: folder for the faces, PNG files under the same names; it must be new or empty.
        size: height and width of the faces in pixels; at least that of the network's input.
        cache: folder in which the landmarks are stored, so that another run takes seconds.
        verbose: 0 for silence, 1 for a progress bar.

    Returns:
        The refused photographs, and why.

    Raises:
        ImageError: the folder does not exist or holds no photograph of one clear face.
        FileExistsError: `output` is not empty.
        MissingExtraError: mtcnn is not installed.
    """
    require_new_folder(output)
    find = face_finder()
    photographs = find_images(folder)
    store = Store(None if cache is None else Path(cache), {"kind": "landmarks of faces"})
    bar = Progress(len(photographs), verbose)
    refused: dict[Path, str] = {}
    for file in photographs:
        bar.add(1)
        try:
            image = _large_enough(read_upright(file))
            kept = store.keep(sha256_of(file), "", functools.partial(_arrays, find, image))
            face = align_face(image, one_clear_face(Found(**kept)), size)
        except (ImageError, OSError) as error:
            refused[file] = str(error)
            _LOG.warning("left out: %s: %s", file, error, extra={"unreadable": 1})
            continue
        target = Path(output) / file.relative_to(folder).with_suffix(f"{file.suffix}.png")
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(face).save(target)
    if len(refused) == len(photographs):
        raise ImageError(
            f"{os.fspath(folder)!r} must hold a photograph of one clear face. The first of "
            f"{len(refused)}: {next(iter(refused.values()))}"
        )
    return refused


def face_finder() -> Callable[[Pixels], Found]:
    """A function that finds the faces of an upright RGB photograph (h, w, 3) uint8.

    Raises:
        MissingExtraError: mtcnn is not installed.
    """
    feature = "Alignment, for photographs that are no aligned faces yet,"
    detector = import_extra("mtcnn", feature=feature, extra="align").MTCNN()

    def find(image: Pixels) -> Found:
        faces = [face for face in detector.detect_faces(image) if face["confidence"] >= _SURE]
        points = [[face["keypoints"][name] for name in _LANDMARKS] for face in faces]
        areas = [face["box"][2] * face["box"][3] for face in faces]
        return Found(np.array(points, float).reshape(-1, 5, 2), np.array(areas, float))

    return find


def _large_enough(image: Pixels) -> Pixels:
    """Refuses what is smaller than the smallest face, on which MTCNN fails."""
    height, width = image.shape[:2]
    if min(height, width) < _SMALLEST_SIDE:
        raise ImageError(
            f"a photograph of {width} x {height} pixels is too small. Its face must have "
            f"{_SMALLEST_EYES:.0f} pixels between the eyes."
        )
    return image


def _arrays(find: Callable[[Pixels], Found], image: Pixels) -> Arrays:
    return find(image)._asdict()


def one_clear_face(found: Found) -> Points:
    """The landmarks (5, 2) of the one clear face.

    Faces of less than half its area, as in the background, do not count.

    Raises:
        ImageError: there is no face, another one of that size, or it is turned away or too small.
    """
    if not len(found.areas):
        raise ImageError("no face is found. Take a photograph of one upright face.")
    n_rivals = int((found.areas >= _RIVAL * found.areas.max()).sum())
    if n_rivals > 1:
        raise ImageError(f"{n_rivals} faces are as large. Cut out the one that is meant.")
    points = found.landmarks[found.areas.argmax()]
    between = float(np.linalg.norm(points[1] - points[0]))
    if between < _SMALLEST_EYES:
        raise ImageError(
            f"the face is too small: {between:.0f} pixels between the eyes, at least "
            f"{_SMALLEST_EYES:.0f} are needed. Take a larger photograph."
        )
    matrix, shift = similarity(points)
    residual = np.sqrt(np.mean(np.sum((points @ matrix.T + shift - TEMPLATE) ** 2, axis=1)))
    if residual > _LARGEST_RESIDUAL:
        raise ImageError("the face is turned away. Take a photograph that looks at the camera.")
    return points


def similarity(points: Points) -> tuple[Points, Points]:
    """The turn, scale and shift that bring landmarks nearest to `TEMPLATE`.

    Args:
        points: (5, 2) column and row.

    Returns:
        A (2, 2) matrix m and a (2,) shift s: p becomes m p + s.

    Source: least squares without mirroring, Umeyama, IEEE PAMI 13(4), 1991; in the plane a turn
    and a scale are one complex number.
    """
    source, target = (p[:, 0] + 1j * p[:, 1] for p in (points, TEMPLATE))
    centred = source - source.mean()
    turn = np.vdot(centred, target - target.mean()) / np.vdot(centred, centred)
    shift = target.mean() - turn * source.mean()
    matrix = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return matrix, np.array([shift.real, shift.imag])


def align_face(image: Pixels, points: Points, size: int = 112) -> Pixels:
    """The face with these landmarks, upright and in the place of `TEMPLATE`.

    Args:
        image: (h, w, 3) uint8 raw pixels.
        points: (5, 2) column and row of the landmarks.
        size: height and width of the result.

    Returns:
        (size, size, 3) uint8; black where the photograph ends.
    """
    matrix, shift = similarity(points)
    matrix, corner = matrix * size / 112, (shift + 0.5) * size / 112  # of the first pixel's centre
    picture, shrink = Image.fromarray(image), max(1, int(1 / np.hypot(*matrix[0])))
    if shrink > 1:  # pixels are averaged, not skipped
        picture = picture.reduce(shrink)
    back = np.linalg.inv(matrix)
    rows = np.column_stack([back, 0.5 - back @ corner]) / shrink
    way = Image.Transform.AFFINE, tuple(rows.ravel()), Image.Resampling.BILINEAR
    return np.asarray(picture.transform((size, size), *way))
