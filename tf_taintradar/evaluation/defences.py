"""The defences of an evaluation: this package's detector and its rivals, asked in the same way."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from tf_taintradar import baselines
from tf_taintradar.detection.pipeline import Arrays
from tf_taintradar.detection.rules import DEFAULT, RULES
from tf_taintradar.model import TaintRadarModel

_MOST_OVERLAYS = 100  # of SentiNet's paper


_OWN = "taintradar"  # the names of this package's rules begin with it
Make = Callable[[TaintRadarModel, int], Any]


def detector_name(variant: str) -> str:
    """What an evaluation calls a detector of this variant."""
    return _OWN if variant == DEFAULT else f"{_OWN}-{variant}"


def _radar(variant: str) -> Make:
    def make(radar: TaintRadarModel, n_fit: int) -> TaintRadarModel:
        return radar.replaced(variant=variant, class_names=None)

    return make


def _rival(kind: Callable[..., Any]) -> Make:
    def make(radar: TaintRadarModel, n_fit: int) -> Any:
        return kind(radar.classifier, preprocessor=radar.preprocessor)

    return make


def _sentinet(radar: TaintRadarModel, n_fit: int) -> baselines.SentiNet:
    n_overlays = max(1, min(_MOST_OVERLAYS, n_fit // 2))
    return baselines.SentiNet(
        radar.classifier, preprocessor=radar.preprocessor, n_overlays=n_overlays
    )


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
"""By name: makes the defence of a detector's classifier, for so many images to fit it on."""


def make_defence(name: str, radar: TaintRadarModel, n_fit: int = 0) -> Any:
    """The defence of this name, around the classifier of a detector, with its default settings.

    Args:
        name: one of `DEFENCES`.
        radar: a detector; it is not changed, and needs no threshold.
        n_fit: how many benign images the defence will be fitted on, if it is one that is.

    Raises:
        ValueError: there is no such defence.
        ImportError: it needs OpenCV, which is not installed.
    """
    if name not in DEFENCES:
        raise ValueError(f"`defences` must be among {', '.join(DEFENCES)}; received {name!r}.")
    return DEFENCES[name](radar, n_fit)


def prepare(defence: Any, fit: Any, calibration: Any, target_fpr: float) -> None:
    """Lets a defence learn what it needs from benign images.

    Args:
        defence: a `Baseline`, a `TaintRadarModel` or anything with `score(images)`.
        fit: (n, H, W, c) uint8, for a rival that compares with benign images.
        calibration: (m, H, W, c) uint8, for K of the paper's rule.
        target_fpr: likewise.
    """
    if isinstance(defence, TaintRadarModel):
        defence.calibrate(calibration, target_fpr, verbose=0)
    elif isinstance(defence, baselines.Baseline):
        defence.fit(fit)


def ask(defence: Any, images: Any, batch_size: int) -> Arrays:
    """`score` (n,) float and, if the defence cleans images, `recovered_label` (n,) int.

    Args:
        defence: as in `prepare`.
        images: (n, H, W, c) uint8 raw pixels.
        batch_size: how many images are computed at once.

    Raises:
        ValueError: the defence does not answer one finite score for each image.
    """
    if isinstance(defence, TaintRadarModel | baselines.Baseline):
        found = defence.predict_scores(images, batch_size=batch_size)
    else:
        found = {"score": np.asarray(defence.score(images))}
    score = np.asarray(found["score"])
    if score.shape != (len(images),) or not np.isfinite(score).all():
        raise ValueError(
            f"{defence!r} must answer one finite score for each of {len(images)} images; its "
            f"scores have shape {score.shape}."
        )
    return {k: v for k, v in found.items() if k in ("score", "recovered_label")}


def describe(defence: Any) -> str:
    """The defence and its settings in one line, the same in every process."""
    if not isinstance(defence, TaintRadarModel):
        return type(defence).__name__ if repr(defence).startswith("<") else repr(defence)
    names = ("feature_layer", "temperature", "map_threshold")
    shown = [f"{name}={getattr(defence, name)!r}" for name in names]
    return f"TaintRadarModel({', '.join([f'variant={defence.rule}', *shown])})"
