"""Watches a detector in use and compares its flags with what its calibration promised."""

import functools
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from tf_taintradar.calibration.by_score import ScoreCalibration
from tf_taintradar.calibration.record import Calibration
from tf_taintradar.errors import CalibrationError
from tf_taintradar.model import TaintRadarModel
from tf_taintradar.monitor.answers import AnswersLike, read_answers
from tf_taintradar.monitor.metrics import serve
from tf_taintradar.monitor.report import Histogram, Report
from tf_taintradar.monitor.sequence import RateAlarm, distribution_distance, share_interval
from tf_taintradar.serving.load import SavedDetector
from tf_taintradar.support.checks import check_not_negative, require

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.97, 0.99)
"""The quantiles of the calibration's scores that bound the histogram of scores."""

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The bounds of the histogram of latencies."""

_RECENT = 1000  # scores that are compared with the calibration's

Answer = TypeVar("Answer", bound=AnswersLike)
Calibrated: TypeAlias = TaintRadarModel | SavedDetector | Calibration | None
"""What says how often a detector may flag benign images; None: it is not known."""


class Monitor:
    """Counts a detector's answers and raises an alarm if it flags more than it was calibrated to.

    Threads may share a monitor. An alarm says that the share of flags has risen, but not why: there
    may be attacks, or images unlike those of the calibration.

    Examples:
        Watch what a detector answers; `client.detect` and a served detector's `predict` work too:

        >>> monitor = Monitor(radar)
        >>> predict = monitor.watch(radar.predict)
        >>> predict(images)["is_adversarial"]
        >>> print(monitor)

        Serve metrics for Prometheus:

        >>> monitor.serve(9108)

    Args:
        source: the detector that gives the answers, a loaded SavedModel, or a calibration; None if
            the calibration is not known.
        rate: the highest probability of a flag that is not yet a reason for an alarm, in (0, 1). By
            default it is the calibration's target or, if higher, the upper end of its 95 % interval
            or of one of its groups'. Since the threshold is chosen on a sample, the rate of a
            working detector may be that high; with more calibration images it is closer to the
            target.
        false_alarm_every: the least mean number of images between two false alarms, > 1. Larger
            values delay true alarms.

    Raises:
        CalibrationError: the source has no calibration, and `rate` is not given.
        ValueError: an argument is out of range.
    """

    def __init__(
        self, source: Calibrated, *, rate: float | None = None, false_alarm_every: float = 1_000_000
    ) -> None:
        self.calibration = calibration_of(source)
        if rate is None:
            rate = highest_rate(self._known_calibration())
        self._alarm = RateAlarm(rate, false_alarm_every)
        self._flagged = 0
        self._invalid = 0
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._scores = Histogram(score_bounds(self.calibration))
        self._seconds = Histogram(SECONDS)
        self._lock = threading.Lock()

    def _known_calibration(self) -> Calibration:
        if self.calibration is None:
            raise CalibrationError(
                "This detector has no calibration that says how often it may flag benign images. "
                "Call `calibrate(benign_images)` and save it, or pass `rate=`, such as 0.06."
            )
        return self.calibration

    def observe(self, answers: AnswersLike, seconds: float | None = None) -> None:
        """Adds the answers for further images, in their order.

        Images without a verdict, because they could not be decoded or have no finite score, only
        count as invalid.

        Args:
            answers: the result of `predict`, of `radar(images)`, of a loaded SavedModel or of a
                client's `detect`, or the JSON of TensorFlow Serving. How the images are divided
                among calls does not matter.
            seconds: the time that the answers took; None: unknown.

        Raises:
            ValueError: `answers` is not in one of these forms.
        """
        found = read_answers(answers)
        if seconds is not None:
            check_not_negative("seconds", seconds)
        scores, flags = found.score[found.valid], found.is_adversarial[found.valid]
        with self._lock:
            self._invalid += int((~found.valid).sum())
            self._flagged += int(flags.sum())
            self._alarm.update(flags)
            self._scores.add(scores)
            self._recent.extend(scores.tolist())
            if seconds is not None:
                self._seconds.add([seconds])

    def watch(self, detect: Callable[..., Answer]) -> Callable[..., Answer]:
        """Wraps a function so that its answers are observed and its calls timed.

        Args:
            detect: a function that returns answers, such as `radar.predict` or `client.detect`.
        """

        @functools.wraps(detect)
        def observed(*args: Any, **kwargs: Any) -> Answer:
            start = time.perf_counter()
            answers = detect(*args, **kwargs)
            self.observe(answers, time.perf_counter() - start)
            return answers

        return observed

    def report(self) -> Report:
        """The state at this moment."""
        with self._lock:
            n, flagged, alarm = self._alarm.n_images, self._flagged, self._alarm
            return Report(
                n_images=n,
                n_flagged=flagged,
                n_invalid=self._invalid,
                target=None if self.calibration is None else self.calibration.target_fpr,
                rate=alarm.rate,
                interval=share_interval(flagged, n),
                evidence=alarm.evidence,
                false_alarm_every=alarm.false_alarm_every,
                alarms=alarm.alarms,
                last_alarm=alarm.last_alarm,
                distance=self._distance(),
                scores=self._scores.copy(),
                seconds=self._seconds.copy(),
            )

    def _distance(self) -> float | None:
        known = benign_scores(self.calibration)
        if known is None or not self._recent:
            return None
        return distribution_distance(np.array(self._recent), known)

    def serve(self, port: int, address: str = "127.0.0.1") -> tuple[Any, Any]:
        """Serves the metrics for Prometheus over HTTP, in a thread of its own.

        Args:
            port: the port; 0 takes a free one.
            address: the address to listen at; "0.0.0.0" lets other machines in.

        Returns:
            The server, whose `server_port` is the port and whose `shutdown()` ends it, and its
            thread.

        Raises:
            MissingExtraError: prometheus_client is not installed; the extra `monitor` brings it.
        """
        return serve(self.report, port, address)

    def __str__(self) -> str:
        """The report in words."""
        return str(self.report())


def calibration_of(source: Calibrated) -> Calibration | None:
    """The calibration of a detector, a loaded SavedModel, or itself; None: it has none."""
    if isinstance(source, SavedDetector):
        values = source.metadata["calibration"]
        return None if values is None else Calibration.from_json(json.dumps(values))
    found = source.calibration if isinstance(source, TaintRadarModel) else source
    expected = "a TaintRadarModel, a SavedDetector, a Calibration or None"
    require(found is None or isinstance(found, Calibration), "source", source, expected)
    return found


def highest_rate(calibration: Calibration) -> float:
    """The highest false positive rate that a calibration leaves likely; see `Monitor`."""
    of_groups = [group.fpr_interval[1] for group in calibration.groups]
    return max(calibration.target_fpr, calibration.fpr_interval[1], *of_groups)


def benign_scores(calibration: Calibration | None) -> npt.NDArray[np.float64] | None:
    """The scores of the calibration images; None: the record holds none, as variant "paper"'s."""
    return calibration.scores if isinstance(calibration, ScoreCalibration) else None


def score_bounds(calibration: Calibration | None) -> list[float]:
    """The bounds of the histogram of scores: benign quantiles and the threshold, rising."""
    known = benign_scores(calibration)
    bounds = [] if known is None else np.quantile(known, QUANTILES).tolist()
    return sorted({*bounds, *([] if calibration is None else [calibration.threshold])})
