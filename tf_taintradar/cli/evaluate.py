"""The commands `taintradar evaluate` and `taintradar selftest`."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tf_taintradar.cli import options, tables
from tf_taintradar.cli.attack import find_label
from tf_taintradar.cli.opening import with_detector
from tf_taintradar.cli.program import app
from tf_taintradar.cli.quiet import progress_on_stderr
from tf_taintradar.evaluation import ATTACKS, DEFENCES

if TYPE_CHECKING:
    from tf_taintradar.model import TaintRadarModel

Labels = Annotated[
    Path | None,
    typer.Option(
        help="The true labels: a CSV file with the columns file and label. By default the "
        "classifier's answers are taken as right."
    ),
]
Faces = Annotated[
    bool | None,
    typer.Option(
        "--faces/--no-faces",
        help="Whether the images are aligned faces, some of whose people may simply wear glasses; "
        "by default if the variant is bands.",
    ),
]
Target = Annotated[
    str | None, typer.Option(help="Label that attacks aim at; by default drawn at random.")
]


@app.command()
@with_detector("preprocessor", "feature_layer", "class_names")
def evaluate(
    radar: "TaintRadarModel",
    model: options.Model,
    images: options.Files,
    output: Annotated[
        Path, typer.Option(help="Folder for the report and its intermediate results.")
    ],
    labels: Labels = None,
    attack: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(ATTACKS)}; may be repeated. By default all."),
    ] = None,
    defence: Annotated[
        list[str] | None,
        typer.Option(
            help=f"{', '.join(DEFENCES)}; may be repeated. By default four that need no OpenCV."
        ),
    ] = None,
    target: Target = None,
    target_fpr: Annotated[
        list[float] | None,
        typer.Option(
            help="False positive rate to calibrate to; may be repeated. By default 0.06, 0.03 and "
            "0.01."
        ),
    ] = None,
    n_attacked: Annotated[int, typer.Option(min=1, help="Number of images attacked.")] = 40,
    faces: Faces = None,
    seed: int = 0,
    batch_size: options.BatchSize = 16,
) -> None:
    """Attacks a classifier in several ways and tells which defence holds, in one table.

    Writes `report.md`, `report.json` and `report.html`. Interrupted, it goes on where it stopped
    when it is called again in the same way.

    Example: `taintradar evaluate radar.keras photos/ --labels labels.csv --output report/`
    """
    from tf_taintradar.evaluation import evaluate as run
    from tf_taintradar.evaluation.report import tables as tables_of
    from tf_taintradar.plot import require_matplotlib

    require_matplotlib()  # before the work
    given: dict[str, Any] = {"attacks": attack, "defences": defence, "target_fprs": target_fpr}
    if target is not None:
        given["target_class"] = find_label(target, radar.class_names)
    files, truth = _listed(radar, images, labels)
    with progress_on_stderr() as verbose:
        found = run(
            radar,
            files,
            truth,
            n_attacked=n_attacked,
            folder=output,
            faces=faces,
            batch_size=batch_size,
            seed=seed,
            verbose=verbose,
            **{name: value for name, value in given.items() if value},
        )
    paths = found.write(output)
    tables.print_tables(tables_of(found))
    typer.echo(f"reports: {', '.join(map(str, paths))}")


@app.command()
@with_detector("preprocessor", "feature_layer", "class_names", "variant")
def selftest(
    radar: "TaintRadarModel",
    model: options.Model,
    images: options.Files,
    labels: Labels = None,
    target_fpr: options.TargetFpr = 0.06,
    n_attacked: Annotated[
        int, typer.Option(min=1, help="Number of images attacked in each way.")
    ] = 24,
    faces: Faces = None,
    seed: int = 0,
    batch_size: options.BatchSize = 16,
    as_json: options.Json = False,
) -> None:
    """Attacks the detector's own classifier on your images, and tells how well the detector holds.

    A few minutes. A detector without a threshold gets one for the test, from half of the images.
    The exit status is 1 if there is something to mend, and the last lines say what.

    Example: `taintradar selftest radar.keras photos/`
    """
    from tf_taintradar.evaluation import selftest as run

    files, truth = _listed(radar, images, labels)
    with progress_on_stderr() as verbose:
        found = run(
            radar,
            files,
            truth,
            target_fpr=target_fpr,
            n_attacked=n_attacked,
            faces=faces,
            batch_size=batch_size,
            seed=seed,
            verbose=verbose,
        )
    if as_json:
        typer.echo(json.dumps({"model": model, **dataclasses.asdict(found)}, indent=2))
    else:
        tables.print_selftest(found)
    raise typer.Exit(0 if found.holds else 1)


def _listed(
    radar: "TaintRadarModel", images: list[Path], labels: Path | None
) -> tuple[list[Path], Any]:
    from tf_taintradar.cli.rows import list_files
    from tf_taintradar.evaluation.labels import read_labels

    files = list_files(images)
    return files, None if labels is None else read_labels(labels, files, radar.class_names)
