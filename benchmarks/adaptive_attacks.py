"""Attackers who know the detector: section VII of the paper.

The detector is calibrated on a random half of the images, patches are made for images of the other
half that the classifier gets right; each image has its own patch, at a random place. *Robust* is
the share of attacks that fail or are flagged, *certified* that of images on which no patch at that
place can pass, no matter what it looks like (variant "cover"): for the attack's own target, for the
clean image's second label, and for any label.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import typer
from curves import overlap_curves
from patch_sets import (
    IMAGES,
    LABELS,
    Images,
    Labels,
    Model,
    Network,
    Pixels,
    Preprocessor,
    find_networks,
)
from report import publish, write_result

from tf_taintradar import TaintRadarModel, plot
from tf_taintradar.attacks import (
    AdaptivePatch,
    AdversarialPatch,
    AttackResult,
    MisleadingPatch,
    certainty,
    likely_target,
    likely_targets,
)
from tf_taintradar.attacks.adaptive import iou
from tf_taintradar.calibration.record import wilson_interval
from tf_taintradar.detection.rules import Cover

UNIVERSAL = "likely-universal"
UNAWARE = ("plain", "likely", UNIVERSAL)  # of the detector
REGIONS = ["soft", "fixed"]  # what gradients make of the regions
KINDS = (*UNAWARE, "bpda", "away", "small")
HEADER = ["network, variant", "attack", "n", "succeeded", "flagged of those", "robust"]
HEADER += ["95 % interval", "certified", "runner-up", "any label", "overlap", "steps"]


@dataclasses.dataclass
class Row:
    """One line of the table.

    Attributes:
        network: name of the model file.
        variant: "occlusion", "cover", ...
        attack: which, and with what weight of the detector.
        weight: that weight, lambda; None for attacks that do not mislead.
        n: number of images.
        succeeded: share on which the classifier answers the target.
        flagged: share of those that the detector flags; None if there are none.
        robust: share of all that fail or are flagged.
        interval: its 95 % interval (Wilson).
        certified: share of all that no patch can pass, None if that cannot be known.
        runner_up: the same, if the target is the clean image's second label.
        any_label: the same, whatever the target is.
        overlap: mean intersection over union of critical region and patch.
        steps: mean number of steps.
    """

    network: str
    variant: str
    attack: str
    weight: float | None
    n: int
    succeeded: float
    flagged: float | None
    robust: float
    interval: tuple[float, float]
    certified: float | None
    runner_up: float | None
    any_label: float | None
    overlap: float
    steps: float


def main(
    model: Model = None,
    preprocessor: Preprocessor = "tf",
    images: Images = IMAGES,
    labels: Labels = LABELS,
    variant: Annotated[list[str], typer.Option(help="may be repeated")] = ["occlusion", "paper"],  # noqa: B006
    kind: Annotated[
        list[str],
        typer.Option(
            help="plain: knows nothing; bpda: knows all; away, small: mislead the critical region; "
            "likely: the runner-up is the target; likely-universal: one patch for all images, the "
            "label with the best mean rank is the target. May be repeated."
        ),
    ] = ["plain", "bpda"],  # noqa: B006
    weight: Annotated[
        list[float], typer.Option(help="of the detector; may be repeated, for away and small")
    ] = [1.0],  # noqa: B006
    n_images: int = 50,
    steps: int = 200,
    learning_rate: Annotated[float, typer.Option(help="of Adam, in units of a pixel")] = 8.0,
    regions: Annotated[list[str], typer.Option(help="of bpda; may be repeated")] = REGIONS,
    growth: Annotated[int, typer.Option(help="steps until the sigmoids' slope grows by 1")] = 10,
    diameter: Annotated[float, typer.Option(help="0.3 is 7 % of the image")] = 0.3,
    target: int = 859,
    target_fpr: float = 0.06,
    batch_size: int = 16,
    seed: int = 0,
    output: Annotated[Path | None, typer.Option(help="a JSON file to write")] = None,
    plots: Annotated[
        Path | None, typer.Option(help="folder for a picture: IoU over lambda")
    ] = None,
) -> list[Row]:
    """Attack a network, by default both of ../shared, and print the table."""
    for name in kind:
        if name not in KINDS:
            raise typer.BadParameter(f"--kind must be one of {', '.join(KINDS)}; not {name!r}.")
    common = {"diameter": diameter, "steps": steps, "batch_size": batch_size, "seed": seed}
    bpda = {"learning_rate": learning_rate, "growth": growth, "stop_probability": 0.5}
    rows: list[Row] = []
    for network in find_networks(model, preprocessor, images, labels):
        for which in variant:
            experiment = Experiment(network, which, target, target_fpr, n_images, seed)
            for attack, lambda_, patch in experiment.attacks(kind, weight, regions, common, bpda):
                rows.append(experiment.row(attack, lambda_, patch))
                print(" | ".join(_cells(rows[-1])), flush=True)
                if output:
                    write_result("adaptive_attacks", HEADER, map(_cells, rows), output, seed=seed)
    figures = [vars(row) for row in rows]
    cells = map(_cells, rows)
    publish("adaptive_attacks", HEADER, cells, output, seed=seed, figures=figures)
    if plots:
        draw(rows, plots)
    return rows


def draw(rows: list[Row], folder: Path) -> None:
    """Writes `overlap-MODEL.png`: how far the critical region leaves the patch.

    The critical region is that of steps 1 and 2, which both variants share.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for network in dict.fromkeys(row.network for row in rows):
        curves: dict[str, dict[float, float]] = {}
        for row in rows:
            if row.network == network and row.weight is not None:
                curves.setdefault(row.attack.split(",")[0], {})[row.weight] = row.overlap
        lines = {aim: (list(found), list(found.values())) for aim, found in curves.items()}
        figure = overlap_curves(lines, title=f"{network}: misleading the critical region")
        plot.saved(figure, folder / f"overlap-{network}.png")


class Experiment:
    """A calibrated detector and the images that are attacked; see `main`."""

    def __init__(
        self, network: Network, variant: str, target: int, fpr: float, n_images: int, seed: int
    ) -> None:
        self.network, self.variant, self.target = network, variant, target
        self.radar = TaintRadarModel(
            network.classifier, preprocessor=network.preprocessor, variant=variant
        )
        order = np.random.default_rng(seed).permutation(len(network.crops))
        half = len(order) // 2
        self.radar.calibrate(network.crops[order[:half]], fpr, verbose=0)
        others = network.crops[order[half:]]
        truth = network.truth[order[half:]]
        label = self.radar.predict(others, verbose=0)["label"]
        self.images: Pixels = others[(label == truth) & (label != target)][:n_images]

    def attacks(
        self,
        kinds: list[str],
        weights: list[float],
        regions: list[str],
        common: dict[str, Any],
        bpda: dict[str, Any],
    ) -> Iterator[tuple[str, float | None, AdversarialPatch]]:
        """Name, lambda and attack, made when their turn comes."""
        wanted: dict[str, Any] = {"target_class": self.target, **common}
        for kind in kinds:
            if kind in UNAWARE:
                target = self._targets(kind)
                patch = AdversarialPatch(self.radar.opened, target_class=target, **common)
                yield kind, None, patch
            elif kind == "bpda":
                for how in regions:
                    patch = AdaptivePatch(self.radar, regions=how, **wanted, **bpda)
                    yield f"{kind}, {how}", None, patch
            else:
                for weight in weights:
                    patch = MisleadingPatch(self.radar, aim=kind, weight=weight, **wanted, **bpda)
                    yield f"{kind}, {weight:g}", weight, patch

    def _targets(self, kind: str) -> Any:
        if kind == "likely":
            return likely_targets(self.radar, self.images)
        if kind == UNIVERSAL:
            return likely_target(self.radar, self.images)
        return self.target

    def row(self, attack: str, weight: float | None, patch: AdversarialPatch) -> Row:
        """Attacks all images and counts."""
        attack_all = patch.universal if attack == UNIVERSAL else patch.partial
        result = attack_all(self.images, verbose=0)
        found = self.radar.predict(result.images, verbose=0)
        fooled, flagged = result.success, found["is_adversarial"]
        n_robust = int((~fooled | flagged).sum())
        return Row(
            network=self.network.name,
            variant=self.variant,
            attack=attack,
            weight=weight,
            n=len(fooled),
            succeeded=float(fooled.mean()),
            flagged=float(flagged[fooled].mean()) if fooled.any() else None,
            robust=n_robust / len(fooled),
            interval=wilson_interval(n_robust, len(fooled)),
            **self._certified(patch, result),
            overlap=float(np.mean(self._overlaps(result.images, result.painted))),
            steps=float(result.steps.mean()),
        )

    def _certified(self, patch: AdversarialPatch, result: AttackResult) -> dict[str, float | None]:
        if self.variant != Cover.name:
            return dict.fromkeys(("certified", "runner_up", "any_label"))
        found = certainty(self.radar, self.images, result.painted, patch.target_class)
        certified = found.any_label if found.target is None else found.target
        return {
            "certified": certified,
            "runner_up": found.runner_up,
            "any_label": found.any_label,
        }

    def _overlaps(self, images: Pixels, painted: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
        regions = [self.radar.explain(image).critical_region for image in images]
        return iou(tf.cast(np.array(regions), tf.float32), tf.cast(painted, tf.float32)).numpy()


def _cells(row: Row) -> list[str]:
    low, high = row.interval
    return [
        f"{row.network}, {row.variant}",
        row.attack,
        str(row.n),
        f"{row.succeeded:.0%}",
        "-" if row.flagged is None else f"{row.flagged:.0%}",
        f"{row.robust:.0%}",
        f"{low:.0%} to {high:.0%}",
        *(
            "-" if share is None else f"{share:.0%}"
            for share in (row.certified, row.runner_up, row.any_label)
        ),
        f"{row.overlap:.2f}",
        f"{row.steps:.0f}",
    ]


if __name__ == "__main__":
    typer.run(main)
