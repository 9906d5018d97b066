"""Frames of an image sequence, a video file or a camera, one by one."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tf_taintradar.errors import ImageError
from tf_taintradar.images.files import fit, read_image
from tf_taintradar.images.folders import find_images
from tf_taintradar.images.pixels import Shape
from tf_taintradar.support.extras import import_extra

Frame = npt.NDArray[np.uint8]


def read_frames(
    source: int | str | os.PathLike[str], input_shape: Shape | None = None
) -> Iterator[Frame]:
    """Reads the frames of a source one by one, as they are needed.

    Args:
        source: path of a folder of image files, which are read in the order of their names (numbers
            in names by value); path of a video file; or number of a camera, whose frames never end.
        input_shape: (H, W, 3) of the classifier, to which frames are cropped and resized like image
            files. None keeps the size of a video's frames and is not allowed for a folder.

    Yields:
        (H, W, 3) uint8 RGB pixels.

    Raises:
        ImageError: the source cannot be opened, has no frames, or contains an unreadable file.
        ImportError: the source is a video and OpenCV is not installed.
        ValueError: the source is a folder and `input_shape` is None.
    """
    if isinstance(source, (str, os.PathLike)) and Path(source).is_dir():
        if input_shape is None:
            raise ValueError("`input_shape` must be given for a folder: its files may differ.")
        return (read_image(file, input_shape) for file in find_images(source))
    return _video_frames(source, input_shape)


def _video_frames(
    source: int | str | os.PathLike[str], input_shape: Shape | None
) -> Iterator[Frame]:
    cv2 = import_extra("cv2", feature="Reading a video", extra="video")
    opened = source if isinstance(source, int) else os.fspath(source)
    capture = cv2.VideoCapture(opened)
    try:
        if not capture.isOpened():
            what = f"camera {opened}" if isinstance(opened, int) else f"{opened!r} as a video"
            raise ImageError(f"Cannot open {what}.")
        n_frames = 0
        while True:
            there, frame = capture.read()
            if not there:
                break
            n_frames += 1
            rgb = np.ascontiguousarray(frame[..., ::-1])
            yield rgb if input_shape is None else fit(rgb, input_shape[:2]).numpy()
        if n_frames == 0:
            raise ImageError(f"{source!r} holds no frame that can be read.")
    finally:
        capture.release()
