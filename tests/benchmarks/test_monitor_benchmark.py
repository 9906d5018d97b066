"""Alarms of simulated months."""

import numpy as np
import pytest

from tf_taintradar import TaintRadarModel
from tf_taintradar.monitor import Monitor


def test_alarms_come_after_the_change_and_hardly_without_one(benchmark_script):
    monitor = benchmark_script("monitor")
    line = monitor.simulate(0.06, 2000, "interval", 5, 6000, 2000, 1_000_000, seed=0)
    assert (line.target, line.n, line.months) == (0.06, 2000, 5)
    assert 0.06 < line.rate < 0.08
    assert (line.false_alarms, line.above) == (0, 0)
    assert len(line.delays) == 5
    assert all(100 < delay < 4000 for delay in line.delays)
    strict = monitor.simulate(0.06, 2000, "target", 5, 6000, 2000, 1_000_000, seed=0)
    assert strict.rate == 0.06
    assert np.mean(strict.delays) < np.mean(line.delays)


def test_who_looks_often_at_plain_intervals_sees_what_is_not_there(benchmark_script):
    monitor = benchmark_script("monitor")
    flags = np.random.default_rng(0).random((200, 5000)) < 0.06
    assert np.mean([monitor.looks_high(month, 0.06) for month in flags]) > 0.1
    assert not monitor.looks_high(np.zeros(5000, bool), 0.06)


def test_a_line_as_printed(benchmark_script):
    monitor = benchmark_script("monitor")
    line = monitor.Line(0.03, 1000, "interval", 0.041, 1, 2, 30, [100, 200, 300], 4)
    found = monitor.cells(line)
    assert found[:4] == ["3%", "1,000", "4.10% (interval)", "1"]
    assert found[4:] == ["2 months", "30 months", "200", "280", "3 of 4"]
    assert monitor.cells(line._replace(delays=[]))[6:8] == ["-", "-"]


@pytest.mark.slow
def test_a_small_run(benchmark_script, capsys):
    benchmark_script("monitor").main(months=2, images=2000, change=500)
    assert "| 3% | 10,000 |" in capsys.readouterr().out


@pytest.mark.slow
def test_of_a_real_network_other_images_raise_no_alarm_and_attacks_do(benchmark_script, shared):
    sets, data = benchmark_script("patch_sets"), shared / "data"
    images = (data / "imagenet_dev", data / "imagenet_dev.csv", data / "attacks")
    network = sets.Network(shared / "models/mobilenet_v2.keras", "tf", *images)
    radar = TaintRadarModel(network.classifier, preprocessor="tf")
    radar.calibrate(network.crops[::2], verbose=0)
    monitor = Monitor(radar)
    predict = monitor.watch(radar.predict)
    predict(network.crops[1::2], verbose=0)
    report = monitor.report()
    assert not report.alarm
    assert report.interval[0] < 0.06 < report.interval[1]
    assert report.distance < 0.15
    (attacked,) = (one for one in network.attacked(12) if one.name == "universal_rb40")
    predict(attacked.images, verbose=0)
    assert monitor.report().alarm
