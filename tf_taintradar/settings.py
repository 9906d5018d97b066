"""The settings of a detector that may change: K, its threshold, its calibration."""

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_taintradar.calibration.by_rank import RankCalibration
from tf_taintradar.calibration.by_score import ScoreCalibration
from tf_taintradar.calibration.record import Calibration
from tf_taintradar.detection.pipeline import Pipeline, Tensors
from tf_taintradar.detection.rules import OCCLUSION, PAPER
from tf_taintradar.errors import NO_THRESHOLD, NotCalibratedError
from tf_taintradar.support.checks import require

FIXED = (
    "classifier",
    "preprocessor",
    "feature_layer",
    "variant",
    "fill",
    "temperature",
    "map_threshold",
)
"""The settings that compiled graphs hold: they cannot be changed."""
SETTINGS = (*FIXED, "score_threshold", "top_k", "rank_threshold", "class_names")
"""The constructor's arguments, which are the detector's attributes and its config's keys, too."""


class Settings:
    """The part of `TaintRadarModel` that keeps them in range and in step with each other.

    Changing one by hand discards the calibration.
    """

    variant: str
    classifier: Any
    fill: Any
    temperature: float
    map_threshold: float
    _class_names: list[str] | None
    _pipeline: Pipeline
    _top_k: int
    _threshold: float | None
    _calibration: Calibration | None

    @property
    def class_names(self) -> list[str] | None:
        """A name for each label, None if the classes have none."""
        return self._class_names

    @class_names.setter
    def class_names(self, value: Sequence[str] | None) -> None:
        n_classes = self._pipeline.classifier.n_classes
        fits = value is None or len(value) == n_classes
        require(fits, "class_names", value, f"{n_classes} names, one for each label")
        self._class_names = None if value is None else [str(name) for name in value]

    @property
    def top_k(self) -> int | None:
        """K, how many of the labels that gain most take part; None with the other variants."""
        return self._top_k if self.variant == PAPER else None

    @top_k.setter
    def top_k(self, value: int) -> None:
        self._require_variant(PAPER, "top_k")
        n_classes = self._pipeline.classifier.n_classes
        in_range = isinstance(value, numbers.Integral) and 1 <= value <= n_classes
        require(in_range, "top_k", value, f"a whole number from 1 to {n_classes}, the labels")
        self._top_k = int(value)
        self._calibration = None

    @property
    def rank_threshold(self) -> int | None:
        """The threshold of variant "paper", in ranks; None: not set."""
        if self.variant != PAPER or self._threshold is None:
            return None
        return int(self._threshold)

    @rank_threshold.setter
    def rank_threshold(self, value: int) -> None:
        self._require_variant(PAPER, "rank_threshold")
        largest = self._pipeline.classifier.n_classes - 2
        in_range = isinstance(value, numbers.Integral) and 0 <= value <= largest
        expected = f"a whole number from 0 to {largest}: beyond it nothing is ever flagged"
        require(in_range, "rank_threshold", value, expected)
        self._threshold = float(value)
        self._calibration = None

    @property
    def score_threshold(self) -> float | None:
        """The threshold of all but "paper": nats, of "bands" a share; None: not set."""
        return self._threshold if self.variant != PAPER else None

    @score_threshold.setter
    def score_threshold(self, value: float) -> None:
        if self.variant == PAPER:
            self._require_variant(OCCLUSION, "score_threshold")
        in_range = isinstance(value, numbers.Real) and np.isfinite(value)
        require(in_range, "score_threshold", value, "a finite number")
        self._threshold = float(value)
        self._calibration = None

    @property
    def threshold(self) -> float | None:
        """An image is adversarial if its score is above this; None: not set yet."""
        return self._threshold

    @property
    def calibration(self) -> Calibration | None:
        """The calibration in force, None before `calibrate` and after setting a value by hand.

        Assigning one, as `Calibration.from_json` gives it, applies its settings.
        """
        return self._calibration

    @calibration.setter
    def calibration(self, value: Calibration) -> None:
        if isinstance(value, RankCalibration):
            self.top_k, self.rank_threshold = value.top_k, value.rank_threshold
        elif isinstance(value, ScoreCalibration):
            self._require_variant(value.variant, "calibration")
            self.score_threshold = value.score_threshold
        else:
            require(False, "calibration", value, "a Calibration")
        self._calibration = value

    def _require_variant(self, variant: str, argument: str) -> None:
        if self.variant != variant:
            raise ValueError(
                f"`{argument}` belongs to variant {variant!r}, this detector's is "
                f"{self.variant!r}: make it with TaintRadarModel(classifier, variant={variant!r})."
            )

    def _decide(self, answer: Tensors) -> Tensors:
        """The answer with the decision, step 9."""
        return {**answer, "is_adversarial": answer["score"] > self._threshold}

    def _require_threshold(self) -> None:
        if self._threshold is None:
            raise NotCalibratedError(NO_THRESHOLD)
