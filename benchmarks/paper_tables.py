"""The paper's Tables I and II: patches of three sizes, made for 1, 4 or 16 images at a time.

Table I: at the bottom right. Table II: at a random place, of one size or trained on all three. Both
variants of the detector, calibrated on the same benign images; `tf_taintradar.evaluate` does the
work, and goes on where it was interrupted.

For VGG16 as in the paper: --model vgg16.keras --preprocessor caffe --images FOLDER --labels CSV
--n-attacked 1000 --steps 500, with a file that
`keras.applications.VGG16().save("vgg16.keras")` has written.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from patch_sets import (
    IMAGES,
    LABELS,
    Images,
    Labels,
    Model,
    Preprocessor,
    evenly,
    find_networks,
)
from report import publish_evaluation

from tf_taintradar import TaintRadarModel, evaluate
from tf_taintradar.evaluation import AttackSpec

SIZES, GROUPS = (0.2, 0.3, 0.4), (1, 4, 16)


def attacks_of(table: int, steps: int) -> Mapping[str, AttackSpec]:
    """The attacks of a table by name: place, sizes in per cent, images per patch."""
    place = "bottom_right" if table == 1 else "random"
    sizes: list[float | tuple[float, ...]] = [*SIZES]
    if table == 2:
        sizes.append(SIZES)
    made = {}
    for group in GROUPS:
        for size in sizes:
            many = isinstance(size, tuple)
            name = "20-40" if many else f"{100 * size:.0f}"
            settings = {"place": place, "diameter": size, "steps": steps}
            made[f"{place}-{name}-for-{group}"] = AttackSpec(group, settings)
    return made


def main(
    output: Annotated[Path, typer.Option(help="folder for the reports and what led to them")],
    table: Annotated[list[int], typer.Option(help="1, 2; may be repeated")] = [1, 2],  # noqa: B006
    model: Model = None,
    preprocessor: Preprocessor = "tf",
    images: Images = IMAGES,
    labels: Labels = LABELS,
    n_attacked: int = 16,
    steps: int = 80,
    target: int = 859,
    target_fpr: float = 0.06,
    limit: Annotated[int | None, typer.Option(help="only so many images, evenly spaced")] = None,
    seed: int = 0,
) -> None:
    """Print the tables, for a network or for the two of ../shared."""
    for network in find_networks(model, preprocessor, images, labels):
        some = evenly(len(network.crops), limit)
        radar = TaintRadarModel(network.classifier, preprocessor=network.preprocessor)
        for number in table:
            folder = output / f"{network.name}-table-{number}"
            found = evaluate(
                radar,
                network.crops[some],
                network.truth[some],
                attacks=attacks_of(number, steps),
                defences=["taintradar", "taintradar-paper"],
                target_fprs=[target_fpr],
                n_attacked=n_attacked,
                target_class=target,
                folder=folder,
                seed=seed,
            )
            found.write(folder)
            publish_evaluation(f"paper_tables-{network.name}-{number}", found, output)


if __name__ == "__main__":
    typer.run(main)
