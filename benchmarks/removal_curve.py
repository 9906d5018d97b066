"""The paper's Figure 1 on real images: how far the label falls as more of the image is removed.

The most critical window of every size is taken out of the feature map, on benign images and on
every set of attacks. Draws the rank change and the score over the removed area and prints their
medians.
"""

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import typer
from curves import removal_curves
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
from tf_taintradar.classifier.opened import OpenedClassifier, open_classifier
from tf_taintradar.detection.by_window import occlude
from tf_taintradar.detection.critical import predict_with_critical_region
from tf_taintradar.detection.ranks import rank_of
from tf_taintradar.detection.windows import cells

RANK, FALL = "rank change", "fall of the label, nats"  # the latter is what the score averages


class Curve(NamedTuple):
    """What removing does to the images of one set.

    Attributes:
        network: name of the model file.
        images: name of the set.
        areas: (s,) the removed shares of the image.
        ranks: (n, s) int32, how many labels overtake the predicted one.
        falls: (n, s) float32, in nats, see `WindowFalls`.
    """

    network: str
    images: str
    areas: npt.NDArray[np.float64]
    ranks: npt.NDArray[np.int32]
    falls: npt.NDArray[np.float32]


def main(
    model: Model = None,
    preprocessor: Preprocessor = "tf",
    images: Images = IMAGES,
    labels: Labels = LABELS,
    attacks: Attacks = ATTACKS,
    limit: Annotated[int | None, typer.Option(help="only so many images of a set")] = None,
    batch_size: int = 16,
    output: Annotated[Path, typer.Option(help="folder for the pictures")] = Path("removal"),
) -> list[Curve]:
    """Draw `removal-MODEL.png` for a network, by default for the two of ../shared."""
    found: list[Curve] = []
    for network in find_networks(model, preprocessor, images, labels, attacks):
        sets = {"benign": network.crops[:limit]}
        sets |= {attack.name: attack.images for attack in network.attacked(limit)}
        opened = open_classifier(network.classifier, preprocessor=network.preprocessor)
        curves = [
            Curve(network.name, images, *remove(opened, pixels, batch_size))
            for images, pixels in sets.items()
        ]
        draw(curves, output)
        found += curves
    publish("removal_curve", *as_table(found), output / "removal_curve.json")
    return found


def remove(
    classifier: OpenedClassifier, images: Pixels, batch_size: int
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """`areas`, `ranks` and `falls` of a `Curve`, with windows of 1, 2, ... cells, not the whole."""
    height, width = classifier.feature_shape[:2]
    shares = np.arange(1, max(height, width)) / max(height, width)
    sizes = [(cells(height, share), cells(width, share)) for share in shares]

    spec = tf.TensorSpec((None, *classifier.input_shape), tf.float32)

    @tf.function(input_signature=[spec], autograph=False)
    def effects(pixels: tf.Tensor) -> tuple[tf.Tensor, ...]:
        prediction, _ = predict_with_critical_region(classifier, pixels)
        windows, without, falls, _ = occlude(classifier, prediction, sizes)
        ranks = [rank_of(logits, prediction.label) for logits in tf.unstack(without, axis=1)]
        areas = tf.reduce_mean(tf.cast(windows, tf.float32), axis=(2, 3))
        return areas, tf.stack(ranks, axis=1), falls

    starts = range(0, len(images), batch_size)
    parts = [effects(tf.cast(images[i : i + batch_size], tf.float32)) for i in starts]
    areas, ranks, falls = (np.concatenate(part) for part in zip(*parts, strict=True))
    return areas[0], ranks, falls


def draw(curves: list[Curve], folder: Path) -> None:
    """Writes the picture of one network."""
    folder.mkdir(parents=True, exist_ok=True)
    effects = {
        RANK: {curve.images: curve.ranks for curve in curves},
        FALL: {curve.images: curve.falls for curve in curves},
    }
    network = curves[0].network
    figure = removal_curves(curves[0].areas, effects, title=f"{network}: removed and lost")
    plot.saved(figure, folder / f"removal-{network}.png")


def as_table(curves: list[Curve]) -> tuple[list[str], list[list[str]]]:
    """Header and rows, medians: the windows nearest to 5, 10, 20 and 33 % of the image."""
    header = ["network", "images", "n", "removed", "rank change", "fall, nats"]
    return header, [cells for curve in curves for cells in _cells(curve)]


def _cells(curve: Curve) -> list[list[str]]:
    nearest = {int(np.abs(curve.areas - area).argmin()) for area in (0.05, 0.1, 0.2, 0.33)}
    ranks, falls = np.median(curve.ranks, axis=0), np.median(curve.falls, axis=0)
    return [
        [
            *(curve.network, curve.images, str(len(curve.ranks))),
            *(f"{curve.areas[i]:.0%}", f"{ranks[i]:g}", f"{falls[i]:.1f}"),
        ]
        for i in sorted(nearest)
    ]


if __name__ == "__main__":
    typer.run(main)
