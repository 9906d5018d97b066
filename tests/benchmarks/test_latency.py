import json

import numpy as np
import pytest


@pytest.fixture
def latency(benchmark_script):
    return benchmark_script("latency")


@pytest.mark.slow
def test_a_small_run_times_the_worst_case_with_all_rows(latency, tmp_path, capsys):
    output = tmp_path / "latency.json"
    results = latency.main("MobileNetV2", [2], [3], 2, 64, memory=False, output=output)
    assert [(row.weights, row.batch, row.rule) for row in results] == [
        ("random", 2, latency.OCCLUSION),
        ("random", 2, latency.ONE_DEPTH),
        ("random", 2, 3),
        ("worst", 2, 3),
    ]
    assert results[3].third_pass == 1
    assert results[3].ratio > results[0].ratio
    out = capsys.readouterr().out
    assert "| random | 2 | occlusion, one depth | - |" in out
    assert "| worst | 2 | paper, K = 3 | 100% |" in out
    assert json.loads(output.read_text())["figures"]["results"][3]["third_pass"] == 1


def test_ratios_are_taken_pair_by_pair(latency):
    wall = [[1.0, 3.0], [2.0, 8.0], [10.0, 50.0]]  # plain, detector
    processor = [[2.0, 4.0], [2.0, 4.0], [2.0, 6.0]]
    times = np.stack([wall, processor], axis=-1)
    result = latency.Result.of(times, "worst", 4, 9, 0.25)
    assert result.ratio == 4
    assert result.quartiles == (3.5, 4.5)
    assert result.ratio_of_minima == 3
    assert result.processor_ratio == 2
    assert (result.plain_ms, result.detector_ms) == (500, 2000)
    assert result.third_pass == 0.75


def test_targets_are_met_or_missed_in_the_worst_case(latency):
    def line(weights, rule, ratio, processor_ratio):
        return latency.Result(weights, 8, rule, 1.0, 1, 1, ratio, (1, 1), 1, processor_ratio)

    results = [
        line("random", latency.OCCLUSION, 1.4, 1.6),
        line("random", 9, 9.0, 9.0),
        line("worst", 9, 3.1, 3.3),
        line("worst", 20, 3.6, 3.6),
    ]
    peaks = {latency.PLAIN: 1.0, latency.OCCLUSION: 1.4, latency.PAPER: 8.5}
    verdicts = latency.verdicts("VGG16", results, peaks)
    assert (
        "occlusion, batch 8: forward passes: 1.40 (met), in processor time 1.60 (MI" in verdicts[0]
    )
    assert "passes: 3.10 (met), in processor time 3.30 (MISSED)" in verdicts[1]
    assert "added: 0.50 (MISSED), in processor time 0.30 (met)" in verdicts[2]
    assert "8.50 (MISSED)" in verdicts[3]
    assert "1.40 (met)" in verdicts[4]
    assert len(latency.verdicts("MobileNetV2", results, {})) == 1
    assert latency.verdicts("ResNet50", results, peaks) == []


@pytest.mark.slow
def test_memory_of_a_small_network(latency):
    peaks = latency.peak_memory("MobileNetV2", 32)
    assert peaks["plain"] > 0.1  # GB: TensorFlow alone takes more
    assert min(peaks[latency.OCCLUSION], peaks[latency.PAPER]) >= 0.9 * peaks["plain"]
