"""Results of benchmarks as JSON, and the tables of the documentation that are made of them."""

import io
import json
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
FORM = {"benchmark", "command", "date", "versions", "seed", "minutes", "rows"}


@pytest.fixture
def report(benchmark_script):
    return benchmark_script("report")


@pytest.fixture
def tables(benchmark_script):
    return benchmark_script("tables")


@pytest.fixture
def results(tmp_path):
    """A folder with the results of one benchmark."""
    rows = [
        {"network": "VGG16", "batch": "8", "ratio, median": "1.27"},
        {"network": "VGG16", "batch": "1", "ratio, median": "1.49"},
        {"network": "ResNet", "batch": "8", "ratio, median": "a | b"},
    ]
    content = {"command": "python benchmarks/cost.py", "date": "2026-11-05", "rows": rows}
    (tmp_path / "cost.json").write_text(json.dumps(content))
    return tmp_path


def test_the_documents_show_what_the_results_hold(tables, capsys):
    assert tables.main(["--check"]) == 0, capsys.readouterr().out


def test_every_result_has_the_one_form_and_is_shown(tables):
    shown = {
        tables.parse(found["query"]).name
        for path in tables.documents()
        for found in tables.MARKED.finditer(path.read_text())
    }
    files = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
    assert {path.stem for path in files} == shown
    for path in files:
        content = json.loads(path.read_text())
        assert content.keys() - {"figures", "transcribed"} == FORM, path.name
        assert content["versions"].keys() == {"tensorflow", "keras", "python", "machine"}
        header = list(content["rows"][0])
        for row in content["rows"]:
            assert list(row) == header
            assert all(isinstance(cell, str) for cell in row.values())


def test_no_document_holds_a_table_of_figures_by_hand(tables):
    """Every table of numbers in docs/measured stands between the comments."""
    for path in sorted((ROOT / "docs" / "measured").glob("*.md")):
        assert "\n|" not in tables.MARKED.sub("", path.read_text()), path.name


def test_no_line_begins_with_a_value(tables):
    """There Markdown takes a comment for a block of HTML, which ends the paragraph."""
    for path in tables.documents():
        for line in path.read_text().splitlines():
            assert not line.lstrip().startswith(("<!-- value", "<!-- minutes")), path.name


def test_a_table_and_a_value(tables, results):
    text = "<!-- table: cost ; network: VGG16 ; columns: batch | ratio, median -->old<!-- end -->"
    assert tables.render(text, results) == (
        "<!-- table: cost ; network: VGG16 ; columns: batch | ratio, median -->\n\n"
        "| batch | ratio, median |\n| --: | --: |\n| 8 | 1.27 |\n| 1 | 1.49 |\n\n"
        "*5 November 2026: `python benchmarks/cost.py`*\n<!-- end -->"
    )
    value = "<!-- value: cost ; network: VGG16 ; batch: 1 ; column: ratio, median -->"
    said = f"It costs {value}9.99<!-- end --> passes."
    assert tables.render(said, results) == f"It costs {value}1.49<!-- end --> passes."
    assert tables.render(tables.render(said, results), results) == tables.render(said, results)
    assert "| ResNet | 8 | a \\| b |" in tables.render(
        "<!-- table: cost ; batch: 8 | 2 --><!-- end -->", results
    )


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("table: gone", "No results 'gone'"),
        ("table: cost ; columns: price", "cost has no column 'price'"),
        ("table: cost ; batch: 4", "No row of cost has"),
        ("value: cost ; batch: 8 ; column: ratio, median", "A value must be one cell"),
    ],
)
def test_what_the_results_do_not_have_is_an_error(query, message, tables, results):
    with pytest.raises(ValueError, match=message):
        tables.render(f"<!-- {query} -->9<!-- end -->", results)


def test_publish_prints_and_writes(report, tmp_path, capsys):
    rows = [["VGG16", 1.5], ["ResNet", "2 (1 to 3)"]]
    report.publish("cost", ["network", "ratio"], rows, tmp_path / "cost.json", seed=3, about="x")
    content = json.loads((tmp_path / "cost.json").read_text())
    assert content.keys() == FORM
    assert content["rows"][1] == {"network": "ResNet", "ratio": "2 (1 to 3)"}
    assert content["seed"] == 3
    assert "x. TensorFlow" in (out := capsys.readouterr().out)
    assert "| ResNet | 2 (1 to 3) |" in out


def test_a_standard_result_is_written_by_the_command_without_options(report, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    for arguments, files in [(["--seed", "1"], []), ([], ["cost-more.json"])]:
        monkeypatch.setattr(sys, "argv", ["benchmarks/cost.py", *arguments])
        report.write_result("cost-more", ["n"], [[1]])
        assert [path.name for path in tmp_path.iterdir()] == files
    content = json.loads((tmp_path / "cost-more.json").read_text())
    assert content["command"] == "python benchmarks/cost.py"


def test_a_log_of_a_run_becomes_results(report, tables, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    rows = [["VGG16", "1.5"], ["a net", "2 (1 to 3)"]]
    earlier = "| network | ratio |\n| --- | --- |\n| an earlier table | 9 |\n"
    report.publish("cost", ["network", "ratio"], rows, about="about it")
    monkeypatch.setattr(sys, "stdin", io.StringIO(earlier + capsys.readouterr().out + "\nand more"))
    assert tables.main(["--add", "cost-new", "python benchmarks/cost.py --seed 1"]) == 0
    content = json.loads((tmp_path / "cost-new.json").read_text())
    assert content["rows"] == [dict(zip(("network", "ratio"), row, strict=True)) for row in rows]
    assert (content["benchmark"], content["transcribed"]) == ("cost", True)
    assert content.keys() - {"transcribed"} == FORM
    assert content["versions"] == report.versions()
    with pytest.raises(ValueError, match="must hold a table"):
        tables.printed("no table", "python benchmarks/cost.py")


def test_columns_of_the_same_name_are_refused(report, tmp_path):
    with pytest.raises(ValueError, match="must name each column differently"):
        report.write_result("cost", ["n", "n"], [[1, 2]], tmp_path / "cost.json")
