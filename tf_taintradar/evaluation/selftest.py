"""Measures in a few minutes how well a detector holds on the user's own images."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from tf_taintradar.detection.rules import DEFAULT, Paper
from tf_taintradar.evaluation.attack_specs import AttackSpec
from tf_taintradar.evaluation.metrics import FEW, Rate
from tf_taintradar.evaluation.run import evaluate
from tf_taintradar.model import TaintRadarModel

_THREATS: Mapping[str, AttackSpec] = MappingProxyType(
    {
        "universal patch": AttackSpec(None, MappingProxyType({"diameter": 0.4, "steps": 150})),
        "partial patches": AttackSpec(1, MappingProxyType({"diameter": 0.3, "steps": 60})),
    }
)
_NAME = "detector"
_ENOUGH = 0.9  # of the attacks that succeed should be flagged
_WORKS = 0.5  # of the attacks should succeed, else they say little


@dataclasses.dataclass(frozen=True)
class SelfTest:
    """The result of a self test: flag rates on benign and on attacked images, and advice.

    Attributes:
        is_calibrated: whether the detector's own threshold was used; otherwise one found on half of
            the images.
        target_fpr: the false positive rate that the threshold aims at; None if it was set by hand.
        threshold: an image is flagged if its score is above this.
        benign: rate of benign images that are flagged.
        succeeded: rate of attacked images that fool the classifier, by attack.
        flagged: rate of those that are flagged, by attack.
        advice: what to change, a sentence or two each.
    """

    is_calibrated: bool
    target_fpr: float | None
    threshold: float
    benign: Rate
    succeeded: dict[str, Rate]
    flagged: dict[str, Rate]
    advice: list[str]

    @property
    def holds(self) -> bool:
        """Whether there is no advice: the rates are known, and as they should be."""
        return len(self.advice) == 0


def selftest(
    radar: TaintRadarModel,
    images: Any,
    labels: npt.ArrayLike | None = None,
    *,
    target_fpr: float = 0.06,
    n_attacked: int = 24,
    batch_size: int = 16,
    seed: int = 0,
    verbose: int = 1,
) -> SelfTest:
    """Attacks the detector's own classifier with patches and reports how many are flagged.

    Args:
        radar: the detector; without a threshold, one is found on a part of the images.
        images: benign images, in the forms that `TaintRadarModel.predict` takes; 100 or more.
        labels: the true labels (n,) of the images; by default the classifier's own predictions.
        target_fpr: false positive rate for a detector without a threshold, in (0, 1).
        n_attacked: largest number of images that are attacked in each way.
        batch_size: number of images that are computed at once.
        seed: random seed.
        verbose: 0 for silence, 1 for a progress bar.

    Raises:
        ImageError: an image has the wrong shape, type or value range, or cannot be read.
        CalibrationError: too few images.
        ValueError: another argument is out of range.
    """
    is_calibrated = radar.threshold is not None
    if radar.calibration is not None:
        target_fpr = radar.calibration.target_fpr
    defence = _Scores(radar) if is_calibrated else radar.replaced()
    found = evaluate(
        radar,
        images,
        labels,
        attacks=_THREATS,
        defences={_NAME: defence},
        target_fprs=(target_fpr,),
        n_attacked=n_attacked,
        batch_size=batch_size,
        seed=seed,
        verbose=verbose,
    )
    threshold = found.benign[0].threshold if radar.threshold is None else radar.threshold
    scores = {attack: by_defence[_NAME] for attack, by_defence in found.attack_scores.items()}
    seen = SelfTest(
        is_calibrated=is_calibrated,
        target_fpr=None if is_calibrated and radar.calibration is None else target_fpr,
        threshold=threshold,
        benign=Rate.of(found.benign_scores[_NAME] > threshold),
        succeeded={row.attack: row.succeeded for row in found.rows},
        flagged={attack: Rate.of(own > threshold) for attack, own in scores.items()},
        advice=[],
    )
    return dataclasses.replace(seen, advice=_advice(seen, radar.variant))


class _Scores:
    """The scores of a detector whose threshold stays as it is."""

    def __init__(self, radar: TaintRadarModel) -> None:
        self._radar = radar

    def score(self, images: Any) -> npt.NDArray[np.float32]:
        return self._radar.score(images)


def _advice(seen: SelfTest, variant: str) -> list[str]:
    advice = []
    if seen.target_fpr is not None and seen.benign.interval[0] > seen.target_fpr:
        advice.append(
            f"It flags {seen.benign} of these benign images, more than the {seen.target_fpr:.0%} "
            "it was calibrated to: they differ from those of its calibration. Calibrate on images "
            "like the ones it will see."
        )
    for attack, succeeded in seen.succeeded.items():
        flagged = seen.flagged[attack]
        if (succeeded.value or 0) < _WORKS:
            advice.append(
                f"The {attack} fooled the classifier on {succeeded} of the images: too few to "
                "judge the detector by. Mount stronger ones with `taintradar attack` (more steps, "
                "a larger diameter)."
            )
        elif (flagged.value or 0) < _ENOUGH:
            advice.append(f"Of the {attack} that succeed {flagged} are flagged. {_more(variant)}")
        elif flagged.n < FEW:
            advice.append(
                f"The {attack} succeeded on {flagged.n} images only: rates over fewer than {FEW} "
                "say little. Give more images."
            )
    return advice


def _more(variant: str) -> str:
    if variant == Paper.name:
        return (
            "The paper's rule suits networks with large fully connected layers: calibrate one with "
            f"variant={DEFAULT!r}, the default."
        )
    return (
        "See what the detector looks at with `taintradar diagnose` and `taintradar explain`; name "
        "an earlier feature layer, or calibrate to a higher false positive rate."
    )
