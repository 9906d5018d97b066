"""How often patches fool a real network, and how long one takes.

On the images that they are made for, and universal ones on others, too.
"""

import time
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer
from patch_sets import (
    IMAGES,
    LABELS,
    Images,
    Labels,
    Model,
    Network,
    Preprocessor,
    find_networks,
)
from report import publish

from tf_taintradar.attacks import AdversarialPatch
from tf_taintradar.classifier.opened import open_classifier
from tf_taintradar.evaluation.metrics import Rate


class Row(NamedTuple):
    """One line of the table: `made` on the images of the attack, `other` on those held out."""

    network: str
    attack: str
    steps: int
    seconds: float
    made: Rate
    other: Rate


UNIVERSAL = {
    "universal, 40 %, bottom right": {"diameter": 0.4, "place": "bottom_right", "steps": 60},
    "universal, 30 %, random": {"diameter": 0.3, "steps": 120},
}
PARTIAL = {
    "partial, 30 %, random": {"diameter": 0.3, "steps": 60},
    "partial, two stars of 25 %": {"diameter": 0.25, "shape": "star", "n_patches": 2, "steps": 100},
}


def main(
    model: Model = None,
    preprocessor: Preprocessor = "tf",
    images: Images = IMAGES,
    labels: Labels = LABELS,
    n_train: int = 64,
    n_other: int = 100,
    n_partial: int = 32,
    steps: Annotated[int | None, typer.Option(help="instead of each attack's own")] = None,
    target: int = 859,
    seed: int = 0,
    output: Annotated[Path | None, typer.Option(help="a JSON file to write")] = None,
) -> list[Row]:
    """Attack a network, by default both of ../shared, and print the table."""
    rows: list[Row] = []
    for network in find_networks(model, preprocessor, images, labels):
        order = np.random.default_rng(seed).permutation(len(network.crops))
        order = order[network.truth[order] != target]
        made, other = order[:n_train], order[n_train : n_train + n_other]
        opened = open_classifier(network.classifier, preprocessor=network.preprocessor)
        for kind, attacks in (("universal", UNIVERSAL), ("partial", PARTIAL)):
            for name, settings in attacks.items():
                given = {**settings, "steps": steps or settings["steps"]}
                attack = AdversarialPatch(opened, target_class=target, seed=seed, **given)
                whom = made if kind == "universal" else made[:n_partial]
                rows.append(_row(network, name, attack, kind, whom, other))
                print(" | ".join(_cells(rows[-1])), flush=True)
    header = ["network", "attack", "steps", "seconds", "succeeds", "on other images"]
    publish("attack_success", header, map(_cells, rows), output, seed=seed)
    return rows


def _row(
    network: Network,
    name: str,
    attack: AdversarialPatch,
    kind: str,
    made: np.ndarray,
    other: np.ndarray,
) -> Row:
    start = time.perf_counter()
    result = getattr(attack, kind)(network.crops[made], verbose=0)
    seconds = time.perf_counter() - start
    elsewhere = Rate(0, 0)
    if kind == "universal":
        elsewhere = Rate.of(attack.apply(result.patches, network.crops[other]).success)
    return Row(network.name, name, attack.steps, seconds, Rate.of(result.success), elsewhere)


def _cells(row: Row) -> list[str]:
    return [
        *(row.network, row.attack, str(row.steps), f"{row.seconds:.0f}"),
        *(str(row.made), str(row.other)),
    ]


if __name__ == "__main__":
    typer.run(main)
