"""Monitoring: is the false positive rate still what the detector was calibrated to?

`Monitor` counts a detector's answers, wherever it runs, and raises an alarm when it flags more than
the calibration allows. An alarm means the same however often you look. `Monitor.serve` gives the
numbers to Prometheus, which needs the extra `monitor`. `AnswerLog` reads the answers of a server
from a log. `examples/serving/` has a Grafana dashboard.
"""

from tf_taintradar.monitor.answers import AnswersLike
from tf_taintradar.monitor.log import AnswerLog
from tf_taintradar.monitor.monitor import Calibrated, Monitor
from tf_taintradar.monitor.report import Histogram, Report
from tf_taintradar.monitor.sequence import RateAlarm, distribution_distance, share_interval

__all__ = [
    "AnswerLog",
    "AnswersLike",
    "Calibrated",
    "Histogram",
    "Monitor",
    "RateAlarm",
    "Report",
    "distribution_distance",
    "share_interval",
]
