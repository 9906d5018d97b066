"""The false positive rate of many calibrations."""

import numpy as np
import pytest

from tf_taintradar import rules


def test_the_promise_is_kept_and_the_plain_way_breaks_it(benchmark_script):
    promise = benchmark_script("promise")
    numbers = np.random.default_rng(0).lognormal(size=(2000, 8)).astype(np.float32)
    pool = {"numbers": numbers, "label": np.zeros(2000, np.int32)}
    line = promise.simulate("net", rules.Occlusion(), pool, 50, 0.06, calibrations=60, seed=0)
    assert (line.network, line.n, line.target) == ("net", 50, 0.06)
    assert line.bound == pytest.approx(3 / 51)
    assert line.rate - line.half_width <= line.bound
    assert line.rate >= line.bound / 2
    assert line.plain[0] - line.plain[1] > line.bound
    assert line.middle[0] <= line.rate <= line.middle[1]
    assert promise.cells(line)[1:4] == ["50", "6%", "5.882%"]


@pytest.mark.slow
def test_a_small_run(benchmark_script, shared, capsys):
    promise = benchmark_script("promise")
    promise.main(["mobilenet_v2"], calibrations=5, limit=60)
    assert "| mobilenet_v2 | 200 | 3% | 2.985% |" in capsys.readouterr().out
