"""The command `scan`: what it prints where, and how it ends."""

import functools
import json

import command
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def folder(exported, tmp_path_factory):
    """`radar.keras`, `photos/` of 8 images, and `mixed/` of one image and a text."""
    folder = tmp_path_factory.mktemp("scan")
    exported.radar.save(folder / "radar.keras")
    for name in ("photos", "mixed"):
        (folder / name).mkdir()
    for i, image in enumerate(exported.images[:8]):
        Image.fromarray(image).save(folder / "photos" / f"{i}.png")
    Image.fromarray(exported.images[0]).save(folder / "mixed" / "0.png")
    (folder / "mixed" / "text.png").write_text("no image")
    return folder


@pytest.fixture(autouse=True)
def _inside(folder, monkeypatch):
    monkeypatch.chdir(folder)


run = functools.partial(command.run, "scan")


def test_it_writes_rows_and_a_page_and_counts(exported, tmp_path):
    output, page = tmp_path / "rows.jsonl", tmp_path / "made" / "report.html"
    done = run("radar.keras", "photos", "--output", output, "--gallery", page, "--batch-size", 3)
    assert done.exit_code == 0, done.output
    flagged = int(exported.radar.predict(exported.images[:8], verbose=0)["is_adversarial"].sum())
    assert f"flagged: {flagged} of 8" in done.stdout
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert sum(row["is_adversarial"] for row in rows) == flagged
    assert page.read_text().count("<figure") == 8
    again = run("radar.keras", "photos", "--output", output)
    assert f"flagged: {flagged} of 8" in again.stdout


def test_the_exit_status_tells_how_it_went(exported):
    assert run("radar.keras", "photos").exit_code == 0
    assert run("radar.keras", "mixed").exit_code == 1
    assert run(exported.folder, "mixed/0.png").exit_code == 0
    assert run("radar.keras", "nowhere/*.png").exit_code == 2
    flagged = exported.radar.predict(exported.images[:8], verbose=0)["is_adversarial"].mean()
    assert 0 < flagged < 1
    assert run("radar.keras", "photos", "--fail-above", flagged).exit_code == 0
    assert run("radar.keras", "photos", "--fail-above", flagged - 0.01).exit_code == 3


def test_mistakes_are_one_line(tmp_path):
    for arguments, told in (
        (["radar.keras", "photos", "--shard", "3"], "`--shard` must be i/n"),
        (["radar.keras", "photos", "--shard", "3/2"], "`shard` must be a pair"),
        (["radar.keras", "photos", "--output", "rows.xls"], "`output` must be a folder, or a file"),
        (["radar.keras", "photos", "--gallery", "report.pdf"], "ends in .html"),
        ([tmp_path, "photos"], "There is no SavedModel in"),
    ):
        done = run(*arguments)
        assert done.exit_code == 2
        assert told in done.stderr
        assert done.stderr.count("\n") == 1
