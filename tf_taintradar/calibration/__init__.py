"""Calibration: from scores of benign images to the threshold for a false positive rate."""

from tf_taintradar.calibration.by_rank import RankCalibration, choose_thresholds
from tf_taintradar.calibration.by_score import (
    ScoreCalibration,
    choose_threshold,
    smallest_threshold,
)
from tf_taintradar.calibration.record import Calibration, GroupRate, wilson_interval

__all__ = [
    "Calibration",
    "GroupRate",
    "RankCalibration",
    "ScoreCalibration",
    "choose_threshold",
    "choose_thresholds",
    "smallest_threshold",
    "wilson_interval",
]
