"""False and true positive rates on real networks, ImageNet images and localized patches.

Calibrates on the first half of the images, counts false positives on the other half and detections
on every set of attacks. Attacks of a set may lie on images of either half. Every setting of the
detector is its default; nothing is chosen by looking at attacks.
"""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import typer
from patch_sets import (
    ATTACKS,
    IMAGES,
    LABELS,
    Attacks,
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
from tf_taintradar.calibration.by_score import smallest_threshold
from tf_taintradar.calibration.record import wilson_interval
from tf_taintradar.detection.rules import Occlusion, Paper
from tf_taintradar.evaluation import auroc

STRICT = {"top_k": 9, "rank_threshold": 2}  # the paper's setting for scenes
TARGETS = [0.06, 0.03, 0.01]
HEADER = ["network, variant", "setting", "threshold", "images", "n", "wrong / hit", "flagged"]
HEADER += ["95 % interval", "AUROC", "recovered"]
VARIANTS = [Occlusion.name, Paper.name]


class Sample(NamedTuple):
    """A set of images, benign or attacked, and the detector's answers to them.

    Attributes:
        name: what the set is called.
        truth: (n,) the true labels.
        found: the arrays of `TaintRadarModel.predict`.
        target: the label that the attack aims at; None if benign.
    """

    name: str
    truth: npt.NDArray[np.int64]
    found: dict[str, npt.NDArray[Any]]
    target: int | None = None


@dataclasses.dataclass
class Row:
    """One line of the table. Rates are fractions in [0, 1].

    Attributes:
        network: name of the model file.
        variant: "occlusion", "bands" or "paper".
        setting: how the threshold was found.
        threshold: an image is flagged if its score is above it.
        images: name of the set.
        n: number of images.
        fooled: share of attacked images with the target's label; for benign ones, of wrong labels.
        flagged: share flagged: the FPR of benign images, the TPR of attacked ones.
        interval: its 95 % interval (Wilson).
        auroc: of the score against the benign images; None for those themselves.
        recovered: share of flagged images whose recovered label is the true one; None if none is.
    """

    network: str
    variant: str
    setting: str
    threshold: float
    images: str
    n: int
    fooled: float
    flagged: float
    interval: tuple[float, float]
    auroc: float | None
    recovered: float | None


def main(
    model: Model = None,
    preprocessor: Preprocessor = "tf",
    images: Images = IMAGES,
    labels: Labels = LABELS,
    attacks: Attacks = ATTACKS,
    target_fpr: Annotated[list[float], typer.Option(help="may be repeated")] = TARGETS,
    variant: Annotated[list[str], typer.Option(help="may be repeated")] = VARIANTS,
    limit: Annotated[int | None, typer.Option(help="only so many images and attacks")] = None,
    shuffle: Annotated[int | None, typer.Option(help="halves at random, from this seed")] = None,
    batch_size: int = 16,
    output: Annotated[Path | None, typer.Option(help="a JSON file to write")] = None,
    roc: Annotated[Path | None, typer.Option(help="a folder for ROC curves")] = None,
) -> list[Row]:
    """Measure detection on a network, by default on the two of ../shared; print the table."""
    rows: list[Row] = []
    for network in find_networks(model, preprocessor, images, labels, attacks):
        rows += Experiment(network, limit, shuffle, batch_size, roc).run(target_fpr, variant)
        if output:
            write_result("imagenet_patches", HEADER, map(_cells, rows), output, seed=shuffle)
    figures = [vars(row) for row in rows]
    cells = map(_cells, rows)
    publish("imagenet_patches", HEADER, cells, output, seed=shuffle, figures=figures)
    return rows


class Experiment:
    """One network with its images; see `main` for the arguments."""

    def __init__(
        self,
        network: Network,
        limit: int | None,
        shuffle: int | None,
        batch_size: int,
        roc: Path | None,
    ) -> None:
        self.network, self.limit, self.roc = network, limit, roc
        self.quietly: dict[str, Any] = {"batch_size": batch_size, "verbose": 0}
        order = np.arange(len(network.crops))
        if shuffle is not None:
            np.random.default_rng(shuffle).shuffle(order)
        self.first, self.other = (half[:limit] for half in np.array_split(order, 2))

    def run(self, targets: list[float], variants: list[str]) -> list[Row]:
        """The lines for this network."""
        benign = self.network.crops[self.first]
        rows: list[Row] = []
        for variant in variants:
            if variant == Paper.name:
                rows += self._paper(benign, targets)
            else:
                rows += self._scored(variant, benign, targets)
        return rows

    def _scored(self, variant: str, benign: list[Pixels], targets: list[float]) -> list[Row]:
        radar = self._radar(variant)
        scores = radar.calibrate(benign, max(targets), **self.quietly).scores
        samples, rows = self._look(radar), []
        for target in targets:
            threshold = smallest_threshold(scores, target)
            rows += self._rows(variant, f"calibrated, {target:.0%}", threshold, samples)
        return rows

    def _paper(self, benign: list[Pixels], targets: list[float]) -> list[Row]:
        radar, rows = self._radar(Paper.name), []
        for target in targets:
            threshold = radar.calibrate(benign, target, **self.quietly).threshold
            setting = f"calibrated, {target:.0%}: K = {radar.top_k}"
            rows += self._rows(Paper.name, setting, threshold, self._look(radar))
        radar.top_k, radar.rank_threshold = STRICT.values()
        setting = f"the paper's K = {radar.top_k}"
        return rows + self._rows(Paper.name, setting, radar.rank_threshold, self._look(radar))

    def _radar(self, variant: str) -> TaintRadarModel:
        network = self.network
        return TaintRadarModel(
            network.classifier, preprocessor=network.preprocessor, variant=variant
        )

    def _look(self, radar: TaintRadarModel) -> list[Sample]:
        """What the detector, which has a threshold, answers to the other half and all attacks."""

        def sample(
            name: str, images: Pixels, index: npt.NDArray[np.int64], target: int | None = None
        ) -> Sample:
            found = radar.predict(images, **self.quietly)
            return Sample(name, self.network.truth[index], found, target)

        benign = sample("benign", self.network.crops[self.other], self.other)
        samples = [benign, *(sample(*attack) for attack in self.network.attacked(self.limit))]
        if self.roc is not None:
            self._draw(radar.variant, samples)
        return samples

    def _draw(self, variant: str, samples: list[Sample]) -> None:
        benign, *attacked = samples
        curves = {
            f"{sample.name} ({len(sample.truth)})": (benign.found["score"], sample.found["score"])
            for sample in attacked
        }
        title = f"{self.network.name}, variant {variant}: {len(benign.truth)} benign images"
        figure = plot.roc_curves(curves, title=title)
        self.roc.mkdir(parents=True, exist_ok=True)
        plot.saved(figure, self.roc / f"roc-{self.network.name}-{variant}.png")

    def _rows(
        self, variant: str, setting: str, threshold: float, samples: list[Sample]
    ) -> list[Row]:
        rows = []
        for sample in samples:
            found, flags = sample.found, sample.found["score"] > threshold
            is_fooled = found["label"] != sample.truth
            if sample.target is not None:
                is_fooled = found["label"] == sample.target
            is_recovered = found["recovered_label"] == sample.truth
            benign = None if sample.target is None else samples[0].found["score"]
            row = Row(
                network=self.network.name,
                variant=variant,
                setting=setting,
                threshold=threshold,
                images=sample.name,
                n=len(flags),
                fooled=float(is_fooled.mean()),
                flagged=float(flags.mean()),
                interval=wilson_interval(int(flags.sum()), len(flags)),
                auroc=None if benign is None else auroc(benign, found["score"]),
                recovered=float(is_recovered[flags].mean()) if flags.any() else None,
            )
            print(
                f"{row.network}, {variant}, {setting}: {row.images} {row.flagged:.0%}", flush=True
            )
            rows.append(row)
        return rows


def _cells(row: Row) -> list[str]:
    low, high = row.interval
    return [
        f"{row.network}, {row.variant}",
        row.setting,
        f"{row.threshold:.3g}",
        row.images,
        str(row.n),
        f"{row.fooled:.0%}",
        f"{row.flagged:.1%}",
        f"{low:.1%} to {high:.1%}",
        "-" if row.auroc is None else f"{row.auroc:.3f}",
        "-" if row.recovered is None else f"{row.recovered:.0%}",
    ]


if __name__ == "__main__":
    typer.run(main)
