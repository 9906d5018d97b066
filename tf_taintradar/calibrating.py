"""How a detector finds its settings on benign images."""

import functools
import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np

from tf_taintradar.calibration.by_rank import choose_thresholds
from tf_taintradar.calibration.by_score import choose_threshold
from tf_taintradar.calibration.record import Calibration, check_target
from tf_taintradar.detection.diagnosis import BLIND_SHARE
from tf_taintradar.detection.pipeline import Arrays
from tf_taintradar.detection.rules import PAPER
from tf_taintradar.errors import BLIND, BlindDetectorError
from tf_taintradar.settings import Settings
from tf_taintradar.support.checks import require


class Calibrating(Settings):
    """The part of `TaintRadarModel` that chooses its threshold."""

    def calibrate(
        self,
        x: Any,
        target_fpr: float = 0.06,
        *,
        k_max: int = 20,
        batch_size: int = 32,
        verbose: Any = "auto",
    ) -> Calibration:
        """Chooses the threshold on benign images alone; no attack is needed.

        Variant "paper" chooses K, too, by one sweep over K = 1..k_max, see `choose_thresholds`; the
        others see `choose_threshold`.

        Args:
            x: benign images like those that will be seen in use, whether the classifier gets them
                right or not, but none that it was trained on: it is surer of those. Forms as in
                `predict`.
            target_fpr: the largest share of them that may be flagged, in (0, 1).
            k_max: of "paper": the largest K that is tried; at most the number of labels takes part.
            batch_size: how many images are computed at once.
            verbose: 0 for silence, 1 or "auto" for a progress bar.

        Returns:
            The calibration, also kept as `calibration` and saved with the model.

        Raises:
            ValueError: `target_fpr` or `k_max` is out of range.
            BlindDetectorError: nearly all maps are empty.
            CalibrationError: too few images for the target, or no setting meets it.
            ImageError: as in `predict`.

        Source: section VI-B.
        """
        settings: dict[str, Any] = {"k_max": k_max, "batch_size": batch_size, "verbose": verbose}
        return self.calibrate_across([(self, x)], target_fpr, **settings)

    def calibrate_across(
        self,
        parts: Iterable[tuple["Calibrating", Any]],
        target_fpr: float = 0.06,
        *,
        k_max: int = 20,
        batch_size: int = 32,
        verbose: Any = "auto",
    ) -> Calibration:
        """Chooses the threshold on the classifier's own training images, where there are no others.

        Each part of them is judged by a detector whose classifier was trained without it, and the
        threshold chosen on all judgements together.

        Args:
            parts: pairs of a detector of the same variant, whose classifier has the same labels,
                and benign images that it was not trained on, in the forms of `predict`. Taken one
                after the other.
            target_fpr: as in `calibrate`, which has the errors, too.
            k_max: likewise.
            batch_size: likewise.
            verbose: likewise.

        Source: Vovk, "Cross-conformal predictors", Annals of Mathematics and Artificial
        Intelligence 74, 2015.
        """
        check_target(target_fpr)
        in_range = isinstance(k_max, numbers.Integral) and k_max >= 1
        require(in_range, "k_max", k_max, "a whole number of at least 1")
        bar = {"batch_size": batch_size, "verbose": verbose}
        answers = []
        for radar, x in parts:
            radar._require_variant(self.variant, "parts")
            answers.append(radar._benign_scores(x, k_max, **bar))
        require(len(answers) > 0, "parts", answers, "one pair of detector and images or more")
        seen = {name: np.concatenate([part[name] for part in answers]) for name in answers[0]}
        opened = self._pipeline.classifier
        if seen["is_blind"].mean() > BLIND_SHARE:
            raise BlindDetectorError(BLIND.format(opened.feature_layer))
        if self.variant == PAPER:
            shifts, areas, n = seen["rank_shifts"], seen["areas"], opened.n_classes
            found: Calibration = choose_thresholds(
                shifts, areas, target_fpr=target_fpr, n_classes=n
            )
        else:
            found = choose_threshold(seen["score"], target_fpr, variant=self.variant)
        self.calibration = found
        return found

    def _benign_scores(self, x: Any, k_max: int, **bar: Any) -> Arrays:
        """What `calibrate` chooses by: the scores, or the rank changes of every K."""
        step = functools.partial(self._pipeline.scores, top_k=self._top_k)
        if self.variant == PAPER:
            k_max = min(k_max, self._pipeline.classifier.n_classes)
            step = functools.partial(self._pipeline.sweep, k_max=k_max)
        return self._pipeline.over_batches(step, x, **bar)
