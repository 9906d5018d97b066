import numpy as np
import pytest


@pytest.fixture
def rank_surface(benchmark_script):
    return benchmark_script("rank_surface")


def test_a_small_run(rank_surface, patch_folder, patch_arguments, capsys, tmp_path):
    lines = rank_surface.main(
        patch_folder / "net.keras", **patch_arguments, limit=8, output=tmp_path / "out"
    )
    assert [line.top_k for line in lines] == [1, 3, 5]  # of five labels
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "rank_surface.json",
        "surface-net-benign.png",
        "surface-net-corner.png",
    }
    assert "| net | 3 |" in capsys.readouterr().out


def test_the_smallest_threshold_that_keeps_the_rate(rank_surface, monkeypatch):
    monkeypatch.setattr(rank_surface, "SHOWN", (1, 2))
    benign = np.tile([[0, 4], [1, 0]], (20, 1))  # K = 1: half fall by 1; K = 2: half by 4
    attacked = {"patch": np.array([[2, 4], [1, 5]])}
    one, two = rank_surface.compare("net", benign, attacked, 0.1, seed=0)
    assert (one.threshold, one.fpr, one.tpr) == (1, 0, {"patch": 0.5})
    assert (two.threshold, two.fpr, two.tpr) == (4, 0, {"patch": 0.5})
    assert rank_surface.as_table([one, two])[1][1] == ["net", "2", "4", "0%", "50%"]
