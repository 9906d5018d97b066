"""The defences of an evaluation: a detector of each rule, and the baselines."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tf_taintradar import baselines
from tf_taintradar.calibration.by_score import ScoreCalibration
from tf_taintradar.detection.pipeline import Arrays
from tf_taintradar.detection.rules import DEFAULT, RULES
from tf_taintradar.model import TaintRadarModel
from tf_taintradar.support.checks import require

_MOST_OVERLAYS = 100  # of SentiNet's paper
_OWN = "taintradar"  # the names of this package's rules begin with it


Pixels = npt.NDArray[np.uint8]


class Defence(Protocol):
    """Anything that scores images: a `TaintRadarModel`, a `Baseline`, or a defence of your own."""

    def score(self, images: Pixels, /) -> npt.NDArray[np.floating[Any]]:
        """The score (n,) of each image (n, H, W, c) uint8; larger is more suspicious."""


Make = Callable[[TaintRadarModel, int], Defence]


def detector_name(variant: str) -> str:
    """What an evaluation calls a detector of this variant."""
    return _OWN if variant == DEFAULT else f"{_OWN}-{variant}"


def _radar(variant: str) -> Make:
    def make(radar: TaintRadarModel, n_fit: int) -> TaintRadarModel:
        return radar.replaced(variant=variant, class_names=None)

    return make


def _rival(kind: type[baselines.Baseline]) -> Make:
    def make(radar: TaintRadarModel, n_fit: int) -> Defence:
        return kind(radar.opened)

    return make


def _sentinet(radar: TaintRadarModel, n_fit: int) -> baselines.SentiNet:
    n_overlays = max(1, min(_MOST_OVERLAYS, n_fit // 2))
    return baselines.SentiNet(radar.opened, n_overlays=n_overlays)


_RIVALS: Mapping[str, Make] = {
    "sentinet": _sentinet,
    "local-gradients-smoothing": _rival(baselines.LocalGradientsSmoothing),
    "watermarking": _rival(baselines.DigitalWatermarking),
    "patchcleanser": _rival(baselines.PatchCleanser),
    "jujutsu": _rival(baselines.Jujutsu),
}


class _Defences(Mapping[str, Make]):
    """A detector of each rule that is registered, then the rivals."""

    def _all(self) -> dict[str, Make]:
        return {**{detector_name(name): _radar(name) for name in RULES}, **_RIVALS}

    def __getitem__(self, name: str) -> Make:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


DEFENCES: Mapping[str, Make] = _Defences()
"""Functions that make a defence, by name: (detector, number of images to fit it on) -> defence."""


def make_defence(name: str, radar: TaintRadarModel, n_fit: int = 0) -> Defence:
    """Makes the defence of this name, around the classifier of a detector, with default settings.

    Args:
        name: one of `DEFENCES`.
        radar: a detector; it is not changed, and needs no threshold.
        n_fit: number of benign images that the defence will be fitted on, if it needs any.

    Raises:
        ValueError: there is no such defence.
        ImportError: the defence needs OpenCV, which is not installed.
    """
    require(name in DEFENCES, "defences", name, f"among {', '.join(DEFENCES)}")
    return DEFENCES[name](radar, n_fit)


def prepare(defence: Defence, fit: Pixels, calibration: Pixels, target_fpr: float) -> None:
    """Calibrates or fits a defence on benign images.

    Args:
        defence: a `Baseline`, a `TaintRadarModel` or anything with `score(images)`.
        fit: benign images (n, H, W, c) uint8, for baselines that compare with some.
        calibration: benign images (m, H, W, c) uint8, for detectors of this package.
        target_fpr: false positive rate that a detector is calibrated to, in (0, 1).
    """
    if isinstance(defence, TaintRadarModel):
        defence.calibrate(calibration, target_fpr, verbose=0)
    elif isinstance(defence, baselines.Baseline):
        defence.fit(fit)


def known_scores(defence: Defence) -> npt.NDArray[np.float64] | None:
    """The scores (m,) of the calibration images where they are not those that `ask` would give.

    A rule that found its scales on the same images has scored them at the worst of all scales that
    they may get; see `calibration.scaling`. None: `ask`.
    """
    record = getattr(defence, "calibration", None)
    if isinstance(record, ScoreCalibration) and record.scales is not None:
        return record.scores
    return None


def ask(defence: Defence, images: Pixels, batch_size: int) -> Arrays:
    """Asks a defence for `score` (n,) float and, if it cleans images, `recovered_label` (n,) int.

    A score that is not finite becomes infinite, so that it is flagged whatever the threshold.

    Args:
        defence: a `Baseline`, a `TaintRadarModel` or anything with `score(images)`.
        images: (n, H, W, c) uint8 raw pixels.
        batch_size: number of images that are computed at once.

    Raises:
        ValueError: the defence does not answer one score for each image.
    """
    if isinstance(defence, TaintRadarModel | baselines.Baseline):
        found = defence.predict_scores(images, batch_size=batch_size)
    else:
        found = {"score": defence.score(images)}
    score = np.asarray(found["score"])
    if score.shape != (len(images),) or score.dtype.kind not in "iuf":
        raise ValueError(
            f"{defence!r} must answer one score, a number, for each of {len(images)} images. "
            f"Received: {score.dtype} of shape {score.shape}."
        )
    found = {**found, "score": np.where(np.isfinite(score), score, np.inf)}
    return {k: v for k, v in found.items() if k in ("score", "recovered_label")}


def describe(defence: Defence) -> str:
    """Describes a defence and its settings in one line, the same in every process."""
    if not isinstance(defence, TaintRadarModel):
        return type(defence).__name__ if repr(defence).startswith("<") else repr(defence)
    names = ("feature_layer", "temperature", "map_threshold")
    shown = [f"{name}={getattr(defence, name)!r}" for name in names]
    return f"TaintRadarModel({', '.join([f'variant={defence.rule}', *shown])})"
