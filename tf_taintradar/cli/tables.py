"""What the commands print for people to read."""

import dataclasses
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import track
from rich.table import Column, Table
from rich.text import Text

from tf_taintradar.calibration.record import wilson_interval
from tf_taintradar.cli.quiet import progress_on_stderr

if TYPE_CHECKING:
    from tf_taintradar.calibration.record import Calibration
    from tf_taintradar.cli.rows import Row
    from tf_taintradar.demo.show import Outcome
    from tf_taintradar.evaluation import SelfTest
    from tf_taintradar.faces.report import FaceDetector

_WIDE = 10_000  # columns of what is no terminal: nothing is cut off or wrapped


@dataclasses.dataclass
class Counts:
    """How many attacks succeeded, and how many of those were noticed.

    Attributes:
        n_images: how many there are.
        succeeded: on how many the classifier answers what the attacker wants.
        flagged: how many of those the detector flags; None if it has no threshold.
        recovered: on how many of the flagged ones it finds the label of the clean image;
            None if it has no threshold.
    """

    n_images: int
    succeeded: int
    flagged: int | None
    recovered: int | None


def print_rows(rows: "Sequence[Row]") -> None:
    """Prints the rows of `rows.scan`, and how many of them are what."""
    table = Table(
        Column("file", overflow="fold"),
        "label",
        Column("probability", justify="right"),
        "verdict",
        Column("score", justify="right"),
        Column("rank shift", justify="right"),
        "recovered label",
    )
    for row in rows:
        table.add_row(*_cells(row))
    _print(table)
    flagged = sum(row.get("is_adversarial", False) for row in rows)
    unreadable = sum("error" in row for row in rows)
    _print(f"adversarial: {flagged} of {len(rows)}, unreadable: {unreadable}")


def progress(rows: "Iterator[Row]", total: int, batch_size: int) -> "Iterator[Row]":
    """The rows, with a progress bar on standard error if they take long.

    Where no bar can be redrawn, a line comes now and then.
    """
    console = Console(stderr=True)
    if console.is_terminal and not console.is_dumb_terminal:
        short = total <= batch_size
        yield from track(rows, "detecting", total=total, console=console, disable=short)
        return
    from tf_taintradar.support.progress import Progress

    with progress_on_stderr() as verbose:
        bar = Progress(total, verbose, unit="files")
    for i, row in enumerate(rows, start=1):
        with progress_on_stderr():
            bar.update(i)
        yield row


def print_calibration(calibration: "Calibration") -> None:
    """Prints the settings that were chosen and what to expect of them."""
    _print(str(calibration))


def print_former(former: "Sequence[Mapping[str, Any]]", flagged: int, n_images: int) -> None:
    """Prints the calibrations that a detector had, and how often the last of them flags now.

    Args:
        former: entries of `calibration.provenance`, the last that of the threshold until now.
        flagged: how many of the new images that one flags.
        n_images: number of new images.
    """
    for entry in former:
        _print(
            f"former threshold {entry['threshold']:.4g}, {entry['n_images']} images, target "
            f"{entry['target_fpr']:.1%}, saved {entry['saved'] or 'at an unknown time'}"
        )
    low, high = wilson_interval(flagged, n_images)
    _print(
        f"the last of them flags {_share(flagged, n_images)} of these images (95 % interval "
        f"{low:.1%} to {high:.1%})"
    )


def print_outcomes(outcomes: "Sequence[Outcome]") -> None:
    """Prints what the demo found, a line for each kind of images."""
    numbers = ("n", "label right", "fooled", "flagged", "right label recovered")
    table = Table("images", *(Column(name, justify="right") for name in numbers))
    for found in outcomes:
        attacked = found.kind != "benign"
        table.add_row(
            found.kind,
            str(found.n_images),
            _share(found.right, found.n_images),
            _share(found.judged, found.n_images) if attacked else "",
            _share(found.flagged, found.judged),
            _share(found.recovered, found.flagged) if attacked else "",
        )
    _print(table)


def print_attack(counts: Counts) -> None:
    """Prints how many attacks succeeded, and how many of those were noticed."""
    numbers = ["images", "attack succeeded", "flagged of those", "label recovered of those"]
    table = Table(*(Column(name, justify="right") for name in numbers))
    flagged = counts.flagged
    table.add_row(
        str(counts.n_images),
        _share(counts.succeeded, counts.n_images),
        "no threshold" if flagged is None else _share(flagged, counts.succeeded),
        "" if flagged is None else _share(counts.recovered or 0, flagged),
    )
    _print(table)


def print_tables(tables: "Mapping[str, tuple[list[str], list[list[str]]]]") -> None:
    """Prints tables by title, each a header and rows."""
    for title, (header, rows) in tables.items():
        table = Table(*header, title=title, title_justify="left")
        for row in rows:
            table.add_row(*row)
        _print(table)


def print_selftest(found: "SelfTest") -> None:
    """Prints what a self test found, and what to do about it."""
    table = Table("images", "attack succeeds, %", "flagged, %")
    table.add_row("benign", "", str(found.benign))
    for attack, succeeded in found.succeeded.items():
        table.add_row(attack, str(succeeded), str(found.flagged[attack]))
    if found.plain is not None:
        table.add_row("benign with plain frames", "", str(found.plain))
    for variant, flagged in found.others.items():
        for attack, rate in flagged.items():
            table.add_row(f"{attack}, variant {variant}", str(found.succeeded[attack]), str(rate))
    _print(table)
    whose = "the detector's own" if found.is_calibrated else "found on half of these images"
    target = "" if found.target_fpr is None else f", for {found.target_fpr:.1%} false positives"
    _print(f"threshold {found.threshold:.4g}, {whose}{target}; 95 % intervals; * few images")
    for advice in found.advice or ["It holds: nothing to mend."]:
        _print(advice)


def print_faces(made: "FaceDetector") -> None:
    """Prints what a detector of one's own subjects does."""
    learnt = made.transfer
    low, high = learnt.interval
    left_out = len(learnt.subjects.unreadable), len(learnt.subjects.duplicates)
    counts = learnt.subjects.counts().values()
    _print(
        f"{len(counts)} subjects with {min(counts)} to {max(counts)} photographs, "
        f"{len(learnt.train.files)} to train on; left out: {left_out[0]} unreadable, "
        f"{left_out[1]} copies"
    )
    _print(
        f"right on {learnt.accuracy:.1%} ({low:.1%} to {high:.1%}) of {len(learnt.predicted)} "
        "held out"
    )
    table = Table("who", "taken for", Column("how often", justify="right"))
    for who, seen, n in learnt.confusions():
        table.add_row(who, seen, str(n))
    _print(table)
    _print(str(made.radar.calibration))
    _print(f"flagged of {made.benign.n} other photographs: {made.benign}")
    _print(f"flagged of the same with plain frames: {made.plain}")
    table = Table("glasses", "succeed", "of those flagged", "AUROC", "right name recovered")
    for kind, found in made.glasses.items():
        area = "-" if found.auroc is None else f"{found.auroc:.2f}"
        table.add_row(kind, str(found.succeeded), str(found.flagged), area, str(found.recovered))
    _print(table)
    if (met := made.strangers) is not None:
        _print(
            f"of {met.taken.n} photographs of strangers taken for a subject, with at least "
            f"{met.confidence:.0%}, which 95% of the subjects reach: {met.taken}; flagged: "
            f"{met.flagged}; taken for a subject and not flagged: {met.passed}"
        )
    print_tables({"Beside the paper": made.beside_paper()})


def _cells(row: "Row") -> list[Text]:
    file = Text(os.fsencode(row["file"]).decode(errors="replace"))
    if "error" in row:
        return [file, Text(), Text(), Text("unreadable", "yellow")]
    verdict = Text("ADVERSARIAL", "bold red") if row["is_adversarial"] else Text("benign", "green")
    return [
        file,
        Text(row["name"] or str(row["label"])),
        Text("" if row["probability"] is None else f"{row['probability']:.2f}"),
        verdict,
        Text("not finite" if row["score"] is None else f"{row['score']:.3g}"),
        Text(str(row["rank_shift"])),
        Text(row["recovered_name"] or str(row["recovered_label"])),
    ]


def _share(count: int, n: int) -> str:
    return f"{count}/{n} {count / n:.0%}" if n else "-"


def _print(content: Table | str) -> None:
    width = None if sys.stdout.isatty() else _WIDE
    Console(width=width, highlight=False, markup=False).print(content)
