"""Renders the tables of README.md, docs/ and benchmarks/README.md from `results/`.

    python benchmarks/tables.py            # writes the tables anew
    python benchmarks/tables.py --check    # exit status 1 if one differs from its results
    python benchmarks/tables.py --add transformer "python benchmarks/transformer.py" < log

`--add` makes results of the last table that a benchmark printed, for runs that wrote no file.

Between two comments of a Markdown file stands what this script writes:

    <!-- table: monitor -->                                             a whole file of results
    <!-- table: latency ; network: VGG16 ; columns: batch | variant -->   some rows, some columns
    <!-- value: latency ; variant: occlusion ; batch: 8 ; column: ratio, median -->   one cell
    <!-- minutes: monitor -->                                           how long the command took
    <!-- end -->

A table is followed by a line with its date and command. A condition such as `network: VGG16` keeps
the rows whose cell is that, or one of several: `batch: 8 | 1`. It needs nothing but Python.
"""

import itertools
import json
import re
import sys
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
MARKED = re.compile(
    r"(?P<head><!-- (?P<kind>table|value|minutes): (?P<query>.+?) -->).*?<!-- end -->", re.DOTALL
)
RAN = re.compile(r"TensorFlow (\S+), Keras (\S+), Python (\S+), (\d+ cores, \w+ GPU)")
Row = dict[str, str]


class Query(NamedTuple):
    """What a comment asks for.

    Attributes:
        name: a file of results, without suffix.
        columns: the columns to show, in this order; empty: all.
        conditions: for each column that is named the cells that rows may have.
    """

    name: str
    columns: list[str]
    conditions: dict[str, list[str]]


def main(arguments: list[str]) -> int:
    """Renders all files, or says which differ, or adds results; the exit status."""
    if arguments[:1] == ["--add"]:
        _, name, command = arguments
        write(name, printed(sys.stdin.read(), command))
        return 0
    changed = [path for path in documents() if render(path.read_text()) != path.read_text()]
    for path in changed:
        if "--check" in arguments:
            print(f"{path.relative_to(ROOT)} differs from benchmarks/results/")
        else:
            path.write_text(render(path.read_text()))
            print(f"wrote {path.relative_to(ROOT)}")
    return int(bool(changed) and "--check" in arguments)


def printed(log: str, command: str) -> dict[str, Any]:
    """The results that a log holds: its last table, and the last line that says what ran.

    Raises:
        ValueError: the log lacks one of them.
    """
    lines = log.splitlines()
    rules = [i for i, line in enumerate(lines) if re.fullmatch(r"\|( -+:? \|)+", line)]
    ran = RAN.findall(log)
    if not rules or not ran:
        raise ValueError("The log must hold a table, and the line with the versions above it.")
    table = itertools.takewhile(lambda line: line.startswith("|"), lines[rules[-1] - 1 :])
    header, _, *rows = ([cell.strip() for cell in line[1:-1].split(" | ")] for line in table)
    return {
        "benchmark": Path(command.split()[1]).stem,
        "command": command,
        "date": date.today().isoformat(),
        "versions": dict(zip(("tensorflow", "keras", "python", "machine"), ran[-1], strict=True)),
        "seed": None,
        "minutes": None,
        "transcribed": True,
        "rows": [dict(zip(header, row, strict=True)) for row in rows],
    }


def write(name: str, content: dict[str, Any]) -> None:
    """Writes results; see `report.write_result` for the form."""
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


def documents() -> list[Path]:
    """The Markdown files that may hold tables."""
    found = [ROOT / "README.md", ROOT / "benchmarks" / "README.md"]
    return found + sorted((ROOT / "docs").rglob("*.md"))


def render(text: str, results: Path = RESULTS) -> str:
    """A document with all its tables and values as the results have them.

    Raises:
        ValueError: a comment asks for what the results do not have.
    """

    def one(found: re.Match[str]) -> str:
        query = parse(found["query"])
        content = read(query.name, results)
        rows = select(content["rows"], query)
        if found["kind"] == "minutes":
            inner = "-" if content["minutes"] is None else f"{content['minutes']:g}"
        elif found["kind"] == "table":
            inner = f"\n\n{as_markdown(rows)}\n\n{caption(content)}\n"
        elif len(rows) == len(query.columns) == 1:
            inner = rows[0][query.columns[0]]
        else:
            raise ValueError(f"A value must be one cell. Received: {found['query']!r}.")
        return f"{found['head']}{inner}<!-- end -->"

    return MARKED.sub(one, text)


def read(name: str, results: Path = RESULTS) -> dict[str, Any]:
    """The file of results of this name."""
    path = results / f"{name}.json"
    if not path.is_file():
        raise ValueError(f"No results {name!r}: {path} is missing.")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def parse(query: str) -> Query:
    """The parts of a comment, after `table:` or `value:`."""
    name, *parts = (part.strip() for part in " ".join(query.split()).split(" ; "))
    conditions = {}
    for part in parts:
        key, _, values = part.partition(": ")
        conditions[key] = values.split(" | ")
    columns = conditions.pop("columns", None) or conditions.pop("column", [])
    return Query(name, columns, conditions)


def select(rows: list[Row], query: Query) -> list[Row]:
    """The rows that meet all conditions, with the columns that are asked for."""
    for column in (*query.conditions, *query.columns):
        if column not in rows[0]:
            raise ValueError(f"{query.name} has no column {column!r}, but {list(rows[0])}.")
    kept = [row for row in rows if all(row[key] in some for key, some in query.conditions.items())]
    if not kept:
        raise ValueError(f"No row of {query.name} has {query.conditions}.")
    return [{column: row[column] for column in query.columns or row} for row in kept]


def as_markdown(rows: list[Row]) -> str:
    """A table in Markdown; columns of numbers are set to the right."""
    header = list(rows[0])
    numeric = [all(not row[key] or row[key][0] in "0123456789-+" for row in rows) for key in header]
    lines = [header, ["--:" if right else "---" for right in numeric]]
    lines += [[cell.replace("|", "\\|") for cell in row.values()] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def caption(content: dict[str, Any]) -> str:
    """The line below a table: when, and by which command."""
    day = date.fromisoformat(content["date"])
    return f"*{day.day} {day:%B %Y}: `{content['command']}`*"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
