"""What the benchmarks share: Markdown tables, the line that says what ran, files of results."""

import datetime
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tf_taintradar.evaluation import Evaluation
from tf_taintradar.evaluation.report import markdown_table as table
from tf_taintradar.support.files import replacing

__all__ = ["publish", "publish_evaluation", "write_result"]

RESULTS = Path(__file__).parent / "results"
"""One JSON file for each table that the documentation shows; `tables.py` writes the tables."""

_STARTED = time.monotonic()


def setting() -> str:
    """Versions and machine, for the line above a table."""
    found = versions()
    return (
        f"TensorFlow {found['tensorflow']}, Keras {found['keras']}, Python {found['python']}, "
        f"{found['machine']}"
    )


def versions() -> dict[str, str]:
    """What ran: versions of TensorFlow, Keras and Python, and the machine."""
    gpus = len(tf.config.list_physical_devices("GPU"))
    return {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "python": platform.python_version(),
        "machine": f"{os.cpu_count()} cores, {gpus or 'no'} GPU",
    }


def publish(
    name: str,
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    output: Path | None = None,
    *,
    about: str = "",
    **described: Any,
) -> None:
    """Prints a table below the line that says what ran, and writes it; see `write_result`."""
    rows = [list(map(str, row)) for row in rows]
    print(f"\n{'. '.join(filter(None, [about, setting()]))}\n\n{table(header, rows)}", flush=True)
    write_result(name, header, rows, output, **described)


def write_result(
    name: str,
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    output: Path | None = None,
    *,
    seed: int | None = None,
    figures: Any = None,
) -> None:
    """Writes a table as JSON, in the one form that all results have.

    A command without options gives the standard result, which goes to `results/NAME.json`; with
    options, only to `output`.

    Args:
        name: the file's name without suffix: that of the script, "-" and a word if it has several.
        header: names of the columns, all different.
        rows: the cells of each row as they are to be read, with intervals.
        output: a JSON file; None: none.
        seed: of all that was drawn.
        figures: the unrounded numbers behind the rows, as far as JSON holds them.

    Raises:
        ValueError: two columns have the same name.
    """
    if len(set(header)) < len(header):
        raise ValueError(f"`header` must name each column differently. Received: {header}.")
    script = Path(sys.argv[0])
    if not sys.argv[1:] and script.stem == name.partition("-")[0]:
        output = RESULTS / f"{name}.json"
    if output is None:
        return
    content = {
        "benchmark": script.stem,
        "command": shlex.join(["python", f"benchmarks/{script.name}", *sys.argv[1:]]),
        "date": datetime.date.today().isoformat(),
        "versions": versions(),
        "seed": seed,
        "minutes": round((time.monotonic() - _STARTED) / 60, 1),
        "rows": [dict(zip(header, map(str, row), strict=True)) for row in rows],
    }
    extra = {} if figures is None else {"figures": figures}
    write_json(output, {**content, **extra})


def publish_evaluation(name: str, found: Evaluation, folder: Path) -> None:
    """Prints what an evaluation detects at each false positive rate; writes `folder/NAME.json`.

    Args:
        name: see `write_result`.
        found: its rates have intervals; those of benign images and the costs are rows of their own.
        folder: where its reports are.
    """
    header = ["images", "succeeds", "at", *found.defences]
    own = {name: [row for row in found.benign if row.defence == name] for name in found.defences}
    rows = [["cost, forward passes", "-", "-", *(f"{one[0].cost:.1f}" for one in own.values())]]
    for i, target in enumerate(found.target_fprs):
        flagged = [str(one[i].flagged) for one in own.values()]
        rows.append(["benign", "-", f"{target:.0%}", *flagged])
    for attack in found.attacks:
        for target in found.target_fprs:
            row = [found.row(attack, defence, target) for defence in found.defences]
            rates = [str(one.flagged) for one in row]
            rows.append([attack, str(row[0].succeeded), f"{target:.0%}", *rates])
    seed = found.setting["run"]["seed"]
    publish(name, header, rows, folder / f"{name}.json", about=name, seed=seed)


def write_json(path: Path, content: Any) -> None:
    """Writes the file, whole or not at all; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n")
