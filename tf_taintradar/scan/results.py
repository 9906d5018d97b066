"""Keeps findings while a scan goes on, so that an interrupted one goes on where it stopped."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from tf_taintradar.scan.addresses import RemotePlace, is_address
from tf_taintradar.scan.examining import Identity
from tf_taintradar.scan.finding import Finding
from tf_taintradar.scan.formats import chunks, format_of, is_table
from tf_taintradar.scan.places import LocalPlace, Place
from tf_taintradar.support.checks import require
from tf_taintradar.support.files import replacing

PART_ROWS = 1024
"""About how many findings a part holds: what a killed process loses at most."""

_OPEN_PARTS = 4  # that are in memory at a time
_SAME = ("detector", "calibration", "threshold", "rule")
_REMEDY = "Name another output, or use the detector that it began with."
_FORMER = "old-"  # parts of a finished file: they sort before those that come after it


class Results:
    """The findings of a scan in parts, each written under a temporary name and renamed when whole.

    Args:
        place: Where the parts are.
        suffix: Of the parts, `.parquet`, `.jsonl` or `.csv`.
        identity: The detector of the scan.
        shard: `(i, n)`, if several scans divide a collection: each keeps parts of its own.

    Raises:
        ValueError: There are results of another detector in that place, or something else.
        MissingExtraError: Parquet needs the extra `scan`.
    """

    def __init__(
        self, place: Place, suffix: str, identity: Identity, shard: tuple[int, int] = (1, 1)
    ) -> None:
        self._format = format_of(suffix)
        self._place, self._suffix, self._identity = place, suffix, identity
        self._prefix = "part-" if shard == (1, 1) else f"part-{shard[0]}-of-{shard[1]}-"
        self._read = functools.lru_cache(_OPEN_PARTS)(self._load)
        self._rows: dict[str, tuple[str, int]] = {}  # part and row of each path's latest finding
        self._waiting: list[Finding] = []
        names = self._parts()
        for name in names:
            self._index(name, self._read(name))
        own = [int(name[: -len(suffix)][-6:]) for name in names if name.startswith(self._prefix)]
        self._next = max(own, default=-1) + 1

    def find(self, path: str) -> Finding | None:
        """The latest finding of a path that is kept."""
        if path not in self._rows:
            return None
        name, row = self._rows[path]
        return self._read(name)[row]

    def add(self, findings: list[Finding]) -> None:
        """Keeps the findings of a batch; they are on the disk when enough of them have come."""
        self._waiting += findings
        if len(self._waiting) >= PART_ROWS:
            self.flush()

    def flush(self) -> None:
        """Writes what has come so far."""
        if self._waiting:
            name = f"{self._prefix}{self._next:06}{self._suffix}"
            self._write(name, self._waiting)
            self._index(name, self._waiting)
            self._next, self._waiting = self._next + 1, []

    def finish(self, paths: Collection[str]) -> None:
        """Leaves one finding for each of these paths, and none of others."""
        self.flush()
        wanted = set(paths)
        for name in self._parts():
            rows = self._read(name)
            latest = [self._rows[f.path] == (name, i) for i, f in enumerate(rows)]
            pairs = zip(rows, latest, strict=True)
            kept = [finding for finding, is_latest in pairs if is_latest and finding.path in wanted]
            if not kept:
                self._place.remove(name)
            elif len(kept) < len(rows):
                self._write(name, kept)

    def in_order(self, paths: Collection[str]) -> Iterator[Finding]:
        """The latest finding of each of these paths, all of which there must be."""
        for path in paths:
            name, row = self._rows[path]
            yield self._read(name)[row]

    def _parts(self) -> list[str]:
        pattern = re.compile(f"({_FORMER}|{self._prefix})[0-9]{{6}}{re.escape(self._suffix)}")
        return sorted(filter(pattern.fullmatch, self._place.names()))

    def _load(self, name: str) -> list[Finding]:
        with self._place.reading(name) as path:
            return list(self._format.read(path))

    def _write(self, name: str, findings: list[Finding]) -> None:
        with self._place.writing(name) as path:
            self._format.write(path, findings)
        self._read.cache_clear()

    def _index(self, name: str, findings: list[Finding]) -> None:
        _require_same(findings, self._identity)
        self._rows |= {finding.path: (name, row) for row, finding in enumerate(findings)}


class FileResults(Results):
    """Results that become one file when the scan is through.

    Until then their parts are in a hidden folder beside it, `.NAME.parts`. A finished file is taken
    apart first, so that what it holds is not computed again; it stays until the new one is whole.

    Args:
        output: The file; its name ends in `.parquet`, `.jsonl` or `.csv`.
        identity: The detector of the scan.

    Raises:
        ValueError, MissingExtraError: See `Results`.
    """

    def __init__(self, output: Path, identity: Identity) -> None:
        self._output = output
        format_of(output.suffix)  # before anything is made
        self._parts_folder = LocalPlace(output.with_name(f".{output.name}.parts"))
        if output.exists():
            self._take_apart(output, identity)
        super().__init__(self._parts_folder, output.suffix, identity)

    def finish(self, paths: Collection[str]) -> None:
        """Writes the file: one finding for each of these paths, in their order."""
        self.flush()
        with replacing(self._output) as partial:
            self._format.write(partial, self.in_order(paths))
        self._parts_folder.remove_all()

    def _take_apart(self, output: Path, identity: Identity) -> None:
        kind = format_of(output.suffix)
        for number, findings in enumerate(chunks(kind.read(output), PART_ROWS)):
            _require_same(findings, identity)
            with self._parts_folder.writing(f"{_FORMER}{number:06}{output.suffix}") as path:
                kind.write(path, findings)


def _require_same(findings: Iterable[Finding], identity: Identity) -> None:
    """Raises ValueError unless all findings are of the detector."""
    ours = {name: getattr(identity, name) for name in _SAME}
    for finding in findings:
        theirs = {name: getattr(finding, name) for name in _SAME}
        require(theirs == ours, "output", theirs, f"of this detector, {ours}", _REMEDY)


def open_results(
    output: str | os.PathLike[str], identity: Identity, shard: tuple[int, int] = (1, 1)
) -> Results:
    """The results that are kept at `output`, or will be.

    Args:
        output: A folder, here or as an address, or a file whose name ends in `.parquet`, `.jsonl`
            or `.csv`.
        identity: The detector of the scan.
        shard: `(i, n)`, the part of the collection that this scan looks at; only for a folder.

    Raises:
        ValueError: There are results of another detector, or something else, in that place.
        MissingExtraError: Parquet needs the extra `scan`.
    """
    if is_address(os.fspath(output)):
        place, _, suffix = os.fspath(output).rpartition("/")[2].rpartition(".")
        remedy = "A store takes a folder of Parquet files."
        require(not place, "output", os.fspath(output), f"a folder, not a .{suffix} file", remedy)
        format_of(".parquet")
        return Results(RemotePlace(os.fspath(output)), ".parquet", identity, shard)
    path = Path(output)
    if path.is_dir() or not path.suffix:
        format_of(".parquet")  # before the folder is made
        return Results(LocalPlace(path), ".parquet", identity, shard)
    is_known = is_table(path)
    expected = "a folder, or a file that ends in .parquet, .jsonl or .csv"
    require(is_known, "output", os.fspath(output), expected)
    remedy = "Shards of a collection are written to one folder by several scans."
    require(shard == (1, 1), "output", os.fspath(output), "a folder with `shard`", remedy)
    return FileResults(path, identity)
