"""The rates over random divisions."""

import numpy as np
import pytest

from tf_taintradar import rules


@pytest.mark.parametrize("rule", [rules.Occlusion(), rules.Cover()], ids=["occlusion", "cover"])
def test_rates_of_numbers_made_up(benchmark_script, rule):
    divisions = benchmark_script("divisions")
    rng = np.random.default_rng(0)
    sets = {"benign": (400, 0), "loud": (30, 9), "alike": (300, 0)}
    answers = {
        key: {
            "numbers": rng.normal(size=(n, 11 if rule.name == "cover" else 8)).astype(np.float32)
            + more,
            "label": rng.integers(0, 5, n),
            "lacks": rng.normal(size=(n, 5)),
        }
        for key, (n, more) in sets.items()
    }
    benign, loud, alike = divisions.judge("net", rule, answers, divisions=10, seed=0)
    assert (benign.network, benign.images, benign.n) == ("net", "benign", 400)
    assert loud.flagged == [1.0] * 3
    for line in (benign, alike):
        for rate, target in zip(line.flagged, divisions.TARGETS, strict=True):
            assert rate == pytest.approx(target, abs=0.02)


def test_scores_need_no_scales(benchmark_script):
    divisions = benchmark_script("divisions")
    rng = np.random.default_rng(0)
    scores = {"benign": rng.normal(size=300), "far": rng.normal(size=20) + 9}
    answers = {key: {"score": values} for key, values in scores.items()}
    _, far = divisions.judge("net", rules.Windows(), answers, divisions=3, seed=0)
    assert far.flagged == [1.0] * 3


@pytest.mark.slow
def test_a_small_run(benchmark_script, shared, capsys, tmp_path):
    divisions = benchmark_script("divisions")
    small = {"divisions": 2, "limit": 200, "output": tmp_path / "out.json"}
    lines = divisions.main(["mobilenet_v2"], depths=1, **small)
    assert [line.n for line in lines if line.images == "benign"] == [200]
    assert lines[-1].images == "worst of the attacks"
    assert "| mobilenet_v2 | partial_rnd30 |" in capsys.readouterr().out
    assert (tmp_path / "out.json").exists()
