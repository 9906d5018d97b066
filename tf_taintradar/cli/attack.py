"""The command `taintradar attack`."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tf_taintradar.cli import options, tables
from tf_taintradar.cli.opening import with_detector
from tf_taintradar.cli.program import app
from tf_taintradar.cli.quiet import progress_on_stderr
from tf_taintradar.support.checks import require

if TYPE_CHECKING:
    from tf_taintradar.attacks import AttackResult, PatchAttack
    from tf_taintradar.model import TaintRadarModel

Kind = Annotated[
    str, typer.Option(help="universal: one patch for all images; partial: one for each.")
]
Shape = Annotated[
    str,
    typer.Option(
        help="disk, square, star, lightning, eyeglasses (for aligned faces), or the picture of a "
        "mask."
    ),
]
Place = Annotated[
    str | None,
    typer.Option(
        help="random (the default), bottom_right, or ROW,COLUMN of the patch's top left pixel."
    ),
]


@app.command()
@with_detector("preprocessor", "class_names")
def attack(
    radar: "TaintRadarModel",
    model: options.Model,
    images: options.Files,
    output: Annotated[Path, typer.Option(help="New folder for images, patches and record.")],
    target: Annotated[
        str | None,
        typer.Option(help="Label to aim at, a number or a class name; by default any wrong one."),
    ] = None,
    kind: Kind = "universal",
    shape: Shape = "disk",
    diameter: Annotated[
        float | None,
        typer.Option(
            help="Diameter of a patch, as a fraction of the image's smaller side; by default 0.4."
        ),
    ] = None,
    place: Place = None,
    n_patches: Annotated[
        int | None, typer.Option(min=1, help="Number of copies on each image; by default one.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Maximum number of steps.")] = None,
    stop_probability: Annotated[
        float | None, typer.Option(help="Stop once the target has this probability.")
    ] = None,
    smoothness: Annotated[float, typer.Option(help="Weight of the total variation.")] = 0.0,
    printability: Annotated[float, typer.Option(help="Weight of unprintable colors.")] = 0.0,
    width_mm: Annotated[
        float | None, typer.Option(help="Width of a printed patch, in millimeters.")
    ] = None,
    seed: int = 0,
    batch_size: options.BatchSize = 16,
    as_json: options.Json = False,
) -> None:
    """Attacks a classifier, and tells whether its detector notices.

    Writes the attacked images and the patches as PNG files that can be printed.

    Example: `taintradar attack radar.keras photos/ --target 7 --kind partial --output attacked/`
    """
    from tf_taintradar.attacks import Penalties
    from tf_taintradar.support.files import require_new_folder

    require_new_folder(output)  # before the work, which takes long
    settings: dict[str, Any] = {
        "target_class": None if target is None else find_label(target, radar.class_names),
        "seed": seed,
        "batch_size": batch_size,
        "steps": steps,
        "stop_probability": stop_probability,
    }
    if smoothness or printability:
        settings["penalties"] = Penalties(smoothness=smoothness, printability=printability)
    settings |= {"diameter": diameter, "place": place and read_place(place)}
    settings["n_patches"] = n_patches
    result, files = _run(radar, images, kind, shape, settings)
    from tf_taintradar.attacks import save_attack

    save_attack(result, output, names=_names(files), width_mm=width_mm)
    counts = _count(radar, result, batch_size)
    if as_json:
        document = {"model": model, "output": str(output), **dataclasses.asdict(counts)}
        typer.echo(json.dumps(document, indent=2))
    else:
        tables.print_attack(counts)
        typer.echo(f"attack: {output}")


def find_label(target: str, names: list[str] | None) -> int:
    """The label that a number or a class name means.

    Raises:
        ValueError: it is no number, and no class is called so.
    """
    if target.lstrip("-").isdecimal():
        return int(target)
    if names is None:
        raise ValueError(f"`target` {target!r} is no number, and the classes have no names.")
    if target not in names:
        raise ValueError(f"`target` {target!r} is neither a number nor the name of a class.")
    return names.index(target)


def read_place(place: str) -> str | tuple[int, ...]:
    """The numbers of "3,7" as (3, 7), a name as it is."""
    parts = place.split(",")
    return tuple(map(int, parts)) if all(part.strip().isdecimal() for part in parts) else place


def _run(
    radar: "TaintRadarModel", images: list[Path], kind: str, shape: str, settings: dict[str, Any]
) -> "tuple[AttackResult, list[Path]]":
    import numpy as np

    from tf_taintradar.attacks import AdversarialPatch, EyeglassesAttack
    from tf_taintradar.cli.rows import list_files
    from tf_taintradar.images.files import read_image

    require(kind in ("universal", "partial"), "kind", kind, "universal or partial")
    given = {name: value for name, value in settings.items() if value is not None}
    given["target_class"] = settings["target_class"]
    attack: PatchAttack
    if shape == "eyeglasses":
        for name in sorted(given.keys() & {"diameter", "place", "n_patches"}):
            raise ValueError(f"`{name}` is for patches: eyeglasses sit where the eyes are.")
        attack = EyeglassesAttack(radar.opened, **given)
    else:
        attack = AdversarialPatch(radar.opened, shape=shape, **given)
    files = list_files(images)
    pixels = np.stack([read_image(file, attack.image_shape) for file in files])
    with progress_on_stderr() as verbose:
        return getattr(attack, kind)(pixels, verbose=verbose), files


def _count(radar: "TaintRadarModel", result: "AttackResult", batch_size: int) -> tables.Counts:
    n_images, success = len(result.images), result.success
    if radar.threshold is None:
        return tables.Counts(n_images, int(success.sum()), None, None)
    found = radar.predict(result.images, batch_size=batch_size, verbose=0)
    is_flagged = found["is_adversarial"] & success
    is_recovered = is_flagged & (found["recovered_label"] == result.clean_labels)
    return tables.Counts(
        n_images, *(int(is_it.sum()) for is_it in (success, is_flagged, is_recovered))
    )


def _names(files: list[Path]) -> list[str]:
    """The files' names without suffix, or numbered if two are called the same."""
    stems = [file.stem for file in files]
    if len(set(stems)) == len(stems):
        return stems
    return [f"{i:04d}-{stem}" for i, stem in enumerate(stems)]
