"""Attacks against this package's detector and its rivals, on real networks and ImageNet images.

`tf_taintradar.evaluate` on the networks of ../shared, or on any other. An interrupted run goes on
where it stopped.
"""

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
from tf_taintradar.evaluation import ATTACKS, DEFENCES


def main(
    output: Annotated[Path, typer.Option(help="folder for the reports and what led to them")],
    model: Model = None,
    preprocessor: Preprocessor = "tf",
    images: Images = IMAGES,
    labels: Labels = LABELS,
    attack: Annotated[list[str], typer.Option(help="may be repeated")] = list(ATTACKS),  # noqa: B006
    defence: Annotated[list[str], typer.Option(help="may be repeated")] = list(DEFENCES),  # noqa: B006
    target_fpr: Annotated[list[float], typer.Option(help="may be repeated")] = [0.06, 0.03, 0.01],  # noqa: B006
    n_attacked: int = 40,
    limit: Annotated[int | None, typer.Option(help="only so many images, evenly spaced")] = None,
    target: int = 859,
    seed: int = 0,
) -> None:
    """Print the tables of each network; write its `report.md`, `.json` and `.html`."""
    for found in find_networks(model, preprocessor, images, labels):
        some = evenly(len(found.crops), limit)
        radar = TaintRadarModel(found.classifier, preprocessor=found.preprocessor)
        evaluation = evaluate(
            radar,
            found.crops[some],
            found.truth[some],
            attacks=attack,
            defences=defence,
            target_fprs=target_fpr,
            n_attacked=n_attacked,
            target_class=target,
            folder=output / found.name,
            seed=seed,
        )
        evaluation.write(output / found.name)
        publish_evaluation(f"defences-{found.name}", evaluation, output)


if __name__ == "__main__":
    typer.run(main)
