"""The three kinds of files that findings are kept in: Parquet, JSON lines and CSV."""

from __future__ import annotations

import abc
import csv
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tf_taintradar.scan.finding import COLUMNS, Finding
from tf_taintradar.support.checks import require
from tf_taintradar.support.extras import import_extra

_ROWS = 1024  # of Parquet that are in memory at a time
_FEATURE = "A table of findings in Parquet or Arrow"


class Format(abc.ABC):
    """How findings are written to a file and read back."""

    @abc.abstractmethod
    def write(self, path: Path, findings: Iterable[Finding]) -> None:
        """Writes a file; only some findings are in memory at a time."""

    @abc.abstractmethod
    def read(self, path: Path) -> Iterator[Finding]:
        """The findings of a file, in order.

        Raises:
            ValueError: It is no such file, or one of something else.
        """


class JsonLines(Format):
    """One JSON object a line."""

    def write(self, path: Path, findings: Iterable[Finding]) -> None:
        """See `Format.write`."""
        with path.open("w", encoding="utf-8") as file:
            for finding in findings:
                file.write(json.dumps(finding.as_dict()) + "\n")

    def read(self, path: Path) -> Iterator[Finding]:
        """See `Format.read`."""
        with path.open(encoding="utf-8") as file:
            for line in file:
                yield as_finding(json.loads(line), path)


class Csv(Format):
    """Text with commas and a header; what is None is empty."""

    def write(self, path: Path, findings: Iterable[Finding]) -> None:
        """See `Format.write`."""
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(finding.as_dict() for finding in findings)

    def read(self, path: Path) -> Iterator[Finding]:
        """See `Format.read`."""
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                values = {k: _of_text(k, v) for k, v in row.items() if k in COLUMNS}
                yield as_finding(values, path)


class Parquet(Format):
    """Parquet, with the extra `scan`.

    Raises:
        MissingExtraError: The extra is not installed.
    """

    def __init__(self) -> None:
        self._parquet = import_extra("pyarrow.parquet", feature=_FEATURE, extra="scan")

    def write(self, path: Path, findings: Iterable[Finding]) -> None:
        """See `Format.write`."""
        schema = arrow_schema()
        with self._parquet.ParquetWriter(path, schema) as writer:
            for rows in chunks(findings, _ROWS):
                writer.write_table(as_table(rows))

    def read(self, path: Path) -> Iterator[Finding]:
        """See `Format.read`."""
        with self._parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS):
                yield from (as_finding(row, path) for row in batch.to_pylist())


_KINDS: dict[str, type[Format]] = {".parquet": Parquet, ".jsonl": JsonLines, ".csv": Csv}


def format_of(suffix: str) -> Format:
    """The format of files with this suffix.

    Raises:
        ValueError: There is none.
        MissingExtraError: It needs an extra that is not installed.
    """
    known = ", ".join(_KINDS)
    require(suffix in _KINDS, "output", suffix, f"a folder, or a file that ends in {known}")
    return _KINDS[suffix]()


def is_table(path: str | os.PathLike[str]) -> bool:
    """Whether the name of a file is that of a table."""
    return Path(path).suffix in _KINDS


def as_table(findings: Iterable[Finding]) -> Any:
    """A `pyarrow.Table` of findings, which are all in memory.

    Raises:
        MissingExtraError: The extra `scan` is not installed.
    """
    arrow = import_extra("pyarrow", feature=_FEATURE, extra="scan")
    rows = [finding.as_dict() for finding in findings]
    return arrow.Table.from_pylist(rows, schema=arrow_schema())


def arrow_schema() -> Any:
    """The `pyarrow.Schema` of a table of findings."""
    arrow = import_extra("pyarrow", feature=_FEATURE, extra="scan")
    kinds = {int: arrow.int64(), float: arrow.float64(), str: arrow.string(), bool: arrow.bool_()}
    return arrow.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])


def as_finding(values: dict[str, Any], path: str | os.PathLike[str]) -> Finding:
    """The finding with these fields, as a row of the file at `path` has them."""
    remedy = "Name another output, or move that file away."
    fits = isinstance(values, dict) and values.keys() == COLUMNS.keys()
    require(fits, "output", os.fspath(path), "new, or the results of an earlier scan", remedy)
    return Finding(**values)


def chunks(findings: Iterable[Finding], size: int) -> Iterator[list[Finding]]:
    """The findings in lists of `size`, the last one shorter."""
    chunk: list[Finding] = []
    for finding in findings:
        chunk.append(finding)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _of_text(column: str, text: str) -> Any:
    if text == "":
        return "" if column == "etag" else None
    kind = COLUMNS[column]
    return text == "True" if kind is bool else kind(text)
