"""The paper's rule over its two settings, K and the rank threshold, on benign and attacked images.

For every K the smallest threshold that keeps the false positive rate at the target, and what is
detected with it; and pictures of both rates over all settings (the paper's Figure 3 and its
counterpart for attacks). The benign images that choose are a random half, the others tell the rate.
"""

from pathlib import Path
from typing import Annotated, NamedTuple

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
    Pixels,
    Preprocessor,
    find_networks,
)
from report import publish

from tf_taintradar import plot
from tf_taintradar.classifier.opened import open_classifier
from tf_taintradar.detection.pipeline import Pipeline
from tf_taintradar.detection.rules import Paper, Rule

SHOWN = (1, 3, 5, 9, 13, 20)  # K in the table

Shifts = npt.NDArray[np.int32]


class Line(NamedTuple):
    """One K of one network.

    Attributes:
        network: name of the model file.
        top_k: K.
        threshold: the smallest rank threshold with at most the target's share of one half flagged.
        fpr: the share flagged of the other half.
        tpr: by the sets' names, the share flagged.
    """

    network: str
    top_k: int
    threshold: int
    fpr: float
    tpr: dict[str, float]


def main(
    model: Model = None,
    preprocessor: Preprocessor = "tf",
    images: Images = IMAGES,
    labels: Labels = LABELS,
    attacks: Attacks = ATTACKS,
    k_max: int = 20,
    target_fpr: float = 0.06,
    limit: Annotated[int | None, typer.Option(help="only so many images of a set")] = None,
    batch_size: int = 16,
    seed: int = 0,
    output: Annotated[Path, typer.Option(help="folder for the pictures")] = Path("surfaces"),
) -> list[Line]:
    """Sweep a network, by default the two of ../shared; draw and print."""
    lines: list[Line] = []
    for network in find_networks(model, preprocessor, images, labels, attacks):
        opened = open_classifier(network.classifier, preprocessor=network.preprocessor)
        pipeline = Pipeline(opened, temperature=2.0, map_threshold=0.15)
        rule = Paper().widened(k_max)

        def shifts(pixels: Pixels, pipeline: Pipeline = pipeline, rule: Rule = rule) -> Shifts:
            step = lambda batch: pipeline.benign_answers(batch, rule)  # noqa: E731
            found = pipeline.over_batches(step, pixels, batch_size=batch_size, verbose=0)
            return found["rank_shifts"]

        benign = shifts(network.crops[:limit])
        attacked = {found.name: shifts(found.images) for found in network.attacked(limit)}
        own = compare(network.name, benign, attacked, target_fpr, seed)
        chosen = min(own, key=lambda line: (line.threshold, line.top_k))  # as `calibrate` chooses
        draw(network.name, {"benign": benign, **attacked}, target_fpr, chosen, output)
        lines += own
    publish("rank_surface", *as_table(lines), output / "rank_surface.json", seed=seed)
    return lines


def compare(
    network: str, benign: Shifts, attacked: dict[str, Shifts], target_fpr: float, seed: int
) -> list[Line]:
    """A line for each K of the table; rank shifts are (n, k_max)."""
    order = np.random.default_rng(seed).permutation(len(benign))
    half, rest = np.array_split(benign[order], 2)
    lines = []
    for top_k in (k for k in SHOWN if k <= benign.shape[1]):
        column = top_k - 1
        thresholds = np.arange(half[:, column].max() + 1)
        rates = (half[:, column, None] > thresholds).mean(axis=0)
        threshold = int(np.argmax(rates <= target_fpr))
        tpr = {
            name: float((shifts[:, column] > threshold).mean()) for name, shifts in attacked.items()
        }
        fpr = float((rest[:, column] > threshold).mean())
        lines.append(Line(network, top_k, threshold, fpr, tpr))
    return lines


def draw(
    network: str, sets: dict[str, Shifts], target_fpr: float, chosen: Line, folder: Path
) -> None:
    """Writes a picture of each set: the share flagged over K and threshold."""
    folder.mkdir(parents=True, exist_ok=True)
    largest = int(np.quantile(sets["benign"], 0.99)) + 2
    for name, shifts in sets.items():
        grid = (shifts[:, :, None] > np.arange(largest)).mean(axis=0)
        figure = plot.rate_surface(
            grid,
            target_fpr if name == "benign" else None,
            chosen=(chosen.top_k, min(chosen.threshold, largest - 1)),
            title=f"{network}, {name}: share flagged",
        )
        plot.saved(figure, folder / f"surface-{network}-{name}.png")


def as_table(lines: list[Line]) -> tuple[list[str], list[list[str]]]:
    """The header and the rows."""
    header = ["network", "K", "rank threshold", "benign flagged", *lines[0].tpr]
    rows = [
        [line.network, str(line.top_k), str(line.threshold), f"{line.fpr:.0%}"]
        + [f"{rate:.0%}" for rate in line.tpr.values()]
        for line in lines
    ]
    return header, rows


if __name__ == "__main__":
    typer.run(main)
