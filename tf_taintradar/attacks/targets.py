"""Targets for attackers who may choose: labels that the classifier finds likely anyway."""

import numpy as np
import numpy.typing as npt

from tf_taintradar.images.pixels import ImagesLike
from tf_taintradar.model import TaintRadarModel
from tf_taintradar.support.checks import check_integer


def likely_targets(
    radar: TaintRadarModel, images: ImagesLike, *, rank: int = 2, batch_size: int = 32
) -> npt.NDArray[np.int32]:
    """The rank-aware targets: labels that the classifier finds likely anyway.

    Such a label falls by few ranks once the patch is removed. Pass them as `target_class` of an
    attack with `partial`; for `universal`, use `likely_target`.

    Args:
        radar: a detector with a threshold.
        images: (n, H, W, c) raw pixels of clean images, 0..255.
        rank: rank of the label to choose, from 1 to the number of classes; 2 is the runner-up.
        batch_size: number of images that are computed at once.

    Returns:
        (n,) int32, the label at this rank on each image.

    Raises:
        NotCalibratedError: the detector has no threshold.
        ImageError: `images` are not raw pixels of the classifier's input shape.
        ValueError: `rank` is out of range.

    Source: section VII-B of the paper.
    """
    ordered = _ordered(radar, images, batch_size)
    check_integer("rank", rank, 1, ordered.shape[1] + 1)
    return ordered[:, rank - 1].astype(np.int32)


def likely_target(radar: TaintRadarModel, images: ImagesLike, *, batch_size: int = 32) -> int:
    """The rank-aware target of one patch for all images: the label with the best mean rank.

    Args:
        radar: a detector with a threshold.
        images: (n, H, W, c) raw pixels of clean images, 0..255.
        batch_size: number of images that are computed at once.

    Returns:
        The label, an int.

    Raises:
        NotCalibratedError: the detector has no threshold.
        ImageError: `images` are not raw pixels of the classifier's input shape.

    Source: section VII-B of the paper.
    """
    ranks = np.argsort(_ordered(radar, images, batch_size), axis=1)
    return int(np.argmin(ranks.mean(axis=0)))


def _ordered(radar: TaintRadarModel, images: ImagesLike, batch_size: int) -> npt.NDArray[np.intp]:
    """The labels (n, classes) of each image, the likeliest first."""
    found = radar.predict(images, batch_size=batch_size, verbose=0)
    if radar.opened.n_classes == 2:  # a sigmoid answers one number for both
        return np.stack([found["label"], 1 - found["label"]], axis=1).astype(np.intp)
    return np.argsort(-found["predictions"].astype(np.float32), axis=1, kind="stable")
