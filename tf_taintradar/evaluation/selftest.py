"""Measures in a few minutes how well a detector works on the user's own images."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from tf_taintradar.attacks import EyeglassesAttack
from tf_taintradar.detection.rules import DEFAULT, Bands, Paper
from tf_taintradar.evaluation.attack_specs import AttackSpec
from tf_taintradar.evaluation.defences import Defence
from tf_taintradar.evaluation.metrics import FEW, Rate
from tf_taintradar.evaluation.run import evaluate, looks_at_faces
from tf_taintradar.images.sources import ImageSource
from tf_taintradar.model import TaintRadarModel

_THREATS: Mapping[str, AttackSpec] = MappingProxyType(
    {
        "universal patch": AttackSpec(None, MappingProxyType({"diameter": 0.4, "steps": 150})),
        "partial patches": AttackSpec(1, MappingProxyType({"diameter": 0.3, "steps": 60})),
    }
)
_GLASSES: Mapping[str, AttackSpec] = MappingProxyType(
    {
        "glasses": AttackSpec(
            1, MappingProxyType({"steps": 100}), attack=EyeglassesAttack, draws_labels=True
        )
    }
)
_NAME = "detector"
_ENOUGH = 0.9  # of the attacks that succeed should be flagged
_BETTER = 0.1  # more of them with another variant are worth a word
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
        plain: for faces: rate of benign photographs that are flagged once plain frames are painted
            on; None otherwise.
        others: for faces: `flagged` for the other variant, "bands" or the default, by its name,
            calibrated on the same images.
    """

    is_calibrated: bool
    target_fpr: float | None
    threshold: float
    benign: Rate
    succeeded: dict[str, Rate]
    flagged: dict[str, Rate]
    advice: list[str]
    plain: Rate | None = None
    others: dict[str, dict[str, Rate]] = dataclasses.field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether there is no advice, because the rates are known and as they should be."""
        return len(self.advice) == 0


def selftest(
    radar: TaintRadarModel,
    images: ImageSource,
    labels: npt.ArrayLike | None = None,
    *,
    target_fpr: float = 0.06,
    n_attacked: int = 24,
    faces: bool | None = None,
    batch_size: int = 16,
    seed: int = 0,
    verbose: int = 1,
) -> SelfTest:
    """Attacks the detector's own classifier with patches and reports how many are flagged.

    On faces it also tries adversarial glasses, and plain ones as honest people wear them, with both
    variant "bands" and the default.

    Args:
        radar: the detector; if it has no threshold, one is found on part of the images.
        images: benign images, in the forms that `TaintRadarModel.predict` takes; 100 or more.
        labels: the true labels (n,) of the images; by default the classifier's own predictions.
        target_fpr: false positive rate for a detector without a threshold, in (0, 1).
        n_attacked: largest number of images that are attacked in each way.
        faces: whether the images are aligned faces; None: true if the detector's variant is
            "bands".
        batch_size: number of images that are computed at once.
        seed: random seed.
        verbose: 0 for silence, 1 for a progress bar.

    Raises:
        ImageError: an image has the wrong shape, type or value range, or cannot be read.
        CalibrationError: there are too few images.
        ValueError: another argument is out of range.
    """
    is_calibrated = radar.threshold is not None
    if radar.calibration is not None:
        target_fpr = radar.calibration.target_fpr
    defences: dict[str, Defence] = {_NAME: _Scores(radar) if is_calibrated else radar.replaced()}
    is_face = looks_at_faces(radar, faces)
    if is_face:
        other = DEFAULT if radar.variant == Bands.name else Bands.name
        defences[other] = radar.replaced(variant=other)
    found = evaluate(
        radar,
        images,
        labels,
        attacks={**_THREATS, **(_GLASSES if is_face else {})},
        defences=defences,
        target_fprs=(target_fpr,),
        faces=is_face,
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
        plain=Rate.of(found.plain_scores[_NAME] > threshold) if is_face else None,
        others={
            name: {row.attack: row.flagged for row in found.rows if row.defence == name}
            for name in list(defences)[1:]
        },
    )
    return dataclasses.replace(seen, advice=_advice(seen, radar.variant))


class _Scores:
    """The scores of a detector whose threshold stays as it is."""

    def __init__(self, radar: TaintRadarModel) -> None:
        self._radar = radar

    def score(self, images: ImageSource) -> npt.NDArray[np.float32]:
        return self._radar.score(images)


def _advice(seen: SelfTest, variant: str) -> list[str]:
    advice = []
    if seen.target_fpr is not None and seen.benign.interval[0] > seen.target_fpr:
        advice.append(
            f"It flags {seen.benign} of these benign images, more than the {seen.target_fpr:.0%} "
            "it was calibrated to: they differ from those of its calibration. Calibrate on images "
            "like the ones it will see."
        )
    advice += _about_frames(seen) + _about_others(seen, variant)
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


def _about_frames(seen: SelfTest) -> list[str]:
    """What to do for people who simply wear glasses."""
    target = seen.target_fpr
    if seen.plain is None or target is None or seen.plain.interval[0] <= target:
        return []
    return [
        f"It flags {seen.plain} of these photographs once plain frames are painted on, more than "
        f"{target:.0%}: people who simply wear glasses are taken for attackers. Calibrate on "
        "photographs with and without glasses, `calibrate(images, groups=...)`; "
        "`faces.plain_glasses` paints frames on some."
    ]


def _about_others(seen: SelfTest, variant: str) -> list[str]:
    """Which variant finds more of an attack."""
    return [
        f"Variant {name!r} flags {flagged} of the {attack}, {variant!r} {seen.flagged[attack]}: "
        f"choose it where {attack} are what you expect."
        for name, found in seen.others.items()
        for attack, flagged in found.items()
        if (flagged.value or 0) > (seen.flagged[attack].value or 0) + _BETTER
    ]


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
