"""The metrics, as Prometheus reads them over HTTP."""

import math
import urllib.request

import numpy as np
import pytest

from tf_taintradar.calibration import choose_threshold
from tf_taintradar.monitor import Monitor
from tf_taintradar.monitor.metrics import COUNTERS, GAUGES, HISTOGRAMS

pytest.importorskip("prometheus_client", reason="prometheus_client, of the extra monitor")
from prometheus_client.parser import text_string_to_metric_families


@pytest.fixture
def scrape():
    """What Prometheus reads from a monitor: each sample by its name and the bound of its bucket."""
    servers = []

    def scrape(monitor):
        server, thread = monitor.serve(0)
        servers.append((server, thread))
        url = f"http://127.0.0.1:{server.server_port}/metrics"
        with urllib.request.urlopen(url) as answer:
            text = answer.read().decode()
        families = list(text_string_to_metric_families(text))
        assert {one.name for one in families} == {*COUNTERS, *GAUGES, *HISTOGRAMS}
        assert all(one.documentation for one in families)
        return {
            (s.name, s.labels["le"]) if s.labels else s.name: s.value
            for one in families
            for s in one.samples
        }

    yield scrape
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def monitor():
    calibration = choose_threshold(np.arange(1000.0), 0.06, variant="windows")
    return Monitor(calibration, false_alarm_every=30)


def test_the_numbers_are_those_of_the_report(monitor, scrape):
    scores = np.array([100.0, 100, 940, 941, 2000, 2000, np.nan])
    monitor.observe({"score": scores, "is_adversarial": ~(scores <= 940)}, seconds=0.3)
    found, report = scrape(monitor), monitor.report()
    assert found["taintradar_images_total"] == 6
    assert found["taintradar_flagged_total"] == 3
    assert found["taintradar_invalid_total"] == 1
    assert found["taintradar_alarms_total"] == report.alarms == 1
    assert found["taintradar_share"] == 0.5
    assert (found["taintradar_share_low"], found["taintradar_share_high"]) == report.interval
    assert found["taintradar_target"] == 0.06
    assert found["taintradar_rate"] == report.rate
    assert found["taintradar_evidence"] == report.evidence
    assert found["taintradar_evidence_needed"] == 30
    assert found["taintradar_score_distance"] == report.distance
    assert found["taintradar_score_bucket", "940.0"] == 3
    assert found["taintradar_score_bucket", "949.05"] == 4
    assert found["taintradar_score_bucket", "+Inf"] == found["taintradar_score_count"] == 6
    assert found["taintradar_score_sum"] == 6081
    assert found["taintradar_seconds_bucket", "0.25"] == 0
    assert found["taintradar_seconds_bucket", "0.5"] == found["taintradar_seconds_count"] == 1
    assert found["taintradar_seconds_sum"] == 0.3


def test_before_the_first_image_what_is_unknown_is_nan(scrape):
    found = scrape(Monitor(None, rate=0.06))
    assert found["taintradar_images_total"] == 0
    for name in ("share", "target", "score_distance"):
        assert math.isnan(found[f"taintradar_{name}"])
    assert (found["taintradar_share_low"], found["taintradar_share_high"]) == (0, 1)


def test_monitors_do_not_share_metrics(monitor, scrape):
    other = Monitor(None, rate=0.06)
    monitor.observe([{"score": 1.0, "is_adversarial": False}])
    assert scrape(monitor)["taintradar_images_total"] == 1
    assert scrape(other)["taintradar_images_total"] == 0
