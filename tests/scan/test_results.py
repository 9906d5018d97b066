"""What a scan keeps: interrupted, killed, and gone on with."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

from tf_taintradar.scan import results, scan
from tf_taintradar.scan.formats import format_of
from tf_taintradar.serving import load

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(results, "PART_ROWS", 8)


@pytest.fixture(params=[".jsonl", ".csv", ".parquet"])
def suffix(request):
    if request.param == ".parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs the extra scan")
    return request.param


@pytest.fixture
def expected(exported, photos):
    return list(scan(exported.radar, photos, batch_size=4))


def kept(output):
    """The findings of a finished file."""
    return list(format_of(output.suffix).read(output))


def take(scanned, n):
    """The first n findings; then the scan is left alone."""
    rows = iter(scanned)
    found = [next(rows) for _ in range(n)]
    rows.close()
    return found


class Counted:
    """A detector that counts the images it is asked about."""

    def __init__(self, monkeypatch, radar):
        self.n = 0
        predict = type(radar).predict

        def counted(this, x, *arguments, **settings):
            self.n += len(x)
            return predict(this, x, *arguments, **settings)

        monkeypatch.setattr(type(radar), "predict", counted)


def test_every_format_keeps_every_field(exported, photos, expected, tmp_path, suffix):
    output = tmp_path / f"results{suffix}"
    assert list(scan(exported.radar, photos, output, batch_size=4)) == expected
    assert kept(output) == expected
    assert [path.name for path in tmp_path.iterdir()] == [output.name]


def test_a_second_run_computes_nothing(exported, photos, expected, tmp_path, suffix, monkeypatch):
    output = tmp_path / f"results{suffix}"
    scanned = scan(exported.radar, photos, output, batch_size=4)
    assert list(scanned) == expected
    counted = Counted(monkeypatch, exported.radar)
    assert list(scan(exported.radar, photos, output, batch_size=4)) == expected
    assert list(scanned) == expected  # iterated again
    assert counted.n == 0
    assert kept(output) == expected


def test_an_interrupted_scan_goes_on(exported, photos, expected, tmp_path, suffix, monkeypatch):
    output = tmp_path / f"results{suffix}"
    assert take(scan(exported.radar, photos, output, batch_size=4), 18) == expected[:18]
    assert not output.exists()
    counted = Counted(monkeypatch, exported.radar)
    assert list(scan(exported.radar, photos, output, batch_size=4)) == expected
    assert counted.n == len([row for row in expected[20:] if row.status == "read"])
    assert kept(output) == expected
    assert len(list(tmp_path.iterdir())) == 1


def test_what_changed_is_computed_again(exported, draw, tmp_path, monkeypatch):
    photos, output = draw(tmp_path / "photos"), tmp_path / "results.jsonl"
    before = list(scan(exported.radar, photos, output, batch_size=4))
    (photos / "night" / "text.jpg").write_bytes((photos / "day" / "0.png").read_bytes())
    (photos / "day" / "0.png").unlink()
    os.utime(photos / "day" / "3.png", ns=(1, 1))
    counted = Counted(monkeypatch, exported.radar)
    after = list(scan(exported.radar, photos, output, batch_size=4))
    assert counted.n == 2
    assert kept(output) == after
    assert len(after) == len(before) - 1
    assert after[-1].status == "read"
    changed = {row.path for row in set(after) - set(before)}
    assert changed == {str(photos / "night" / "text.jpg"), str(photos / "day" / "3.png")}


def test_a_file_that_was_not_there_is_tried_again(exported, photos, tmp_path):
    output, late = tmp_path / "results.jsonl", tmp_path / "late.png"
    (gone,) = scan(exported.radar, late, output)
    assert gone.status == "unreadable"
    late.write_bytes((photos / "day" / "0.png").read_bytes())
    (there,) = scan(exported.radar, late, output)
    assert there.status == "read"
    assert kept(output) == [there]


def test_results_of_another_detector_are_refused(exported, photos, tmp_path):
    output = tmp_path / "results.jsonl"
    list(scan(exported.radar, photos / "day", output))
    held = output.read_bytes()
    stricter = exported.radar.replaced(score_threshold=0.08)
    with pytest.raises(ValueError, match="`output` must be of this detector.*Name another"):
        scan(stricter, photos / "day", output)
    assert output.read_bytes() == held
    list(scan(load(exported.folder), photos / "day", output))  # the same one, exported
    assert output.read_bytes() == held


def test_something_else_is_not_written_over(exported, photos, tmp_path):
    for name, text in (("notes.csv", "a,b\n1,2\n"), ("notes.jsonl", '{"a": 1}\n')):
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=r"`output` must be new, or the results"):
            scan(exported.radar, photos, tmp_path / name)
        assert (tmp_path / name).read_text() == text
    with pytest.raises(ValueError, match=r"`output` must be a folder, or a file that ends in"):
        scan(exported.radar, photos, tmp_path / "results.xlsx")
    with pytest.raises(ValueError, match="folder with `shard`"):
        scan(exported.radar, photos, tmp_path / "results.csv", shard=(1, 2))


def test_a_folder_holds_parts_of_several_scans(exported, draw, expected, tmp_path):
    dataset = pytest.importorskip("pyarrow.dataset", reason="Parquet needs the extra scan")
    photos, output = draw(tmp_path / "photos"), tmp_path / "results"
    for i in (1, 2):
        list(scan(exported.radar, photos, output, batch_size=4, shard=(i, 2)))
    rows = dataset.dataset(output).to_table().to_pylist()
    assert sorted(row["sha256"] for row in rows) == sorted(row.sha256 for row in expected)
    os.utime(photos / "day" / "3.png", ns=(1, 1))
    for i in (1, 2):
        list(scan(exported.radar, photos, output, batch_size=4, shard=(i, 2)))
    rows = dataset.dataset(output).to_table().to_pylist()
    assert len(rows) == 34
    assert [row["etag"] for row in rows if row["path"].endswith("day/3.png")] == ["1"]


def test_a_table_is_one_of_arrow_or_pandas(exported, photos, expected):
    pytest.importorskip("pyarrow", reason="tables need the extra scan")
    table = scan(exported.radar, photos, batch_size=4).to_arrow()
    assert table.to_pylist() == [row.as_dict() for row in expected]
    pytest.importorskip("pandas", reason="no pandas")
    frame = scan(exported.radar, photos, batch_size=4).to_pandas()
    assert frame["path"].tolist() == [row.path for row in expected]
    assert frame["is_adversarial"].isna().sum() == 2


SCAN = """
import sys
from tf_taintradar.scan import results, scan
from tf_taintradar.serving import load
results.PART_ROWS = 8
findings = scan(load(sys.argv[1]), sys.argv[2], sys.argv[3], batch_size=4)
for number, finding in enumerate(findings, start=1):
    print(finding.path, flush=True)
    if sys.argv[4:] == [str(number)]:
        sys.stdin.readline()  # waits for whoever interrupts it
"""


def start(exported, photos, output, *wait_at):
    arguments = map(str, (sys.executable, "-c", SCAN, exported.folder, photos, output, *wait_at))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen([*arguments], **pipes, env=environment, text=True)


def test_an_interrupt_loses_at_most_the_batch_in_hand(exported, photos, tmp_path):
    output = tmp_path / "results.jsonl"
    process = start(exported, photos, output, 13)
    lines = [process.stdout.readline() for _ in range(13)]
    assert all(lines)
    told = len(lines)
    process.send_signal(signal.SIGINT)
    process.communicate()
    parts = sorted((tmp_path / ".results.jsonl.parts").iterdir())
    rows = [json.loads(line) for part in parts for line in part.read_text().splitlines()]
    assert process.returncode != 0
    assert len(rows) >= told - told % 4


@pytest.mark.slow
def test_killed_again_and_again_it_ends_with_the_same_table(exported, photos, tmp_path):
    whole, output = tmp_path / "whole.jsonl", tmp_path / "results.jsonl"
    assert start(exported, photos, whole).communicate() and whole.exists()
    chance = random.Random(2)
    for _ in range(10):
        process = start(exported, photos, output)
        for _ in range(chance.randrange(1, 20)):
            process.stdout.readline()
        time.sleep(chance.random() / 20)
        process.kill()
        process.communicate()
    start(exported, photos, output).communicate()
    assert output.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.jsonl", "whole.jsonl"]
