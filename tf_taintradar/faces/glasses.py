"""Adversarial glasses on the subjects of a face classifier, and their detection."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tf_taintradar.attacks import EyeglassesAttack
from tf_taintradar.attacks.plain import plain_glasses
from tf_taintradar.evaluation.metrics import Rate, auroc
from tf_taintradar.faces.photographs import Photographs
from tf_taintradar.images.files import read_image
from tf_taintradar.model import TaintRadarModel
from tf_taintradar.support.progress import Progress

IMPERSONATION, DODGING = "impersonation", "dodging"
EYE_LINE = 0.42
"""Height of the eyes on an aligned face, as a fraction of the image's height, from the top."""

_TOGETHER = 32  # photographs in memory at a time


class Worn(NamedTuple):
    """Photographs with adversarial glasses painted on.

    Attributes:
        images: (n, H, W, 3) uint8 raw pixels.
        success: (n,) bool, whether the wearer's goal is reached.
        truth: (n,) int64, the label of the wearer.
        steps: number of steps in which each pair of glasses was made.
    """

    images: npt.NDArray[np.uint8]
    success: npt.NDArray[np.bool_]
    truth: npt.NDArray[np.int64]
    steps: list[int]


class Glasses(NamedTuple):
    """Rates of a detector on photographs with adversarial glasses.

    Attributes:
        succeeded: rate of photographs on which the glasses succeed.
        flagged: rate of flagged photographs among those on which the glasses succeed.
        recovered: rate of flagged photographs for which the wearer's own label is recovered.
        auroc: area under the ROC curve of successful glasses against benign photographs; None if no
            glasses succeed.
        steps: smallest and largest number of steps in which a pair was made.
    """

    succeeded: Rate
    flagged: Rate
    recovered: Rate
    auroc: float | None
    steps: tuple[int, int]


def wear(
    radar: TaintRadarModel,
    photographs: Photographs,
    n_wearers: int,
    goal: str,
    *,
    one_each: bool = False,
    eye_line: float = EYE_LINE,
    steps: int = 300,
    seed: int = 0,
    verbose: int = 1,
) -> Worn:
    """Makes adversarial glasses for the photographs of each wearer.

    Args:
        radar: the detector whose classifier is attacked; the wearers do not know the detector.
        photographs: aligned faces.
        n_wearers: largest number of subjects who wear glasses, those with the smallest labels.
        goal: goal of the wearers: "impersonation", to be taken for the next subject, or "dodging",
            for anybody else.
        one_each: whether each photograph, rather than each wearer, gets a pair of its own.
        eye_line: height of the eyes as a fraction of the image's height, from the top.
        steps: largest number of steps of gradient descent.
        seed: random seed of the attack.
        verbose: 0 for silence, 1 for a progress bar.
    """
    wearers = np.unique(photographs.labels)[:n_wearers]
    worn = photographs.take(np.flatnonzero(np.isin(photographs.labels, wearers)))
    groups = (
        np.array_split(np.arange(len(worn.files)), math.ceil(len(worn.files) / _TOGETHER))
        if one_each
        else [np.flatnonzero(worn.labels == wearer) for wearer in wearers]
    )
    bar = Progress(len(worn.files), verbose)
    results = []
    for group in groups:
        part = worn.take(group)
        wanted = (part.labels + 1) % radar.opened.n_classes
        attack = EyeglassesAttack(
            radar.opened,
            target_class=wanted if goal == IMPERSONATION else None,
            eye_line=eye_line,
            steps=steps,
            seed=seed,
        )
        make = attack.partial if one_each else attack.universal
        results.append(make(read_faces(radar, part), verbose=0))
        bar.add(len(group))
    return Worn(
        np.concatenate([result.images for result in results]),
        np.concatenate([result.success for result in results]),
        np.concatenate([worn.labels[group] for group in groups]),
        [int(n) for result in results for n in result.steps],
    )


def measure_glasses(
    radar: TaintRadarModel, worn: Worn, benign: npt.NDArray[Any], batch_size: int = 16
) -> Glasses:
    """Measures how well a detector flags adversarial glasses.

    Args:
        radar: a detector with a threshold.
        worn: the photographs that `wear` returned.
        benign: (m,) scores of benign photographs.
        batch_size: number of images that are computed at once.
    """
    found = radar.predict(worn.images, batch_size=batch_size, verbose=0)
    flags = found["is_adversarial"]
    is_right = found["recovered_label"] == worn.truth
    return Glasses(
        succeeded=Rate.of(worn.success),
        flagged=Rate.of(flags[worn.success]),
        recovered=Rate.of(is_right[worn.success & flags]),
        auroc=auroc(benign, found["score"][worn.success]),
        steps=(min(worn.steps), max(worn.steps)),
    )


def framed(
    radar: TaintRadarModel, photographs: Photographs, eye_line: float = EYE_LINE, seed: int = 0
) -> Iterator[npt.NDArray[np.uint8]]:
    """Batches of photographs (b, H, W, 3) uint8 with ordinary glasses painted on.

    Args:
        radar: the detector that will see them.
        photographs: aligned faces.
        eye_line: height of the eyes as a fraction of the image's height, from the top.
        seed: random seed of the frames.
    """
    for i, start in enumerate(range(0, len(photographs.files), _TOGETHER)):
        numbers = np.arange(start, min(start + _TOGETHER, len(photographs.files)))
        faces = read_faces(radar, photographs.take(numbers))
        yield plain_glasses(faces, eye_line=eye_line, seed=seed + i)


def read_faces(radar: TaintRadarModel, photographs: Photographs) -> npt.NDArray[np.uint8]:
    """Reads photographs (n, H, W, 3) uint8 at the classifier's input size."""
    return np.stack([read_image(file, radar.opened.input_shape) for file in photographs.files])
