"""The metrics of a monitor, for Prometheus.

They are computed from a report when Prometheus asks for them. Counting therefore costs nothing
extra, and the numbers of one scrape are consistent.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

from tf_taintradar.monitor.report import Histogram, Report
from tf_taintradar.support.extras import import_extra

COUNTERS = {
    "taintradar_images": "Images with a verdict.",
    "taintradar_flagged": "Images that were flagged as attacks.",
    "taintradar_invalid": "Images without a verdict: not decodable, or no finite answer.",
    "taintradar_alarms": "Number of times that the evidence reached the alarm level.",
}
"""The counters by name; Prometheus adds `_total`."""

GAUGES = {
    "taintradar_share": "Share of the images with a verdict that were flagged.",
    "taintradar_share_low": "Lower end of the share's 95 % confidence sequence.",
    "taintradar_share_high": "Upper end of the share's 95 % confidence sequence.",
    "taintradar_target": "False positive rate that the detector was calibrated to.",
    "taintradar_rate": "Highest probability of a flag that raises no alarm.",
    "taintradar_evidence": "Evidence for a share above taintradar_rate.",
    "taintradar_evidence_needed": "Evidence that raises an alarm: images between false alarms.",
    "taintradar_score_distance": "Distance of the last scores from the calibration's, 0 to 1.",
}
"""The gauges by name; NaN where there is no value yet."""

HISTOGRAMS = {
    "taintradar_score": "Scores; the bounds are benign quantiles and the threshold.",
    "taintradar_seconds": "Time of a call, in seconds.",
}
"""The histograms by name."""


class Collector:
    """What a registry of prometheus_client asks: `registry.register(Collector(monitor.report))`.

    Args:
        report: gives the report of the moment.

    Raises:
        MissingExtraError: prometheus_client is not installed; the extra `monitor` brings it.
    """

    def __init__(self, report: Callable[[], Report]) -> None:
        self._report = report
        self._core = _prometheus("prometheus_client.core")

    def collect(self) -> Iterator[Any]:
        """The metrics at this moment."""
        report = self._report()
        for name, count in _counts(report).items():
            yield self._core.CounterMetricFamily(name, COUNTERS[name], value=count)
        for name, level in _levels(report).items():
            value = math.nan if level is None else level
            yield self._core.GaugeMetricFamily(name, GAUGES[name], value=value)
        for name, found in zip(HISTOGRAMS, (report.scores, report.seconds), strict=True):
            yield self._core.HistogramMetricFamily(
                name, HISTOGRAMS[name], buckets=_buckets(found), sum_value=found.total
            )


def serve(report: Callable[[], Report], port: int, address: str) -> tuple[Any, Any]:
    """See `Monitor.serve`."""
    prometheus = _prometheus("prometheus_client")
    registry = prometheus.CollectorRegistry()
    registry.register(Collector(report))
    return prometheus.start_http_server(port, address, registry)


def _prometheus(module: str) -> Any:
    return import_extra(module, feature="Monitor.serve", extra="monitor")


def _counts(report: Report) -> dict[str, int]:
    numbers = (report.n_images, report.n_flagged, report.n_invalid, report.alarms)
    return dict(zip(COUNTERS, numbers, strict=True))


def _levels(report: Report) -> dict[str, float | None]:
    share = (report.share, *report.interval)
    alarm = (report.target, report.rate, report.evidence, report.false_alarm_every)
    return dict(zip(GAUGES, (*share, *alarm, report.distance), strict=True))


def _buckets(found: Histogram) -> list[tuple[str, int]]:
    bounds = [*map(repr, found.bounds), "+Inf"]
    return list(zip(bounds, found.counts.cumsum().tolist(), strict=True))
