"""How detections depend on what the attacker wants: patches for many labels instead of one.

Patches of 30 % of the image's side for single images, each with a label of its own, and universal
ones of 40 %, each for another label; at random places. `tf_taintradar.evaluate` judges those that
succeed. Each network also with other feature layers, if they are named.
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
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
from report import publish_evaluation

from tf_taintradar import TaintRadarModel, evaluate
from tf_taintradar.attacks import AdversarialPatch, AttackResult
from tf_taintradar.classifier.opened import OpenedClassifier
from tf_taintradar.evaluation import Attacked
from tf_taintradar.evaluation.defences import make_defence

OURS = ["taintradar", "taintradar-paper", "local-gradients-smoothing", "patchcleanser"]


def main(
    output: Annotated[Path, typer.Option(help="folder for the reports")],
    model: Model = None,
    preprocessor: Preprocessor = "tf",
    images: Images = IMAGES,
    labels: Labels = LABELS,
    defence: Annotated[list[str], typer.Option(help="may be repeated")] = OURS,  # noqa: B006
    feature_layer: Annotated[list[str], typer.Option(help="tried, too; may be repeated")] = [],  # noqa: B006
    n_targets: Annotated[int, typer.Option(help="universal patches")] = 8,
    n_images: Annotated[int, typer.Option(help="of each universal patch")] = 16,
    n_partial: int = 40,
    steps: int = 100,
    target_fpr: Annotated[list[float], typer.Option(help="may be repeated")] = [0.06, 0.03, 0.01],  # noqa: B006
    seed: int = 0,
) -> None:
    """Print the tables of each network; write its `report.md`, `.json` and `.html`."""
    for network in find_networks(model, preprocessor, images, labels):
        radar = TaintRadarModel(network.classifier, preprocessor=network.preprocessor)
        made = Attacks(network, radar.opened, steps, seed)
        sets = {
            "partial-30": made.partial(n_partial),
            "universal-40": made.universal(n_targets, n_images),
        }
        defences = {name: make_defence(name, radar) for name in defence}
        for layer in feature_layer:
            defences[layer] = TaintRadarModel(
                network.classifier, preprocessor=network.preprocessor, feature_layer=layer
            )
        evaluation = evaluate(
            radar,
            network.crops,
            network.truth,
            attacks=sets,
            defences=defences,
            target_fprs=target_fpr,
            seed=seed,
        )
        evaluation.write(output / network.name)
        publish_evaluation(f"other_targets-{network.name}", evaluation, output)


class Attacks:
    """Patches on a network's images, all drawn from one seed; only those that succeed count."""

    def __init__(self, network: Network, opened: OpenedClassifier, steps: int, seed: int) -> None:
        self._crops, self._steps, self._seed = network.crops, steps, seed
        self._rng = np.random.default_rng(seed)
        self._opened = opened

    def partial(self, n: int) -> Attacked:
        """A patch for each of n images, each for a label of its own."""
        targets = self._rng.integers(0, self._opened.n_classes, n)
        index = self._some(n)
        return self._hits([(index, self._attack(0.3, targets).partial(self._crops[index]))])

    def universal(self, n_targets: int, n: int) -> Attacked:
        """Patches for n images each, each for another label."""
        hits = []
        for target in self._rng.choice(self._opened.n_classes, n_targets, replace=False):
            index = self._some(n)
            hits.append((index, self._attack(0.4, int(target)).universal(self._crops[index])))
        return self._hits(hits)

    def _some(self, n: int) -> npt.NDArray[np.integer[Any]]:
        return np.sort(self._rng.choice(len(self._crops), n, replace=False))

    def _attack(self, diameter: float, target: Any) -> AdversarialPatch:
        return AdversarialPatch(
            self._opened,
            target_class=target,
            diameter=diameter,
            steps=self._steps,
            seed=self._seed,
        )

    def _hits(self, made: list[tuple[npt.NDArray[np.integer[Any]], AttackResult]]) -> Attacked:
        images = np.concatenate([result.images[result.success] for _, result in made])
        index = np.concatenate([index[result.success] for index, result in made])
        print(f"{len(images)} of {sum(len(index) for index, _ in made)} succeed", flush=True)
        return Attacked(images, index, None)


if __name__ == "__main__":
    typer.run(main)
