"""Adversarial glasses on the subjects of a face classifier, and their detection."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tf_taintradar.attacks import EyeglassesAttack
from tf_taintradar.evaluation.metrics import Rate, auroc
from tf_taintradar.faces.subjects import Photographs
from tf_taintradar.images.files import read_image
from tf_taintradar.model import TaintRadarModel
from tf_taintradar.support.progress import Progress

IMPERSONATION, DODGING = "impersonation", "dodging"


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
    kind: str,
    *,
    steps: int = 300,
    seed: int = 0,
    verbose: int = 1,
) -> Worn:
    """Makes one pair of adversarial glasses for all photographs of each wearer.

    Args:
        radar: the detector whose classifier is attacked; the wearers do not know the detector.
        photographs: aligned faces of at least `n_wearers` subjects.
        n_wearers: number of subjects who wear glasses: those with the labels 0 to n_wearers - 1.
        kind: goal of the wearers: "impersonation", to be taken for the next subject, or "dodging",
            for anybody else.
        steps: largest number of steps of gradient descent.
        seed: random seed of the attack.
        verbose: 0 for silence, 1 for a progress bar.
    """
    n_subjects = radar.opened.n_classes
    bar = Progress(n_wearers, verbose, unit="pairs", unit_name="pair")
    results = []
    for wearer in range(n_wearers):
        attack = EyeglassesAttack(
            radar.opened,
            target_class=(wearer + 1) % n_subjects if kind == IMPERSONATION else None,
            steps=steps,
            seed=seed,
        )
        results.append(attack.universal(read_faces(radar, photographs, wearer), verbose=0))
        bar.add(1)
    counts = [len(result.images) for result in results]
    return Worn(
        np.concatenate([result.images for result in results]),
        np.concatenate([result.success for result in results]),
        np.repeat(np.arange(n_wearers), counts),
        [int(result.steps[0]) for result in results],
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


def read_faces(
    radar: TaintRadarModel, photographs: Photographs, subject: int
) -> npt.NDArray[np.uint8]:
    """Reads the photographs (n, H, W, 3) uint8 of one subject at the classifier's input size."""
    files = [
        file
        for file, label in zip(photographs.files, photographs.labels, strict=True)
        if label == subject
    ]
    return np.stack([read_image(file, radar.opened.input_shape) for file in files])
