"""The benchmarks of attacks and defences, in a small setting."""

import json

import pytest


@pytest.fixture
def arguments(patch_folder, patch_arguments):
    del patch_arguments["attacks"]
    return {"model": patch_folder / "net.keras", **patch_arguments}


def test_defences(benchmark_script, arguments, tmp_path, capsys):
    script = benchmark_script("defences")
    script.main(
        tmp_path / "out",
        **arguments,
        attack=["partial-30"],
        defence=["taintradar", "patchcleanser"],
        target_fpr=[0.5],
        n_attacked=2,
        target=4,
    )
    assert "| images | succeeds | at | taintradar | patchcleanser |" in capsys.readouterr().out
    assert (tmp_path / "out" / "net" / "report.html").is_file()


def test_paper_tables(benchmark_script, arguments, tmp_path, capsys, monkeypatch):
    script = benchmark_script("paper_tables")
    assert list(script.attacks_of(1, 80)) == [
        f"bottom_right-{size}-for-{group}" for group in (1, 4, 16) for size in (20, 30, 40)
    ]
    both = script.attacks_of(2, 80)
    assert len(both) == 12
    assert both["random-20-40-for-4"].settings["diameter"] == (0.2, 0.3, 0.4)
    monkeypatch.setattr(script, "GROUPS", (1, 4))
    script.main(
        tmp_path / "out",
        table=[2],
        **arguments,
        n_attacked=2,
        steps=2,
        target=4,
        target_fpr=0.5,
    )
    assert "paper_tables-net-2. TensorFlow" in capsys.readouterr().out
    document = json.loads((tmp_path / "out/net-table-2/report.json").read_text())
    assert len(document["rows"]) == 8 * 2


def test_adaptive_attacks(benchmark_script, arguments, tmp_path, capsys):
    script = benchmark_script("adaptive_attacks")
    rows = script.main(
        **arguments,
        variant=["occlusion"],
        kind=["plain", "bpda", "away", "small", "likely", "likely-universal"],
        weight=[0, 10],
        n_images=2,
        steps=2,
        target=4,
        target_fpr=0.5,
        output=tmp_path / "rows.json",
        plots=tmp_path / "plots",
    )
    names = [
        "plain",
        "bpda, soft",
        "bpda, fixed",
        "away, 0",
        "away, 10",
        "small, 0",
        "small, 10",
        "likely",
    ]
    assert [row.attack for row in rows] == [*names, "likely-universal"]
    assert [row.weight for row in rows] == [None, None, None, 0, 10, 0, 10, None, None]
    assert (tmp_path / "plots" / "overlap-net.png").stat().st_size > 0
    for row in rows:
        assert row.robust >= 1 - row.succeeded
        assert 0 <= row.overlap <= 1
    assert len(json.loads((tmp_path / "rows.json").read_text())["rows"]) == 9
    out = capsys.readouterr().out
    assert "| net, occlusion | bpda, fixed |" in out
    assert len({line.count("|") for line in out.splitlines() if line.startswith("| ")}) == 1


def test_an_attacker_of_the_covering_windows(benchmark_script, arguments):
    (row,) = benchmark_script("adaptive_attacks").main(
        **arguments,
        variant=["cover"],
        kind=["bpda"],
        regions=["soft"],
        n_images=4,
        steps=2,
        target=4,
        target_fpr=0.5,
    )
    assert 0 <= row.certified <= row.robust


def test_attack_success(benchmark_script, arguments, capsys):
    rows = benchmark_script("attack_success").main(
        **arguments, n_train=4, n_other=3, n_partial=2, steps=2, target=4
    )
    assert [(row.made.n, row.other.n) for row in rows] == [(4, 3), (4, 3), (2, 0), (2, 0)]
    assert "| net | partial, two stars of 25 % | 2 |" in capsys.readouterr().out


def test_other_targets(benchmark_script, arguments, tmp_path, capsys):
    benchmark_script("other_targets").main(
        tmp_path / "out",
        **arguments,
        defence=["taintradar"],
        feature_layer=["last"],
        n_targets=5,
        n_images=4,
        n_partial=4,
        steps=20,
        target_fpr=[0.5],
    )
    out = capsys.readouterr().out
    assert "| images | succeeds | at | taintradar | last |" in out
    assert " of 20 succeed" in out
    assert (tmp_path / "out" / "net" / "report.html").is_file()
