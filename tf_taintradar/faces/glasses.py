"""People of a face classifier put on adversarial glasses, and the detector looks at them."""

from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt

from tf_taintradar.attacks import EyeglassesAttack
from tf_taintradar.evaluation.metrics import Rate, auroc
from tf_taintradar.faces.subjects import Photographs
from tf_taintradar.images.files import read_image
from tf_taintradar.model import TaintRadarModel

IMPERSONATION, DODGING = "impersonation", "dodging"


class Worn(NamedTuple):
    """Photographs of n people with glasses painted on.

    Attributes:
        images: (n, H, W, 3) uint8 raw pixels.
        success: (n,) bool, whether the classifier sees whom the wearer wants to be.
        truth: (n,) int64, the label of the wearer.
        steps: of the pairs of glasses, one number each.
    """

    images: npt.NDArray[np.uint8]
    success: npt.NDArray[np.bool_]
    truth: npt.NDArray[np.int64]
    steps: list[int]


class Glasses(NamedTuple):
    """What became of them.

    Attributes:
        succeeded: of all photographs with glasses.
        flagged: of those that succeed.
        recovered: of those flagged, on how many the wearer's own name is found.
        auroc: the chance that one that succeeds scores above a benign photograph; None without any.
        steps: the fewest and the most that a pair took.
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
    """One pair of adversarial glasses for all photographs of each wearer.

    Args:
        radar: the detector whose classifier is attacked; the wearers know the classifier alone.
        photographs: of at least `n_wearers` subjects, aligned faces.
        n_wearers: the subjects with the labels 0 to n - 1 put glasses on.
        kind: "impersonation": to be taken for the next subject; "dodging": for anybody else.
        steps: of gradient descent, at most.
        seed: of the attack.
        verbose: 1 for a progress bar.
    """
    n_subjects = radar.opened.n_classes
    bar = keras.utils.Progbar(n_wearers, verbose=verbose, unit_name="pair")
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
    """What the detector makes of glasses.

    Args:
        radar: a detector with a threshold.
        worn: see `wear`.
        benign: (m,) the scores of benign photographs.
        batch_size: how many images are computed at once.
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
    """The photographs (n, H, W, 3) of one subject as the classifier takes them."""
    files = [
        file
        for file, label in zip(photographs.files, photographs.labels, strict=True)
        if label == subject
    ]
    return np.stack([read_image(file, radar.opened.input_shape) for file in files])
