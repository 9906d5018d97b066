"""Commands that choose a threshold: `calibrate`, and `recalibrate` after weeks of use."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tf_taintradar.cli import options, tables
from tf_taintradar.cli.opening import make_folders, with_detector
from tf_taintradar.cli.program import app
from tf_taintradar.cli.quiet import progress_on_stderr
from tf_taintradar.support.files import replacing

if TYPE_CHECKING:
    from tf_taintradar.calibration.record import Calibration
    from tf_taintradar.model import TaintRadarModel

NewTarget = Annotated[
    float | None,
    typer.Option(
        "--target-fpr",
        help="The largest share of benign images that may be flagged; by default as before.",
    ),
]
InUse = Annotated[
    Path,
    typer.Argument(
        help="Images from use that people judged benign, in this folder or below: drawn at "
        "random from all, not from the flagged ones."
    ),
]


@app.command()
@with_detector("preprocessor", "feature_layer", "class_names", "variant")
def calibrate(
    radar: "TaintRadarModel",
    model: options.Model,
    folder: options.Folder,
    output: options.Detector,
    target_fpr: options.TargetFpr = 0.06,
    groups: options.Groups = False,
    k_max: options.KMax = None,
    batch_size: options.BatchSize = 32,
    plot: options.Plot = None,
    report: options.Report = None,
) -> None:
    """Chooses a detector's settings on benign images alone, and saves the detector.

    Example: `taintradar calibrate classifier.keras benign/ --preprocessor tf --output radar.keras`
    """
    if plot is not None:
        from tf_taintradar.plot import require_matplotlib

        require_matplotlib()  # before the work
    make_folders(output, plot, report)
    images, names = _images(folder, groups)
    former = _former(radar, model)
    settings = {"groups": names, "k_max": k_max, "batch_size": batch_size}
    calibration = _calibrate(radar, images, target_fpr, settings)
    radar.provenance = former
    radar.save(output)
    _tell(calibration, output, report)
    if plot is not None:
        calibration.plot(plot)
        typer.echo(f"plot: {plot}")


@app.command()
@with_detector()
def recalibrate(
    radar: "TaintRadarModel",
    model: options.Model,
    folder: InUse,
    output: options.Detector,
    target_fpr: NewTarget = None,
    groups: options.Groups = False,
    batch_size: options.BatchSize = 32,
    report: options.Report = None,
) -> None:
    """Chooses a new threshold for a detector in use, whose network stays as it is.

    Says how often the former threshold flags these images, and keeps the former calibrations in
    the file. Every image must be benign: attacks among them raise the threshold over attacks.
    `taintradar export` makes the next served version of it.

    Example: `taintradar recalibrate radar.keras benign/ --output new.keras`
    """
    from tf_taintradar.errors import NotCalibratedError

    if radar.calibration is None:
        raise NotCalibratedError(
            f"{model} has no calibration that could be renewed: run `taintradar calibrate`."
        )
    make_folders(output, report)
    images, names = _images(folder, groups)
    former, before = _former(radar, model), radar.calibration
    with progress_on_stderr() as verbose:
        flags = radar.predict(images, batch_size, verbose)["is_adversarial"]
    settings = {"groups": names, "batch_size": batch_size}
    target_fpr = before.target_fpr if target_fpr is None else target_fpr
    calibration = _calibrate(radar, images, target_fpr, settings)
    radar.provenance = former
    radar.save(output)
    tables.print_former(former, int(flags.sum()), len(flags))
    _tell(calibration, output, report)


def _images(folder: Path, groups: bool) -> tuple[Any, list[str] | None]:
    from tf_taintradar.cli import rows

    return rows.by_sub_folder(folder) if groups else (folder, None)


def _calibrate(
    radar: "TaintRadarModel", images: Any, target_fpr: float, settings: dict[str, Any]
) -> "Calibration":
    with progress_on_stderr() as verbose:
        return radar.calibrate(images, target_fpr, **settings, verbose=verbose)


def _former(radar: "TaintRadarModel", model: str) -> list[dict[str, Any]]:
    """The calibrations of a detector's file so far, its present one the last."""
    from tf_taintradar.calibration.provenance import entry_of, read_provenance

    own = [] if radar.calibration is None else [entry_of(radar.calibration, model)]
    return [*read_provenance(model), *own]


def _tell(calibration: "Calibration", output: Path, report: Path | None) -> None:
    """Prints the calibration; writes it to `report` if given."""
    tables.print_calibration(calibration)
    typer.echo(f"detector: {output}")
    if report is not None:
        with replacing(report) as partial:
            partial.write_text(calibration.to_json() + "\n", encoding="utf-8")
        typer.echo(f"report: {report}")
