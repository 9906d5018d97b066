"""The command that goes through a collection of images."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tf_taintradar.cli import options
from tf_taintradar.cli.opening import make_folders, open_detector, require_threshold
from tf_taintradar.cli.program import app
from tf_taintradar.cli.quiet import progress_on_stderr
from tf_taintradar.support.checks import require

if TYPE_CHECKING:
    from tf_taintradar.scan import Finding

TOO_MANY = 3
"""The exit status if more are flagged than `--fail-above` allows."""

Model = Annotated[
    str,
    typer.Argument(help="The `.keras` file of a detector, or the folder of an exported one."),
]
Sources = Annotated[
    list[str],
    typer.Argument(
        help="Folders, which are searched, image files, patterns, addresses such as "
        "s3://bucket/photos, .tar, .parquet or .arrow files with images in them, and .txt files "
        "with the path of an image in each line.",
    ),
]
Column = Annotated[
    str | None,
    typer.Option(
        "--image-column",
        help="The column of .parquet and .arrow files that has the images; folders are searched "
        "for such files then, for instance a data set that Hugging Face's save_to_disk wrote.",
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        help="Where to keep the rows: a .parquet, .jsonl or .csv file, or a folder of Parquet "
        "files. An interrupted scan goes on from there; files that changed are done again.",
    ),
]
FailAbove = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Exit with status 3 if a larger share of the readable images is flagged.",
    ),
]
Page = Annotated[
    Path | None,
    typer.Option(
        "--gallery",
        dir_okay=False,
        help="Write a page of the images with the highest scores: one .html file.",
    ),
]
Shard = Annotated[
    str | None,
    typer.Option(metavar="i/n", help="Only the i-th of n parts of the collection, such as 2/8."),
]


Engine = Annotated[
    str, typer.Option(help="here, or ray: the actors of a Ray cluster, which reads the files.")
]


@app.command()
def scan(
    model: Model,
    sources: Sources,
    output: Output = None,
    gallery: Page = None,
    image_column: Column = None,
    fail_above: FailAbove = None,
    shard: Shard = None,
    engine: Engine = "here",
    batch_size: options.BatchSize = 32,
    custom: options.Custom = None,
) -> None:
    """Goes through a large collection of images, one row for each file.

    Exit status: 0 if every file was looked at, 1 if some could not be read, 2 after an error, 3 if
    more were flagged than `--fail-above` allows (be there unreadable files or not), 130 after an
    interrupt.

    Example: `taintradar scan radar.keras photos/ --output results.parquet --gallery report.html`
    """
    part = _as_shard(shard)
    make_folders(gallery)
    from tf_taintradar import scan as scanning

    shown = None if gallery is None else scanning.Gallery(gallery)
    detector = _open(model, custom)
    settings: dict[str, Any] = {"batch_size": batch_size, "shard": part, "engine": engine}
    scanned = scanning.scan(detector, sources, output, image_column=image_column, **settings)
    findings = _shown(scanned, len(scanned), batch_size)
    summary = scanned.summary(findings if shown is None else shown.watch(findings))
    typer.echo(str(summary))
    if shown is not None:
        shown.write({item.name: item for item in scanned.items}, summary)
        typer.echo(f"gallery: {gallery}")
    if output is not None:
        typer.echo(f"rows: {output}")
    if fail_above is not None and (summary.share or 0) > fail_above:
        raise typer.Exit(TOO_MANY)
    raise typer.Exit(1 if summary.unreadable else 0)


def _open(model: str, custom: list[str] | None) -> Any:
    """The detector of a `.keras` file, or of a SavedModel's folder."""
    from tf_taintradar.serving import load

    if Path(model).is_dir():
        return load(model)
    radar = open_detector(model, custom=custom)
    require_threshold(radar, model)
    return radar


def _as_shard(text: str | None) -> tuple[int, int]:
    """(2, 8) of "2/8"; (1, 1) of None."""
    parts = ["1", "1"] if text is None else text.split("/")
    is_pair = len(parts) == 2 and all(part.isdecimal() for part in parts)
    require(is_pair, "--shard", text, "i/n, such as 2/8")
    return int(parts[0]), int(parts[1])


def _shown(findings: "Iterable[Finding]", total: int, batch_size: int) -> "Iterator[Finding]":
    """The findings, with progress on standard error: how many a second, and the time left.

    Where no bar can be redrawn, a line comes now and then.
    """
    console = Console(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        yield from _with_lines(findings, total)
        return
    rate = TextColumn("{task.fields[rate]} files/s")
    columns = (TextColumn("scanning"), BarColumn(), MofNCompleteColumn(), rate)
    hidden = total <= batch_size
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=hidden) as bar:
        task, began = bar.add_task("", total=total, rate=""), time.monotonic()
        for i, finding in enumerate(findings, start=1):
            bar.update(task, advance=1, rate=f"{i / (time.monotonic() - began):.3g}")
            yield finding


def _with_lines(findings: "Iterable[Finding]", total: int) -> "Iterator[Finding]":
    from tf_taintradar.support.progress import Progress as Lines

    began = time.monotonic()
    with progress_on_stderr() as verbose:
        bar = Lines(total, verbose, unit="files")
    for i, finding in enumerate(findings, start=1):
        rate = i / max(time.monotonic() - began, 1e-9)
        with progress_on_stderr():
            bar.update(i, [("per second", rate), ("seconds left", (total - i) / rate)])
        yield finding
