import json

import numpy as np
import pytest


@pytest.fixture
def imagenet_patches(benchmark_script):
    return benchmark_script("imagenet_patches")


@pytest.mark.parametrize("shuffle", [None, 7])
def test_a_small_run(
    imagenet_patches, patch_folder, patch_arguments, shuffle, capsys, monkeypatch, tmp_path
):
    monkeypatch.setattr(imagenet_patches, "STRICT", {"top_k": 3, "rank_threshold": 1})
    out = tmp_path / "out"
    rows = imagenet_patches.main(
        patch_folder / "net.keras",
        **patch_arguments,
        target_fpr=[0.5],
        shuffle=shuffle,
        output=out / "rows.json",
        roc=out,
    )
    assert [(row.images, row.n) for row in rows] == 3 * [("benign", 8), ("corner", 3)]
    assert [row.variant for row in rows] == 2 * ["occlusion"] + 4 * ["paper"]
    assert rows[0].setting == "calibrated, 50%"
    assert rows[2].setting.startswith("calibrated, 50%: K = ")
    assert (rows[5].setting, rows[5].threshold) == ("the paper's K = 3", 1)
    assert all(row.interval[0] <= row.flagged <= row.interval[1] for row in rows)
    assert "| net, paper | the paper's K = 3 | 1 | corner | 3 |" in capsys.readouterr().out
    assert json.loads((out / "rows.json").read_text())["figures"][5]["n"] == 3
    written = sorted(file.name for file in out.iterdir())
    assert written == ["roc-net-occlusion.png", "roc-net-paper.png", "rows.json"]


def test_halves_are_in_order_or_shuffled(
    imagenet_patches, benchmark_script, patch_folder, patch_arguments
):
    network = benchmark_script("patch_sets").Network(patch_folder / "net.keras", **patch_arguments)
    halves = {
        shuffle: imagenet_patches.Experiment(network, None, shuffle, 4, None)
        for shuffle in (None, 7)
    }
    np.testing.assert_array_equal(halves[None].first, range(8))
    np.testing.assert_array_equal(halves[None].other, range(8, 16))
    mixed = [*halves[7].first, *halves[7].other]
    assert mixed != list(range(16))
    assert sorted(mixed) == list(range(16))


def test_auroc_counts_ties_half(imagenet_patches):
    benign, attacked = np.array([0, 0, 1, 2]), np.array([0, 1, 3])
    assert imagenet_patches.auroc(benign, attacked) == pytest.approx((1 + 2.5 + 4) / 12)
