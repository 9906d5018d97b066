"""Attacks against this package's detector and its rivals, on real networks and ImageNet images.

`tf_taintradar.evaluate` on the networks of ../shared. An interrupted run goes on where it stopped.
"""

from pathlib import Path
from typing import Annotated

import typer
from patch_sets import NETWORKS, SHARED, Network
from report import setting

from tf_taintradar import TaintRadarModel, evaluate
from tf_taintradar.evaluation import DEFENCES, THREATS


def main(
    output: Annotated[Path, typer.Option(help="folder for the reports and what led to them")],
    network: Annotated[list[str], typer.Option(help="may be repeated")] = list(NETWORKS),  # noqa: B006
    attack: Annotated[list[str], typer.Option(help="may be repeated")] = list(THREATS),  # noqa: B006
    defence: Annotated[list[str], typer.Option(help="may be repeated")] = list(DEFENCES),  # noqa: B006
    n_attacked: int = 40,
    limit: Annotated[int | None, typer.Option(help="only so many images")] = None,
    target: int = 859,
    seed: int = 0,
) -> None:
    """Print the tables of each network; write its `report.md`, `.json` and `.html`."""
    data = SHARED / "data"
    images, labels = data / "imagenet_dev", data / "imagenet_dev.csv"
    for name in network:
        model = SHARED / "models" / f"{name}.keras"
        found = Network(model, NETWORKS[name], images, labels, data / "attacks")
        radar = TaintRadarModel(found.classifier, preprocessor=found.preprocessor)
        evaluation = evaluate(
            radar,
            found.crops[:limit],
            found.truth[:limit],
            attacks=attack,
            defences=defence,
            n_attacked=n_attacked,
            target_class=target,
            folder=output / name,
            seed=seed,
        )
        evaluation.write(output / name)
        print(f"\n{name}. {setting()}\n\n{evaluation.to_markdown()}", flush=True)


if __name__ == "__main__":
    typer.run(main)
