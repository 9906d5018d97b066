"""The scan itself: from a collection to one finding for each image."""

from __future__ import annotations

import collections
import functools
import importlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from tf_taintradar.images.sources import ImageFiles
from tf_taintradar.scan.cluster import examine_on_ray
from tf_taintradar.scan.examining import Detector, Examiner
from tf_taintradar.scan.finding import Finding
from tf_taintradar.scan.formats import as_table
from tf_taintradar.scan.items import Item
from tf_taintradar.scan.results import Results, open_results
from tf_taintradar.scan.sources import find_items
from tf_taintradar.scan.summary import Summary
from tf_taintradar.support.checks import check_integer, require
from tf_taintradar.support.extras import MissingExtraError, import_extra


def scan(
    detector: Detector,
    source: ImageFiles,
    output: str | os.PathLike[str] | None = None,
    *,
    batch_size: int = 32,
    image_column: str | None = None,
    shard: tuple[int, int] = (1, 1),
    engine: str = "here",
) -> Scan:
    """Goes through a collection of images and yields one finding for each file, readable or not.

    Images are read and decoded while the network processes the previous ones; besides the paths,
    only a few batches are in memory at a time. The verdicts are those of `predict` for the same
    files. A file that cannot be read is a finding with the status "unreadable".

    With `output`, findings are kept as they come. After an interruption, the same call computes
    only what is missing or belongs to a file that has changed since, and tries unreadable files
    again. A scan that is not iterated to its end keeps the batches that were finished.

    Examples:
        >>> for finding in scan(radar, "photos/", "results.parquet"):
        ...     print(finding.path, finding.is_adversarial)

    Args:
        detector: A `TaintRadarModel` with a threshold, or what `serving.load` gives.
        source: A folder, which is searched as `predict` searches it, a file, a pattern such as
            `photos/**/*.jpg`, an address of fsspec such as `s3://bucket/photos`, a `.tar` file with
            images in it, a `.parquet` or `.arrow` file with a column of them, a `.txt` file with
            the path or address of an image in each line; or a list of these.
        output: Where to keep the findings: a file that ends in `.parquet`, `.jsonl` or `.csv`, or a
            folder of Parquet files, given as a path or an address. None: nowhere.
        batch_size: The number of images computed at once, >= 1. No verdict depends on it.
        image_column: The column of tables that holds the images, as bytes or in the form of Hugging
            Face data sets. If it is given, a folder is searched for tables instead of images.
        shard: `(i, n)` scans only the i-th of n parts of the collection, i from 1 to n. Use it to
            divide the work yourself; all parts share one output folder.
        engine: "here", or "ray" for the actors of a Ray cluster, see `cluster.examine_on_ray`; it
            needs the extra `ray`.

    Returns:
        The scan, which begins when it is iterated. Findings come batch by batch, in the order of
        the collection.

    Raises:
        NotCalibratedError: The detector has no threshold.
        ImageError: There are no images.
        ValueError: An argument is out of range, or `output` holds the results of another detector.
        MissingExtraError: Parquet, Arrow and addresses need the extra `scan`.
    """
    check_integer("batch_size", batch_size, 1)
    is_pair = len(shard) == 2 and 1 <= shard[0] <= shard[1]
    require(is_pair, "shard", shard, "a pair (i, n) with i from 1 to n")
    require(engine in ("here", "ray"), "engine", engine, '"here" or "ray"')
    examiner = Examiner(detector)
    items = find_items(source, image_column)[shard[0] - 1 :: shard[1]]
    keep = functools.partial(open_results, output, examiner.identity, shard) if output else None
    examine = examiner.examine_all
    if engine == "ray":
        import_extra("ray", feature="A scan on Ray", extra="ray")  # before the work
        examine = functools.partial(examine_on_ray, detector)
    return Scan(items, examine, examiner.calibration, keep, batch_size)


class Scan:
    """A scan of a collection, made by `scan`: iterate it for the findings.

    Attributes:
        items: The images of the collection, see `items.Item`.
        calibration: The detector's calibration as a dict, see `Calibration.to_json`; None if it has
            none.
    """

    def __init__(
        self,
        items: Sequence[Item],
        examine: Callable[[Iterable[list[Item]]], Iterator[list[Finding]]],
        calibration: dict[str, Any] | None,
        keep: Callable[[], Results] | None,
        batch_size: int,
    ) -> None:
        self.items = items
        self.calibration = calibration
        self._examine, self._keep, self._batch_size = examine, keep, batch_size
        self._results = keep and keep()  # what is wrong with it is said before the work

    def __len__(self) -> int:
        """The number of images, each of which has one finding."""
        return len(self.items)

    def __iter__(self) -> Iterator[Finding]:
        """The findings in the order of the collection; `output` is complete after the last one."""
        if self._keep is None:
            for findings in self._examine(self._batches()):
                yield from findings
            return
        results, self._results = self._results or self._keep(), None
        try:
            yield from self._kept(results)
        finally:
            results.flush()
        results.finish([item.name for item in self.items])

    def to_arrow(self) -> Any:
        """All findings as a `pyarrow.Table`; MissingExtraError without the extra `scan`."""
        as_table([])  # before the work
        return as_table(self)

    def to_pandas(self) -> Any:
        """All findings as a `pandas.DataFrame`; MissingExtraError without pandas."""
        try:
            pandas = importlib.import_module("pandas")
        except ModuleNotFoundError as error:
            raise MissingExtraError("A data frame needs pandas: pip install pandas") from error
        return pandas.DataFrame([finding.as_dict() for finding in self])

    def summary(self, findings: Iterable[Finding]) -> Summary:
        """Counts findings of this scan."""
        return Summary.of(findings, self.calibration)

    def _batches(self) -> Iterator[list[Item]]:
        """The collection, divided in the same way each time: so are the network's answers."""
        for start in range(0, len(self.items), self._batch_size):
            yield list(self.items[start : start + self._batch_size])

    def _kept(self, results: Results) -> Iterator[Finding]:
        """The findings, those that are kept already among them."""
        plans: collections.deque[dict[str, Finding | None]] = collections.deque()

        def missing() -> Iterator[list[Item]]:
            for batch in self._batches():
                known = {item.name: _known(item, results) for item in batch}
                plans.append(known)
                yield [item for item in batch if known[item.name] is None]

        for findings in self._examine(missing()):
            plan = plans.popleft()
            results.add(findings)
            fresh = {finding.path: finding for finding in findings}
            yield from (finding or fresh[name] for name, finding in plan.items())


def _known(item: Item, results: Results) -> Finding | None:
    """What is known of the file as it is now, if it could be read."""
    found = results.find(item.name)
    if found is None or found.sha256 is None:
        return None
    try:
        is_same = item.version() == (found.size, found.etag)
    except Exception:  # stores have errors of their own; reading it will say
        return None
    return found if is_same else None
