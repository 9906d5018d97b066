"""The commands that need little more than a detector."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tf_taintradar.cli import options, tables
from tf_taintradar.cli.opening import make_folders, require_threshold, with_detector
from tf_taintradar.cli.program import app
from tf_taintradar.cli.quiet import progress_on_stderr

if TYPE_CHECKING:
    from tf_taintradar.model import TaintRadarModel


@app.command()
@with_detector(*options.DETECTOR)
def detect(
    radar: "TaintRadarModel",
    model: options.Model,
    files: options.Files,
    as_json: options.Json = False,
    batch_size: options.BatchSize = 32,
) -> None:
    """Tells which images attack the classifier.

    Files and folders that cannot be read are reported, the others are answered, and the exit
    status is 1. Files in folders that are no images by their suffix are skipped and counted.

    Example: `taintradar detect radar.keras photos/ --json > answers.json`
    """
    require_threshold(radar, model)
    from tf_taintradar.cli import rows

    found = rows.search(files)
    scanned = rows.scan(radar, found.files, batch_size)
    answers = list(tables.progress(scanned, len(found.files), batch_size)) + found.errors
    if as_json:
        document = {
            "model": model,
            "variant": radar.variant,
            "top_k": radar.top_k,
            "threshold": radar.threshold,
            "images": answers,
            "skipped": list(map(str, found.skipped)),
        }
        typer.echo(json.dumps(document, indent=2))
    else:
        tables.print_rows(answers)
    errors = [row["error"] for row in answers if "error" in row]
    for error in errors:
        typer.echo(f"Error: {error}", err=True)
    raise typer.Exit(1 if errors else 0)


@app.command()
@with_detector(*options.DETECTOR)
def explain(
    radar: "TaintRadarModel",
    model: options.Model,
    image: options.Image,
    output: options.Picture,
) -> None:
    """Draws why one image is flagged, or is not.

    The picture shows every step. A name that ends in .html gives a page for a person who has to
    decide: one sentence, the image with and without the outlined region, and the score beside
    those of benign images.

    Example: `taintradar explain radar.keras photo.jpg --output why.png`
    """
    from tf_taintradar.detection.explanation import NOT_FINITE

    make_folders(output)
    explanation = radar.explain(image)
    if output.suffix == ".html":
        explanation.verdict.to_html(output)
    else:
        explanation.plot(output)
    verdict = {None: "no threshold set", True: "ADVERSARIAL", False: "benign"}
    found = f"score {explanation.score:.3g}" if explanation.is_finite else NOT_FINITE
    why = f"\n{explanation.reason}" if explanation.reason and explanation.is_finite else ""
    typer.echo(
        f"{explanation.name_of(explanation.label)}: {verdict[explanation.is_adversarial]}, "
        f"{found}, rank shift {explanation.rank_shift}{why}\npicture: {output}"
    )


@app.command()
@with_detector("preprocessor", "feature_layer")
def diagnose(
    radar: "TaintRadarModel",
    model: options.Model,
    folder: options.Folder,
    batch_size: options.BatchSize = 32,
) -> None:
    """Reports what a detector can see at all: its feature layer, and the regions found there.

    Example: `taintradar diagnose VGG16 benign/`
    """
    with progress_on_stderr() as verbose:
        diagnosis = radar.diagnose(folder, batch_size=batch_size, verbose=verbose)
    typer.echo(str(diagnosis))


@app.command()
@with_detector(*options.DETECTOR)
def export(
    radar: "TaintRadarModel",
    model: options.Model,
    folder: Annotated[
        Path, typer.Argument(help="Folder that holds all versions of this detector.")
    ],
    version: Annotated[
        int | None, typer.Option(min=1, help="Version to write; by default the next one.")
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            help="Precision that the classifier computes in: float32, float16 or bfloat16."
        ),
    ] = "float32",
) -> None:
    """Writes a detector as one SavedModel, for TensorFlow Serving.

    Example: `taintradar export radar.keras savedmodels/radar`
    """
    require_threshold(radar, model)
    from tf_taintradar.export.versions import export_savedmodel

    path = export_savedmodel(radar, folder, version=version, precision=precision)
    typer.echo(f"SavedModel: {path}")


@app.command(name="serve-config")
def serve_config(
    folder: Annotated[
        Path, typer.Argument(help="The folder that holds exported detectors: NAME/VERSION/.")
    ],
) -> None:
    """Writes what TensorFlow Serving needs around exported detectors, compose files among it.

    Example: `taintradar serve-config savedmodels/`
    """
    from tf_taintradar.serving import write_serving_config

    for path in write_serving_config(folder):
        typer.echo(str(path))


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder for the pictures.", file_okay=False)] = Path(
        "taintradar-demo"
    ),
) -> None:
    """Attacks a small classifier with patches and shows what its detector makes of it; offline.

    Example: `taintradar demo --output taintradar-demo/`
    """
    from tf_taintradar.demo.show import detector_file, show
    from tf_taintradar.opening import load_detector
    from tf_taintradar.plot import require_matplotlib

    require_matplotlib()  # before the work
    typer.echo("Making a patch for all scenes, then patches for single ones.", err=True)
    with progress_on_stderr() as verbose:
        outcomes = show(load_detector(str(detector_file())), output, verbose=verbose)
    tables.print_outcomes(outcomes)
    for outcome in outcomes:
        for picture, sentence in outcome.verdicts.items():
            typer.echo(f"{picture}: {sentence}")
    typer.echo(f"pictures: {output}")
